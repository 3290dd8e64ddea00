"""`llm plugins`: list, install and remove plugins."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from create_llm.cli.app import App
from create_llm.errors import ConfigError, NetworkError, PluginError, did_you_mean
from create_llm.kernel.catalogue import catalogue, distribution_of
from create_llm.kernel.entry_points import InstalledPlugin, installed_plugins
from create_llm.kernel.plugins import CORE, PluginRecord, unusable

HEADERS = ("PLUGIN", "DISTRIBUTION", "VERSION", "STATUS", "PROVIDES")

# What pip prints when the index was out of reach; its exit code is 1 for everything.
_NETWORK_TROUBLE = re.compile(
    r"connection broken by|Could not fetch URL|ConnectionError|ConnectTimeout|ReadTimeout"
    r"|NameResolutionError|ProxyError|HTTP error 5\d\d",
)


@click.group("plugins")
def command() -> None:
    """List, install and remove plugins.

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
        _show_table([_row(record) for record in records])
        _show_failures([record for record in records if record.status == "failed"])


@command.command("install")
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("--upgrade", is_flag=True, help="Replace an installed version by the newest.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask about names that are not ours.")
@click.pass_obj
def install(app: App, names: tuple[str, ...], upgrade: bool, yes: bool) -> None:
    """Install plugins with pip, into this environment.

    NAME is the short name of a first-party plugin or part, or anything pip accepts: the name of
    a distribution, a folder, a wheel, a URL. Plugins run with full trust: install what you trust.

    \b
    Example: llm plugins install gpt
    """
    specifications = [_specification(name) for name in names]
    strangers = [name for name in specifications if _is_stranger(name)]
    question = (
        f"{', '.join(strangers)} is not one of create-llm's own packages, and whatever has that "
        "name on the package index would run with your rights. Install it?"
    )
    if strangers and not (yes or _agreed(question)):
        click.echo("nothing was installed")
        return
    before = set(installed_plugins())
    options = ["--upgrade"] if upgrade else []
    _run_pip(["install", *options, "--", *specifications], app.root)
    new = [plugin for plugin in _installed_now() if plugin not in before]
    for plugin in new:
        click.echo(f"plugin '{plugin.name}' ({plugin.distribution} {plugin.version}) is ready")
    if not new:
        click.echo("nothing new: what was installed brings no plugin that was not there before")


@command.command("uninstall")
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def uninstall(app: App, names: tuple[str, ...], yes: bool) -> None:
    """Remove plugins with pip, from this environment.

    NAME is the name of a plugin, as `llm plugins list` shows it, or of its distribution.

    \b
    Example: llm plugins uninstall gpt --yes
    """
    distributions = sorted({_installed_distribution(name, app) for name in names})
    if not (yes or _confirmed(distributions)):
        click.echo("nothing was removed")
        return
    _run_pip(["uninstall", "--yes", "--", *distributions], app.root)
    left = {plugin.distribution for plugin in _installed_now()} & set(distributions)
    if left:
        raise PluginError(
            f"pip left this in place: {', '.join(sorted(left))}",
            fixes=("pip says above where it lies; remove it there",),
        )
    click.echo(f"removed: {', '.join(distributions)}")


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


def _show_table(rows: Sequence[tuple[str, ...]]) -> None:
    if not sys.stdout.isatty():
        widths = [max(map(len, column)) for column in zip(HEADERS, *rows, strict=True)]
        for row in (HEADERS, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            click.echo("  ".join(cells).rstrip())
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {"loaded": "green", "failed": "red", "disabled": "dim"}
    table = Table(*HEADERS, box=None, pad_edge=False, header_style="bold")
    for name, distribution, version, status, provides in rows:
        shown = Text(status, style=colours[status])
        table.add_row(Text(name), Text(distribution), Text(version), shown, Text(provides))
    Console().print(table)


def _show_failures(failed: list[PluginRecord]) -> None:
    for record in failed:
        error = unusable(record)
        click.echo("\n" + "\n".join([error.what, *(f"  try: {fix}" for fix in error.fixes)]))


def _specification(name: str) -> str:
    """What pip is given: a first-party short name in full, with its version if one is written."""
    if name.startswith("-"):
        raise ConfigError(
            f"'{name}' is an option of pip, not a plugin",
            fixes=("give names, folders or wheels: llm plugins install gpt",),
        )
    match = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9_-]*)((?:[\[=<>!~].*)?)", name)
    distribution = _first_party(match[1]) if match else None
    return f"{distribution}{match[2]}" if match and distribution else name


def _is_stranger(specification: str) -> bool:
    """A bare name that is not ours: easily a misspelling that somebody else has registered."""
    bare = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:[\[=<>!~].*)?", specification)
    return (
        bool(bare)
        and not specification.endswith(".whl")
        and not specification.startswith("create-llm-")
    )


def _first_party(name: str) -> str | None:
    """The first-party distribution of a plugin or part with this short name."""
    providers = [
        distribution
        for distribution, kinds in catalogue().items()
        if any(name in names for names in kinds.values())
    ]
    return distribution_of(name) or (providers[0] if len(providers) == 1 else None)


def _installed_distribution(name: str, app: App) -> str:
    """The distribution of an installed plugin.

    Raises:
        ConfigError: it is the core, or no plugin, or the name of several.
    """
    if _normalised(name) in (CORE.name, CORE.distribution):
        raise ConfigError(
            "the core cannot remove itself",
            fixes=("to remove create-llm altogether: pip uninstall create-llm-core",),
        )
    records = [record.plugin for record in app.plugins.records if record.plugin is not CORE]
    exact = {p.distribution for p in records if _normalised(p.distribution) == _normalised(name)}
    found = exact or {p.distribution for p in records if p.name == name}
    if len(found) == 1:
        return found.pop()
    if found:
        raise ConfigError(
            f"several distributions have a plugin '{name}'",
            fixes=(f"write one of: {', '.join(sorted(found))}",),
        )
    raise ConfigError(
        f"no plugin '{name}' is installed",
        fixes=(*did_you_mean(name, [p.name for p in records]), "see: llm plugins list"),
    )


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _confirmed(distributions: list[str]) -> bool:
    return _agreed(f"Remove {', '.join(distributions)}?")


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise ConfigError(f"{question} Nobody can answer here", fixes=("say so: --yes",))
    return click.confirm(question, err=True)


def _run_pip(arguments: list[str], folder: Path) -> None:
    """Run this environment's pip, showing what it prints on stderr.

    Raises:
        NetworkError: the package index was out of reach.
        PluginError: pip is missing, or refused.
    """
    import subprocess

    # -P: a pip.py in the folder is not pip.
    pip = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "--no-input"]
    lines = []
    with subprocess.Popen(
        [*pip, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            click.echo(line, nl=False, err=True)
            lines.append(line)
    if process.returncode:
        raise _pip_error("".join(lines))


def _pip_error(output: str) -> NetworkError | PluginError:
    if "No module named pip" in output:
        return PluginError(
            "this environment has no pip",
            where=sys.executable,
            fixes=("add it: python -m ensurepip", "or use the tool that made the environment"),
        )
    if _NETWORK_TROUBLE.search(output):
        return NetworkError(
            "pip could not reach the package index",
            fixes=(
                "check the connection and the proxy, then run it again",
                "or install from a file: llm plugins install ./plugin.whl",
            ),
        )
    last = [line.strip() for line in output.splitlines() if line.startswith("ERROR:")]
    return PluginError(
        f"pip failed: {last[-1].removeprefix('ERROR: ') if last else 'its output is above'}",
        fixes=(
            "check the spelling; a name that is not first-party is given to pip as it is",
            "see what is installed: llm plugins list",
        ),
    )


def _installed_now() -> list[InstalledPlugin]:
    import importlib

    importlib.invalidate_caches()
    return installed_plugins()
