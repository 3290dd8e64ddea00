"""`llm plugins`: the plugins of this environment, and the commands that are about them."""

from __future__ import annotations

import json

import click

from create_llm.cli.app import App
from create_llm.cli.plugin_author import new, test, trace
from create_llm.cli.plugin_install import install, uninstall
from create_llm.cli.tables import show_table
from create_llm.kernel.plugins import CORE, PluginRecord, unusable
from create_llm.kernel.registry import Registry

HEADERS = ("PLUGIN", "DISTRIBUTION", "VERSION", "STATUS", "PROVIDES")
COLOURS = {"loaded": "green", "failed": "red", "disabled": "dim"}


@click.group("plugins")
def command() -> None:
    """Find, install, write and test plugins.

    \b
    Example: llm plugins list
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def list_plugins(app: App, as_json: bool) -> None:
    """Show the installed plugins, the parts each provides, and what failed.

    \b
    Example: llm plugins list --json
    """
    records = [record for record in app.plugins.records if record.plugin is not CORE]
    if as_json:
        click.echo(json.dumps({"plugins": [_as_json(record) for record in records]}))
    elif not records:
        click.echo("No plugin is installed. For example: llm plugins install gpt")
    else:
        show_table(HEADERS, [_row(record) for record in records], COLOURS)
        _show_ambiguous(app.plugins.registry)
        _show_failures([record for record in records if record.status == "failed"])


for subcommand in (install, uninstall, new, test, trace):
    command.add_command(subcommand)


def _as_json(record: PluginRecord) -> dict[str, object]:
    return {
        "name": record.plugin.name,
        "distribution": record.plugin.distribution,
        "version": record.plugin.version,
        "status": record.status,
        "error": record.error,
        "provides": record.provides if record.status == "loaded" else {},
    }


def provided(record: PluginRecord) -> str:
    """Kinds and names of the parts, for people."""
    kinds = record.provides if record.status == "loaded" else {}
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in sorted(kinds.items()))


def _row(record: PluginRecord) -> tuple[str, ...]:
    plugin = record.plugin
    return plugin.name, plugin.distribution, plugin.version, record.status, provided(record)


def _show_failures(failed: list[PluginRecord]) -> None:
    for record in failed:
        error = unusable(record)
        where = [f"  where: {error.where}"] if error.where else []
        fixes = (f"  try: {fix}" for fix in error.fixes)
        click.echo("\n" + "\n".join([error.what, *where, *fixes]))


def _show_ambiguous(registry: Registry) -> None:
    for kind in registry.kinds:
        names = registry.names(kind)
        for name in registry.ambiguous(kind):
            choices = " or ".join(choice for choice in names if choice.endswith(f"/{name}"))
            click.echo(f"\n'{name}' ({kind}) is provided by several plugins: write {choices}")
