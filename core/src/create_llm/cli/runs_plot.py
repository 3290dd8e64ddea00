"""llm runs plot: the versions over time, as a picture in a file."""

from __future__ import annotations

import json
from pathlib import Path

import click

from create_llm.cli.app import App
from create_llm.cli.found_runs import history_of_project
from create_llm.cli.models import say
from create_llm.errors import ConfigError

_DEFAULT = Path("evaluation", "reports", "timeline.html")
_KINDS = (".html", ".svg")


@click.command(
    "plot", epilog="\b\nExamples:\n  llm runs plot\n  llm runs plot --output timeline.svg"
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"A file that ends in .html or .svg; default: {_DEFAULT.as_posix()} of the project.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the path and the points as JSON.")
@click.pass_obj
def plot(app: App, output: Path | None, as_json: bool) -> None:
    """Draw the timeline of the versions: the score of each, and the best so far.

    One file that needs no network and no other file.
    """
    from create_llm.project.folder import find_project
    from create_llm.runs.page import printable
    from create_llm.storage.durable import Storage

    if output is not None and output.suffix not in _KINDS:
        raise ConfigError(
            f"'{output}' ends neither in .html nor in .svg",
            where="--output",
            fixes=("--output timeline.html", "--output timeline.svg"),
        )
    path = app.root / output if output else find_project(app.root).root / _DEFAULT
    rows = [row for entry in history_of_project(app) if (row := entry.row())["version"]]
    if not rows:
        say("no run has made a model yet: the picture shows nothing")
    storage = Storage()
    storage.make_folder(path.parent)
    storage.replace_file(path, printable(_drawn(rows, path.suffix)).encode())
    if as_json:
        click.echo(json.dumps({"path": str(path), "versions": rows}))
    else:
        click.echo(f"Drawn into {path}")


def _drawn(rows: list[dict[str, object]], kind: str) -> str:
    from create_llm.runs.chart import svg_file
    from create_llm.runs.page import picture, render
    from create_llm.runs.timeline import timeline

    chart = timeline(rows)
    if kind == ".svg":
        return svg_file(chart)
    return render("timeline.html", title="Versions", chart=picture(chart), rows=rows[::-1])
