"""llm compare: models side by side on the same text and the same prompts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from create_llm.cli.app import App
from create_llm.cli.compare_show import show
from create_llm.cli.evaluate import texts_to_score
from create_llm.cli.models import (
    bundle_called,
    device_option,
    engine_option,
    load_model,
    sampling_for,
    sampling_options,
    say,
)
from create_llm.errors import ConfigError, DataError

if TYPE_CHECKING:
    from create_llm.models.bundle import ModelBundle
    from create_llm.models.comparison import Compared
    from create_llm.models.generation import Sampling
    from create_llm.project.folder import Project

PROMPTS = "evaluation/prompts.txt"
_VALIDATION = "the validation part of the text"


@click.command(
    epilog='\b\nExamples:\n  llm compare v1 v2 --prompt "Once upon a time"\n'
    "  llm compare v1 20260101-120000 ../other/models/v3 --text book.txt"
)
@click.argument("models", nargs=-1, required=True)
@click.option("--text", type=click.Path(path_type=Path), help="Score this file.")
@click.option("--prompt", "prompts", multiple=True, help=f"Default: the lines of {PROMPTS}.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the HTML page goes, and the JSON beside it; default: evaluation/reports/.",
)
@sampling_options
@device_option
@engine_option
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON on stdout.")
@click.pass_obj
def command(
    app: App,
    /,
    models: tuple[str, ...],
    text: Path | None,
    prompts: tuple[str, ...],
    report: Path | None,
    device: str,
    engine: str,
    as_json: bool,
    **sampling: Any,
) -> None:
    """Compare 2 to 5 MODELS: bits per byte on the same text, samples for the same prompts.

    They may differ in architecture and tokenizer: bits per byte does not depend on them. All of
    them get the sampling settings of the first, and the seed 0, unless you say otherwise. A model
    that has learnt conversations answers a prompt, any other goes on with it.
    """
    from create_llm.models.comparison import comparison, notes_on_conversations

    if report is not None:
        _refuse_report(app.root / report)
    bundles = _bundles(app, models)
    if text is not None:
        texts_to_score(app, text)  # a file that cannot be scored is told before any work
    asked = prompts or _project_prompts(app)
    settings = _sampling(bundles[models[0]], sampling)
    compared, scored = _compare(app, bundles, text, asked, settings, device, engine)
    now = time.gmtime()
    notes = [] if text else [*_notes(app, compared), *notes_on_conversations(compared)]
    told = time.strftime("%Y-%m-%dT%H:%M:%SZ", now)
    found = comparison(compared, scored, settings, notes, told)
    found |= _save(app, found, report, time.strftime("%Y%m%d-%H%M%S", now))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        show(found)


def _bundles(app: App, names: Sequence[str]) -> dict[str, ModelBundle]:
    """By the names they were called; what is missing or damaged is told before any work."""
    from create_llm.storage.durable import verify

    different = list(dict.fromkeys(names))
    if not 2 <= len(different) <= 5:
        again = len(names) > len(different) == 1
        raise ConfigError(
            f"'{names[0]}' was named {len(names)} times: there is nothing to compare it with"
            if again
            else f"compare takes 2 to 5 models, got {len(different)}",
            fixes=("llm compare v1 v2", "see what there is: llm runs list"),
        )
    bundles = {name: bundle_called(app, name) for name in different}
    for bundle in bundles.values():
        verify(bundle.path)
    return bundles


def _project(app: App) -> Project | None:
    """Bundles and a text can be compared anywhere."""
    from create_llm.project.folder import project_around

    return project_around(app.root)


def _project_prompts(app: App) -> tuple[str, ...]:
    """The lines of evaluation/prompts.txt. Where they are still the template's and the text holds
    conversations, the first question of its validation part instead.
    """
    project = _project(app)
    path = project.root / PROMPTS if project else None
    lines = path.read_text(encoding="utf-8").splitlines() if path and path.is_file() else []
    chosen = tuple(line for line in lines if line.strip())
    if project is None or len(chosen) != 1:
        return chosen
    return _question_of_text(app, project, chosen[0]) or chosen


def _question_of_text(app: App, project: Project, template_prompt: str) -> tuple[str, ...]:
    from create_llm.config import load_config
    from create_llm.data.preparation.prepared import open_prepared
    from create_llm.training.asking import first_question, is_of_template

    config = load_config(project.root, app.plugins, overrides=app.overrides)
    if not is_of_template(template_prompt, config, app.plugins.registry):
        return ()
    try:
        messages = first_question(project, config, open_prepared(project.processed))
    except DataError:  # no text here, or none any more: bundles can be compared on a file
        return ()
    return () if messages is None else (messages[-1].content,)


def _sampling(first: ModelBundle, given: Mapping[str, Any]) -> Sampling:
    seed = given["seed"]
    return sampling_for(first, {**given, "seed": 0 if seed is None else seed})


def _compare(
    app: App,
    bundles: Mapping[str, ModelBundle],
    text: Path | None,
    prompts: Sequence[str],
    sampling: Sampling,
    device: str,
    engine: str,
) -> tuple[list[Compared], dict[str, object]]:
    """One model at a time is in memory. With them what they were scored on.

    Raises:
        DataError: the text changed in the meantime, so that the scores say nothing.
    """
    from create_llm.api import score_dict
    from create_llm.models.comparison import Compared, ScoredText
    from create_llm.training.scoring import score_documents

    compared, texts = [], []
    for name, bundle in bundles.items():
        click.echo(f"scoring {name} …", err=True)
        model = load_model(app, bundle, device).loaded
        scored = ScoredText(str(text or _VALIDATION))
        figures = score_dict(score_documents(model, scored.read(texts_to_score(app, text))))
        # Scores need the module itself; what it writes, another engine writes faster.
        writer = load_model(app, bundle, device, engine).text_model if model.generates else model
        curves = _curves(app, bundle)
        compared.append(
            Compared.of(
                *(name, bundle, writer, figures, curves),
                prompts=prompts,
                sampling=sampling,
                notice=say,
            )
        )
        texts.append(scored.as_dict())
    if any(scored != texts[0] for scored in texts):
        raise DataError(
            "the text changed while the models were scored on it", fixes=("compare them again",)
        )
    return compared, texts[0]


def _curves(app: App, bundle: ModelBundle) -> dict[str, tuple[tuple[int, float], ...]]:
    """Of the run that made the model, if it is a run of this project."""
    from create_llm.cli.found_runs import runs_of_project
    from create_llm.runs.curves import read_curves

    project = _project(app)
    if project is None or bundle.path.resolve().parent != project.models.resolve():
        return {}
    made = [run for run in runs_of_project(app) if run.name == bundle.info.get("run")]
    return read_curves(made[0].events) if made else {}


def _notes(app: App, compared: Sequence[Compared]) -> list[str]:
    """Another division of the text may put what a model has learnt into the validation part."""
    from create_llm.config import load_config
    from create_llm.models.provenance import has_seen_this_text
    from create_llm.project.folder import find_project

    project = find_project(app.root)
    config = load_config(project.root, app.plugins, overrides=app.overrides)
    return [
        f"{model.name} was trained on other data than is prepared now: it may know parts of the "
        "text that it is scored on"
        for model in compared
        if not has_seen_this_text(model.bundle, project, config)
    ]


def _refuse_report(page: Path) -> None:
    """
    Raises:
        ConfigError: a page there would take the place of something that is no earlier report.
    """
    from create_llm.models.bundle import INFO

    another = "name another file: --report compared.html"
    if page.suffix != ".html":
        raise ConfigError("a report's name ends in .html", where=str(page), fixes=(another,))
    inside = [folder for folder in page.resolve().parents if (folder / INFO).is_file()]
    if inside:
        raise ConfigError(f"{inside[0]} is a model", where=str(page), fixes=(another,))
    figures = page.with_suffix(".json")
    taken = [path for path in (page, figures) if path.exists() or path.is_symlink()]
    if taken and not _is_report(figures):
        raise ConfigError(
            f"{taken[0].name} is there, and is no earlier report",
            where=str(taken[0]),
            fixes=(another, "or move it away"),
        )


def _is_report(figures: Path) -> bool:
    """Whether a file is the JSON that an earlier comparison wrote."""
    if not figures.is_file():
        return False
    try:
        found = json.loads(figures.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"models", "sampling", "report_json"} <= found.keys()


def _save(
    app: App, found: Mapping[str, Any], report: Path | None, moment: str
) -> dict[str, str | None]:
    """The page, the JSON beside it, and a line in logs/comparisons.jsonl; their paths."""
    from create_llm.models.comparison_page import comparison_page
    from create_llm.storage.durable import Storage

    project = _project(app)
    if report is not None:
        page = app.root / report
    elif project is not None:
        page = _free(project.root / "evaluation" / "reports", f"compare-{moment}")
    else:
        return {"report": None, "report_json": None}
    paths: dict[str, str | None] = {
        "report": str(page),
        "report_json": str(page.with_suffix(".json")),
    }
    storage = Storage()
    storage.make_folder(page.parent)
    storage.replace_file(page, comparison_page(found).encode())
    text = json.dumps({**found, **paths}, indent=2, ensure_ascii=False)
    storage.replace_file(page.with_suffix(".json"), text.encode("utf-8", "replace"))
    if project is not None:
        _remember(project, found, paths)
    return paths


def _free(folder: Path, stem: str) -> Path:
    """A page of its own, also for the second comparison of one second."""

    def names() -> Iterator[str]:
        yield stem
        number = 2
        while True:
            yield f"{stem}-{number}"
            number += 1

    return next(path for name in names() if not (path := folder / f"{name}.html").exists())


def _remember(project: Project, found: Mapping[str, Any], paths: Mapping[str, str | None]) -> None:
    from create_llm.runs.figures import remember

    metrics = ("loss", "perplexity", "bits_per_byte", "tokens", "tokens_per_second")
    models = [
        {"name": m["name"], "model": m["model"], **{metric: m[metric] for metric in metrics}}
        for m in found["models"]
    ]
    line = {"time": found["time"], "text": found["text"], "models": models, **paths}
    remember(project, "comparisons", line)
