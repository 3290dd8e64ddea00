"""llm runs reproduce: train a version again, and see whether it becomes the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.found_runs import history_of_project
from create_llm.cli.tables import show_table
from create_llm.errors import ConfigError, CreateLLMError, DataError

if TYPE_CHECKING:
    from create_llm.models.bundle import ModelBundle
    from create_llm.project.folder import Project
    from create_llm.runs.history import Entry
    from create_llm.runs.reproduction import Pair, Reproduction
    from create_llm.training.course import Course

_NEVER = "never"
_UNFINISHED = ("paused", "interrupted", "killed")
_WORDS = {
    "bytes": "the same model, byte for byte",
    "figures": "the same figures within 1 %, other bytes",
    "different": "another model",
}


@click.command("reproduce", epilog="\b\nExample:\n  llm runs reproduce v1")
@click.argument("version", metavar="V")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON on stdout.")
@click.pass_obj
def reproduce(app: App, version: str, as_json: bool) -> None:
    """Train V again, by its recipe, on its device and for its steps, and compare the two.

    The second one becomes a version of its own; the active version stays what it is. Ends with 65
    if it comes out different.
    """
    from create_llm.cli.train import run_training
    from create_llm.models.versions import active_version, set_active
    from create_llm.project.folder import find_project
    from create_llm.runs.history import entry_called
    from create_llm.runs.reproduction import compare_runs

    project, entries = find_project(app.root), history_of_project(app)
    first = entry_called(version, entries)
    bundle = _reproducible(first)
    flags, resume = _flags(project, first), _unfinished(entries, version)
    if resume == _NEVER:  # else the unfinished run knows for itself what it needs
        _refuse_other_beginning(project, first)
    _refuse_other_text(app, project, bundle, flags)
    _compute_alike(first)
    active = active_version(project.models)
    ended = run_training(app, flags, resume=resume, course=_course(first))
    if active is not None:
        set_active(project.models, active)
    found = compare_runs(first, entry_called(ended.run, history_of_project(app)))
    if as_json:
        click.echo(json.dumps(found.as_dict()))
    else:
        _show(found)
    _raise_if_different(found)


def _reproducible(entry: Entry) -> ModelBundle:
    """
    Raises:
        ConfigError: it is no version with a run.
    """
    if entry.bundle is None or entry.run is None:
        raise ConfigError(
            f"{entry.name} cannot be reproduced: "
            + ("its model is not there" if entry.bundle is None else "its logs are not there"),
            fixes=(f"start a run by its recipe: llm train --like {entry.name}",),
        )
    return entry.bundle


def _course(entry: Entry) -> Course | None:
    """What was done otherwise while it was trained, and at which of its steps."""
    from create_llm.training.course import Course
    from create_llm.training.remedies import remedies_of

    steps = entry.metrics.get("steps")
    return Course(remedies_of(entry.run), steps) if entry.run and isinstance(steps, int) else None


def _flags(project: Project, entry: Entry) -> dict[str, tuple[object, str]]:
    """The recipe, and what a recipe leaves to the machine, as it was decided then."""
    from create_llm.runs.recipe import AGAIN, exact, save_recipe

    frozen = entry.manifest.get("frozen", {})
    preset = save_recipe(project, entry.name, exact(entry.config, frozen), AGAIN)
    decided = {"project.preset": preset, "training.device": frozen.get("device")}
    return {key: (value, f"runs reproduce {entry.name}") for key, value in decided.items()}


def _refuse_other_beginning(project: Project, entry: Entry) -> None:
    """
    Raises:
        DataError: the model that the version began with is gone, or another one by now.
    """
    from create_llm.training.initial import origin_now

    if (then := entry.origin) is None:
        return
    reason, where = None, str(project.models)
    try:
        now = origin_now(project, entry.config, then)
        if now.weights_sha256 != then.weights_sha256:
            reason = f"that is {now} now"
    except CreateLLMError as error:
        reason, where = error.what, error.where or where
    if reason is not None:
        raise DataError(
            f"{entry.name} cannot be reproduced: it began with {then}, and {reason}",
            where=where,
            fixes=(
                f"put {then.model} back as it was then",
                f"begin its recipe with what there is: llm train --like {entry.name} --init MODEL",
            ),
        )


def _refuse_other_text(
    app: App, project: Project, bundle: ModelBundle, flags: Mapping[str, tuple[object, str]]
) -> None:
    """
    Raises:
        DataError: the text is not the one that the version was made from.
    """
    from create_llm.config import load_config
    from create_llm.models.provenance import has_seen_this_text

    config = load_config(project.root, app.plugins, flags=flags, overrides=app.overrides)
    if not has_seen_this_text(bundle, project, config):
        raise DataError(
            f"{bundle.name} cannot be reproduced: the text is not the one it was made from",
            where=str(project.raw),
            fixes=(
                "put the text back as it was",
                f"train by its recipe on the text of today: llm train --like {bundle.name}",
            ),
        )


def _compute_alike(entry: Entry) -> None:
    """With as many threads as then: another number sums in another order."""
    import torch

    threads = entry.manifest.get("frozen", {}).get("threads")
    if isinstance(threads, int):
        torch.set_num_threads(threads)


def _unfinished(entries: list[Entry], version: str) -> str:
    """The run that an earlier call of this command left unfinished, or a new one."""
    newest = next((entry.run for entry in reversed(entries) if entry.run), None)
    asked = ["runs", "reproduce", version]
    if newest and newest.status() in _UNFINISHED and newest.steps():
        return newest.name if newest.manifest().get("command", [])[1:4] == asked else _NEVER
    return _NEVER


def _show(found: Reproduction) -> None:
    from create_llm.runs.page import figure

    for title, pairs in (("hash", found.hashes), ("figure", found.metrics)):
        rows = [
            [key.replace("_", " "), *(figure(v)[:16] for v in (pair.then, pair.now)), _sign(pair)]
            for key, pair in pairs.items()
        ]
        show_table([title, found.first, found.second, ""], rows, {"differs": "red"})
        click.echo()
    for key, pair in found.changes.items():
        click.echo(f"{key}: {_short(pair.then)} then, {_short(pair.now)} now")
    click.echo(f"{found.second} is {_WORDS[found.verdict]}")
    click.echo(f"To keep only the first: llm runs remove {found.second}")


def _sign(pair: Pair) -> str:
    return "same" if pair.equal else "close" if pair.close else "differs"


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 else text


def _raise_if_different(found: Reproduction) -> None:
    if found.verdict == "different":
        causes = ", ".join(found.changes) or "nothing that is known of"
        raise DataError(
            f"{found.first} was not reproduced: {found.second} is another model",
            where=f"changed since then: {causes}",
            fixes=(
                f"see how they differ: llm runs diff {found.first} {found.second}",
                "reproduce it with the packages of then: they are listed in its run.json",
            ),
        )
