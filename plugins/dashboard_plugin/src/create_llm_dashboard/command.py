"""llm dashboard: watch runs in the browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from create_llm.runs.run import RunFolder
    from create_llm_dashboard.server import Tls
    from create_llm_dashboard.serving import Serving

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_LAID_OVER = 9
_VERSION = re.compile(r"v\d+")
_NAMED = 10
"""Versions, the latest, where the one that was asked for is not there."""


@click.command(
    epilog="\b\nExamples:\n  llm dashboard\n  llm dashboard 20260101-120000 --port 8080\n"
    "  llm dashboard v1\n  llm dashboard --all\n"
    "  ssh -L 5000:127.0.0.1:5000 HOST    # then here: open its link"
)
@click.argument("run", required=False, metavar="[RUN|V]")
@click.option("--all", "all_runs", is_flag=True, help="Lay the latest runs over one another.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="The port to listen at, or the next one that is free; 0 takes any.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--certificate", type=_FILE, help="For others: a TLS certificate, in PEM.")
@click.option("--key", type=_FILE, help="The key of the certificate, in PEM.")
@click.option("--insecure", is_flag=True, help="For others without TLS: anybody can listen in.")
@click.option("--no-open", is_flag=True, help="Only print the link; do not open the browser.")
@click.option("--json", "as_json", is_flag=True, help="Print the link as JSON on stdout.")
@click.pass_obj
def command(
    app: App,
    run: str | None,
    all_runs: bool,
    port: int,
    host: str,
    certificate: Path | None,
    key: Path | None,
    insecure: bool,
    no_open: bool,
    as_json: bool,
) -> None:
    """Watch a run in the browser: by default the live one, or the newest; live, over or crashed.

    RUN is its name, or the version V that it made. A process of its own that only reads the run's
    files: it cannot slow the training down. The link works once, for one browser, on this machine.
    Ctrl-C ends it; the training goes on.
    """
    if run is not None and all_runs:
        raise ConfigError("a run and --all are one too many", fixes=("leave one of them out",))
    folders = _folders(app)
    runs = list(folders())
    meant = _run_of(app, run, runs) if run is not None else None
    from create_llm.project.folder import find_project
    from create_llm_dashboard.browser import open_link
    from create_llm_dashboard.server import is_loopback, listen
    from create_llm_dashboard.serving import Serving, check_reach

    tls = _tls(certificate, key)
    with listen(host, port) as listener:
        check_reach(listener, tls, insecure=insecure)
        others = [each.name for each in runs][-_LAID_OVER:] if all_runs else []
        serving = Serving(
            registry=app.plugins.registry,
            project=find_project(app.root).root.name,
            folders=folders,
            listener=listener,
            tls=tls,
            meant=meant,
            others=tuple(others),
        )
        _tell(serving, port, as_json=as_json, waits=not runs)
        if not no_open and is_loopback(listener):
            open_link(serving.link)
        serving.run()


def _folders(app: App) -> Callable[[], Iterator[RunFolder]]:
    """What lists the runs of the project at `app.root`."""
    from create_llm.config import load_config
    from create_llm.project.folder import find_project
    from create_llm.runs.run import runs_of

    project = find_project(app.root)
    config = load_config(project.root, app.plugins, overrides=app.overrides)
    return partial(runs_of, project.root / config.logging.log_dir, project.checkpoints)


def _run_of(app: App, name: str, runs: list[RunFolder]) -> str:
    """The run of that name, or the one that made the version of that name.

    Raises:
        ConfigError: there is neither; or the version comes from elsewhere.
    """
    if name in (run.name for run in runs):
        return name
    from create_llm.cli.found_runs import history_of_project
    from create_llm.runs.history import entry_called

    entries = history_of_project(app)
    versions = [entry.version.name for entry in entries if entry.version]
    if _VERSION.fullmatch(name) and name not in versions:
        there = f"the versions are {_latest(versions)}" if versions else "none has been made yet"
        raise ConfigError(f"there is no version {name}: {there}", fixes=("llm runs list",))
    entry = entry_called(name, entries)
    if entry.run is None:
        raise ConfigError(
            f"{name} has no run to watch: it was not trained here, or its run was removed",
            fixes=("see the runs there are: llm runs list",),
        )
    return entry.run.name


def _latest(versions: list[str]) -> str:
    return ("… " if len(versions) > _NAMED else "") + ", ".join(versions[-_NAMED:])


def _tls(certificate: Path | None, key: Path | None) -> Tls | None:
    from create_llm_dashboard.server import tls_of

    if (certificate is None) != (key is None):
        raise ConfigError(
            "a certificate needs its key, and the other way round",
            where="--certificate, --key",
            fixes=("give both, or neither",),
        )
    return tls_of(certificate, key) if certificate is not None and key is not None else None


def _tell(serving: Serving, port: int, *, as_json: bool, waits: bool) -> None:
    """The link, and what somebody who sees it for the first time should know."""
    from create_llm_dashboard.server import told_if_taken
    from create_llm_dashboard.serving import say

    link = serving.link
    if taken := told_if_taken(serving.listener, port):
        say(taken)
    if as_json:
        click.echo(json.dumps({"link": link, "url": link.partition("/?")[0]}))
    else:
        say(f"dashboard: {link}")
        say("The link works once. Ctrl-C ends the dashboard; training goes on.")
    if waits:
        say("There is no run yet; the page waits for one. In another terminal: llm train")
