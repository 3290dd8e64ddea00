"""llm config: what the configuration is, what its keys mean, its schema."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.config_convert import convert
from create_llm.errors import ConfigError, CreateLLMError

if TYPE_CHECKING:
    from create_llm.config.explain import Explanation, Found
    from create_llm.config.resolved import Config, Setting

_EXAMPLES = """\b
Examples:
  llm config show
  llm config explain training.batch_size
  llm config explain training
  llm config schema > llm.schema.json
  llm config convert llm.config.js
"""

_KINDS = {
    True: "identity: changing it makes another run; this run's checkpoints cannot go on with it",
    False: "runtime: it can change when a run is resumed",
}


@click.group(epilog=_EXAMPLES)
def command() -> None:
    """Show and explain the configuration.

    Strongest first: flags and --set, a --preset, the environment
    (CREATE_LLM_TRAINING__BATCH_SIZE=8), .env, llm.toml, the preset it names, the template, the
    hardware, the defaults.
    """


command.add_command(convert)


@command.command(epilog="Example: llm config show --set training.batch_size=8")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def show(app: App, as_json: bool) -> None:
    """Every key, its value, and where the value comes from."""
    from create_llm.config import load_config
    from create_llm.project.folder import find_project

    root = find_project(app.root).root
    config = load_config(root, app.plugins, overrides=app.overrides)
    if as_json:
        rows = {key: _row(setting) for key, setting in config.settings.items()}
        click.echo(json.dumps({"project": str(root), "settings": rows}))
    elif _on_terminal():
        _print_table(config)
    else:
        _print_plain(config)


@command.command(epilog="Example: llm config explain training.batch_size")
@click.argument("key")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def explain(app: App, key: str, as_json: bool) -> None:
    """What KEY does, what it costs, and what to try; or all keys of a section."""
    from create_llm.config.explain import find_keys

    found = find_keys(app.plugins.registry, _resolved(app), key)
    rows = [explanation.as_dict() for explanation in found.keys]
    if found.section_note is None:
        click.echo(json.dumps(rows[0]) if as_json else _in_full(found.keys[0]))
    elif as_json:
        section = {"section": found.name, "what": found.section_note, "keys": rows}
        click.echo(json.dumps(section))
    else:
        click.echo(_section_text(found))


@command.command(epilog="Example: llm config schema > llm.schema.json")
@click.pass_obj
def schema(app: App) -> None:
    """The JSON Schema of llm.toml, with the keys of the installed parts, for editors."""
    from create_llm.config.json_schema import json_schema

    click.echo(json.dumps(json_schema(app.plugins.registry), indent=2))


def _on_terminal() -> bool:
    return sys.stdout.isatty()


def _resolved(app: App) -> Config | None:
    """The configuration, or None after a warning: keys can be explained without their values."""
    from create_llm.config import load_config
    from create_llm.project.folder import find_project

    try:
        root = find_project(app.root).root
    except ConfigError:
        root = app.root  # outside a project the defaults are explained
    try:
        return load_config(root, app.plugins, overrides=app.overrides)
    except CreateLLMError as error:
        click.echo(f"warning: shown without values, because {error.what}", err=True)
        return None


def _row(setting: Setting) -> dict[str, object]:
    return {
        "value": setting.value,
        "from": setting.source.label,
        "identity": setting.identity,
    }


def _rows(config: Config) -> list[tuple[str, str, str]]:
    return [
        (key, _spelled(setting.value), setting.source.label)
        for key, setting in config.settings.items()
    ]


def _spelled(value: object) -> str:
    from create_llm.config.problems import shown

    return "unset" if value is None else shown(value)


def _print_plain(config: Config) -> None:
    rows = _rows(config)
    keys, values = (max(len(row[column]) for row in rows) for column in (0, 1))
    for key, value, source in rows:
        click.echo(f"{key:<{keys}}  {value:<{values}}  {source}")


def _print_table(config: Config) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("Key", "Value", "From", box=None, header_style="bold")
    for row in _rows(config):
        table.add_row(*map(Text, row))  # as text: values may look like rich's markup
    Console().print(table)


def _in_full(found: Explanation) -> str:
    parts = [
        ("What it does", found.what),
        ("What it costs", found.cost),
        ("What to try", found.advice),
        ("It takes", found.takes),
        ("Default", _spelled(found.default)),
        ("Belongs to", found.owner),
        ("Kind", _KINDS[found.identity]),
    ]
    lines = [_headline(found), ""]
    lines += [_paragraph(title, text) for title, text in parts if text]
    return "\n".join(lines)


def _section_text(found: Found) -> str:
    lines = [f"[{found.name}]  {found.section_note}", ""]
    for key in found.keys:
        lines += [_headline(key), _paragraph("", key.what)]
    return "\n".join([*lines, "", f"One key in full: llm config explain {found.name}.KEY"])


def _headline(found: Explanation) -> str:
    if found.setting:
        return f"{found.key} = {_spelled(found.setting.value)}   (from: {found.setting.source})"
    if found.on_demand:
        default = f" = {_spelled(found.default)}   (from: default)"
        return f"{found.key}{': not set, and has no default' if found.required else default}"
    unused = f": {found.owner} is not in use" if found.owner else ""
    return f"{found.key}{unused}"


def _paragraph(title: str, text: str) -> str:
    import textwrap

    first = f"  {title:<14}" if title else " " * 4
    return textwrap.fill(text, 96, initial_indent=first, subsequent_indent=" " * len(first))
