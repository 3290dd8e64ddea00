"""llm dashboard: watch runs in the browser."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click

from create_llm.cli.app import App
from create_llm.cli.found_runs import run_called
from create_llm.errors import ConfigError

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command(
    epilog="\b\nExamples:\n  llm dashboard\n  llm dashboard 20260101-120000 --port 8080\n"
    "  llm dashboard --all\n  ssh -L 5000:127.0.0.1:5000 HOST    # then here: open its link"
)
@click.argument("run", required=False)
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
    """Watch RUN in the browser: by default the live run, or the newest; live, over or crashed.

    A process of its own that only reads the run's files: it cannot slow the training down. The
    link works once, for one browser, on this machine. Ctrl-C ends it; the training goes on.
    """
    from create_llm.runs.run import runs_of

    if run is not None and all_runs:
        raise ConfigError("a run and --all are one too many", fixes=("leave one of them out",))
    logs, checkpoints = _folders(app)
    runs = list(runs_of(logs, checkpoints))
    if run is not None:
        run_called(run, runs)
    if (certificate is None) != (key is None):
        raise ConfigError(
            "a certificate needs its key, and the other way round",
            where="--certificate, --key",
            fixes=("give both, or neither",),
        )
    from create_llm.project.folder import find_project
    from create_llm_dashboard.browser import open_link
    from create_llm_dashboard.server import is_loopback, listen, tls_of
    from create_llm_dashboard.serving import Serving, check_reach, say

    tls = tls_of(certificate, key) if certificate is not None and key is not None else None
    newest = [each.name for each in runs][-9:] if all_runs else []
    with listen(host, port) as listener:
        check_reach(listener, tls, insecure=insecure)
        serving = Serving(
            registry=app.plugins.registry,
            project=find_project(app.root).root.name,
            folders=partial(runs_of, logs, checkpoints),
            listener=listener,
            tls=tls,
            meant=run,
            others=tuple(newest),
        )
        link = serving.link
        if as_json:
            click.echo(json.dumps({"link": link, "url": link.partition("/?")[0]}))
        else:
            say(f"dashboard: {link}")
            say("The link works once. Ctrl-C ends the dashboard; training goes on.")
        if not no_open and is_loopback(listener):
            open_link(link)
        serving.run()


def _folders(app: App) -> tuple[Path, Path]:
    """Where the runs of the project at `app.root` lie, and their checkpoints."""
    from create_llm.config import load_config
    from create_llm.project.folder import find_project

    project = find_project(app.root)
    config = load_config(project.root, app.plugins, overrides=app.overrides)
    return project.root / config.logging.log_dir, project.checkpoints
