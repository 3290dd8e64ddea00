"""llm lm-eval: the field's benchmarks, as lm-evaluation-harness asks them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.models import device_option, open_model
from create_llm.errors import ConfigError

if TYPE_CHECKING:
    from create_llm_lm_eval.harness import Report


@click.command(
    "lm-eval",
    epilog="\b\nExamples:\n  llm lm-eval --tasks hellaswag,arc_easy --limit 200\n"
    "  llm lm-eval v2 --tasks my_task --include-path evaluation/tasks --json",
)
@click.argument("model", required=False)
@click.option(
    "--tasks", help="Tasks, groups or task files, parted by commas: hellaswag,arc_easy or mmlu_*."
)
@click.option(
    "--include-path",
    type=click.Path(path_type=Path),
    help="A folder with task files of your own.",
)
@click.option(
    "--num-fewshot",
    type=click.IntRange(min=0),
    help="Solved examples before each question. Unset: as the task says.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Ask only the first questions of each.")
@click.option(
    "--batch-size", type=click.IntRange(min=1), help="Sequences to read at once. Unset: 16."
)
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON on stdout.")
@click.pass_obj
def command(
    app: App,
    model: str | None,
    tasks: str | None,
    include_path: Path | None,
    num_fewshot: int | None,
    limit: int | None,
    batch_size: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Score MODEL on benchmarks with EleutherAI's lm-evaluation-harness.

    MODEL is a bundle folder, vN or a run id, by default the active one. Most tasks fetch a data
    set from the Hugging Face Hub the first time. In a project, the whole report is kept in
    evaluation/reports.
    """
    from create_llm_lm_eval.needed import check_installed

    names = _tasks(app, tasks)
    check_installed()
    from create_llm_lm_eval.harness import Conditions, evaluate

    opened = open_model(app, model, device)
    include = None if include_path is None else app.root / include_path
    conditions = Conditions(names, include, num_fewshot, limit, batch_size)
    report = evaluate(opened, conditions)
    kept = _keep(app, str(opened.bundle.path), names, report)
    if as_json:
        result = {"model": str(opened.bundle.path), "report": kept, "results": report.figures()}
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    click.echo(f"{opened.bundle.path}\n{report.table()}")
    if kept is not None:
        click.echo(f"report: {kept}", err=True)


def _tasks(app: App, given: str | None) -> tuple[str, ...]:
    """
    Raises:
        ConfigError: none is named.
    """
    names = [name.strip() for name in (given or "").split(",")]
    if not any(names):
        raise ConfigError(
            "no task is named",
            where="--tasks",
            fixes=(
                "which end of a story is right: llm lm-eval --tasks hellaswag --limit 200",
                "see what there is: lm-eval ls tasks",
            ),
        )
    return tuple(_from_root(app, name) for name in names if name)


def _from_root(app: App, task: str) -> str:
    """A task file given on the command line, seen from where `-C` says the command runs."""
    file = app.root / task
    return str(file) if file.is_file() else task


def _keep(app: App, model: str, tasks: tuple[str, ...], report: Report) -> str | None:
    """Write the report where the command runs inside a project, and a line of it into logs/.

    Returns:
        The file's path.
    """
    from create_llm.project.folder import project_around
    from create_llm.runs.figures import remember
    from create_llm.storage.durable import Storage

    project = project_around(app.root)
    if project is None:
        return None
    now = time.gmtime()
    folder = project.root / "evaluation" / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"lm-eval-{Path(model).name}-{time.strftime('%Y%m%d-%H%M%S', now)}.json"
    Storage().replace_file(path, report.json().encode())
    entry = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", now),
        "model": model,
        "tasks": tasks,
        "report": str(path),
        "results": report.figures(),
    }
    remember(project, "evaluations", entry)
    return str(path)
