"""llm config: what the configuration is, what its keys mean, its schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from create_llm.cli.main import App
from create_llm.errors import ConfigError, CreateLLMError

if TYPE_CHECKING:
    from pathlib import Path

    from create_llm.config.explain import Explanation
    from create_llm.config.resolved import Config, Setting

_EXAMPLES = """\b
Examples:
  llm config show
  llm config explain training.batch_size
  llm config explain training
  llm config schema > llm.schema.json
"""


@click.group(epilog=_EXAMPLES)
def command() -> None:
    """Show and explain the configuration.

    Strongest first: flags and --set, the environment (CREATE_LLM_TRAINING__BATCH_SIZE=8), .env,
    llm.toml, the template, the hardware, the defaults.
    """


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
    elif sys.stdout.isatty():
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
    single = len(found) == 1 and "." in found[0].key
    if as_json:
        rows = [explanation.as_dict() for explanation in found]
        click.echo(json.dumps(rows[0] if single else {"section": key, "keys": rows}))
    elif single:
        click.echo(_in_full(found[0]))
    else:
        click.echo(_section_text(key, found))


@command.command(epilog="Example: llm config schema > llm.schema.json")
@click.pass_obj
def schema(app: App) -> None:
    """The JSON Schema of llm.toml, with the keys of the installed parts, for editors."""
    from create_llm.config.json_schema import json_schema

    click.echo(json.dumps(json_schema(app.plugins.registry), indent=2))
