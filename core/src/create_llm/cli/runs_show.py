"""llm runs show: how far a run has come, and what it takes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from create_llm.cli.app import App
from create_llm.cli.found_runs import (
    history_of_project,
    live_runs,
    runs_of_project,
    say_if_disk_is_low,
)
from create_llm.cli.terminal import steady
from create_llm.cli.units import duration, rate, size
from create_llm.errors import ConfigError, DataError

if TYPE_CHECKING:
    from create_llm.runs.history import Entry
    from create_llm.runs.run import RunFolder
    from create_llm.training.remedies import Remedy

_MORE = (
    ("val bits per byte", "val_bits_per_byte"),
    ("val loss", "val_loss"),
    ("stopped by", "stopped_by"),
    ("model", "model"),
)


@click.command("show", epilog="\b\nExamples:\n  llm runs show\n  llm runs show v2")
@click.argument("run", required=False, metavar="[RUN|V]")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON on stdout.")
@click.pass_obj
def show(app: App, run: str | None, as_json: bool) -> None:
    """One run or version: how far it is, what it takes and made, how to go on.

    By default the live or newest run.
    """
    from create_llm.runs.history import entry_called

    entries, runs = history_of_project(app), runs_of_project(app)
    entry = entry_called(_meant(runs).name if run is None else run, entries)
    facts = {**_facts(entry, runs), **_learnt(entry)}
    if as_json:
        click.echo(json.dumps({**facts, **_version_facts(entry)}))
    else:
        learnt = [(name.replace("_", " "), facts[name]) for name in ("objective", "chat_template")]
        learnt.append(("began with", entry.lineage["init"]))
        _print([*_run_lines(entry, facts), *_version_lines(entry), *learnt])
    say_if_disk_is_low(app, entries)


def show_run(run: RunFolder, runs: list[RunFolder], *, as_json: bool) -> None:
    """Print what the files of one of the project's runs say of it."""
    facts = _run_facts(run, runs)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        _print([*_lines(facts), *((name, facts.get(key)) for name, key in _MORE)])


def _run_facts(run: RunFolder, runs: list[RunFolder]) -> dict[str, object]:
    from create_llm.runs.report import report

    facts = report(run, newest=run.name == runs[-1].name)
    return {**facts, **run.summary(), "manifest": run.manifest()}


def _facts(entry: Entry, runs: list[RunFolder]) -> dict[str, object]:
    return _run_facts(entry.run, runs) if entry.run else {}


def _learnt(entry: Entry) -> dict[str, object]:
    """What it was trained to do, and how conversations were written out for that; None where its
    settings leave it to the architecture and to the text."""
    from create_llm.data.chat.template import FILE, PLAIN

    bundle, config = entry.bundle, entry.config
    made = bundle.info.get("objective", {}) if bundle else {}
    template = config.get("data", {}).get("chat_template")
    if template is None and bundle is not None and (bundle.path / FILE).is_file():
        template = PLAIN
    return {
        "objective": made.get("name") or config.get("objective", {}).get("name"),
        "chat_template": template,
    }


def _version_facts(entry: Entry) -> dict[str, object]:
    row, bundle = entry.row(), entry.bundle
    return {
        **{key: row[key] for key in ("version", "state", "active", "best", "created", "bytes")},
        "lineage": entry.lineage,
        "bundle": bundle.info if bundle else None,
    }


def _run_lines(entry: Entry, facts: Mapping[str, object]) -> list[tuple[str, object]]:
    if entry.run is None:
        return []
    return [
        *_lines(facts),
        *_remedy_lines(entry.run, facts),
        *_pause_lines(facts),
        *_warning_lines(entry.run, facts),
        *((name, facts.get(key)) for name, key in _MORE),
    ]


def _remedy_lines(run: RunFolder, facts: Mapping[str, object]) -> list[tuple[str, object]]:
    """Each time that the run went back, why, and what it did otherwise then."""
    from create_llm.training.remedies import remedies_of

    try:
        remedies = remedies_of(run)
    except DataError as error:
        return [("went back", f"cannot be read: {error.where}")]
    lines = [line for each in remedies for line in _remedy_line(each)]
    return [*lines, *(_changed(run, facts) if lines else ())]


def _remedy_line(remedy: Remedy) -> Iterator[tuple[str, object]]:
    from create_llm.training.remedies import done_otherwise

    if remedy.at_step == remedy.from_step:
        yield "otherwise", f"from step {remedy.from_step:,}: {remedy.reason}"
    else:
        told = f"from step {remedy.at_step:,} to {remedy.from_step:,}: {remedy.reason}"
        yield "went back", told
    ends = ["an end where it was best"] if remedy.overrides.end_at_best else []
    yield "from there", ", ".join([*done_otherwise(remedy.overrides), *ends]) or None


def _changed(run: RunFolder, facts: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """What it learns with since then, where that is not what was asked for."""
    asked = run.manifest().get("config", {}).get("training", {})
    for key in ("learning_rate", "gradient_clip"):
        now, first = facts[key], asked.get(key)
        if isinstance(now, int | float) and now != first:
            yield key.replace("_", " "), f"{rate(now)} ({first} at first)"


def _warning_lines(run: RunFolder, facts: Mapping[str, object]) -> list[tuple[str, object]]:
    """What else the run has had to say, the last of it."""
    from create_llm.training.remedies import remedies_of, went_back

    warnings, pause = facts.get("warnings"), facts.get("paused_for")
    told = {pause.get("reason", "")} if isinstance(pause, Mapping) else set()
    with contextlib.suppress(DataError):  # told by the lines of remedies
        told |= {went_back(remedy) for remedy in remedies_of(run)}
    lines: list[tuple[str, object]] = []
    for each in warnings if isinstance(warnings, list) else []:
        if each["message"] in told:
            continue
        label = "note" if each["level"] == "note" else "warning"
        lines += [(label, f"step {each['step']:,}: {each['message']}"), ("try", each["suggestion"])]
    return lines


def _pause_lines(facts: Mapping[str, object]) -> list[tuple[str, object]]:
    """Why a callback paused it, and what it proposes."""
    told = facts.get("paused_for")
    if not isinstance(told, Mapping):
        return []
    suggestions = (("try", each) for each in told.get("suggestions", ()))
    return [("paused for", told.get("reason")), *suggestions]


def _version_lines(entry: Entry) -> list[tuple[str, object]]:
    """What the model is, where it comes from, and what all of it takes."""
    version = entry.version
    if version is None:
        return []
    said = [version.state, *(word for word in ("active", "best") if getattr(version, word))]
    info = entry.bundle.info if entry.bundle else {}
    lineage = entry.lineage
    parts = [info[key] for key in ("architecture", "tokenizer") if key in info]
    return [
        ("version", f"{version.name} ({', '.join(said)})"),
        ("damage", version.damage),
        ("created", info.get("created")),
        ("made of", ", ".join(parts) or None),
        ("parameters", f"{info['parameters']:,}" if info else None),
        ("data hash", lineage["data"]),
        ("tokenizer hash", lineage["tokenizer"]),
        ("like", lineage["parent"]),
        ("disk, all of it", _bytes(entry.row()["bytes"])),
    ]


def _print(lines: Iterable[tuple[str, object]]) -> None:
    for name, value in lines:
        if value is not None:
            click.echo(f"{name:<18} {steady(_text(value))}")


def _meant(runs: list[RunFolder]) -> RunFolder:
    if not runs:
        raise ConfigError("there are no runs yet", fixes=("start one: llm train",))
    return (live_runs(runs) or runs)[-1]


def _lines(facts: Mapping[str, object]) -> list[tuple[str, object]]:
    """Name and value, in the order in which one would ask."""
    total, step, best = facts["total_steps"], facts["step"], facts["best_val_loss"]
    saved = facts["checkpoint"]
    return [
        ("run", facts["run"]),
        (
            "status",
            f"{facts['status']} ({facts['process']})" if facts["process"] else facts["status"],
        ),
        ("step", f"{step} of {total}" if total else step),
        ("elapsed", _duration(facts["elapsed_seconds"])),
        ("remaining", _about(facts["remaining_seconds"])),
        ("speed", _rate(facts["tokens_per_second"])),
        ("memory", _bytes(facts["memory_bytes"])),
        ("device", facts["device"]),
        (
            "best val loss",
            f"{_text(best)} (step {facts['best_step']})" if best is not None else None,
        ),
        (
            "last checkpoint",
            f"{Path(str(saved)).name}, {_bytes(facts['checkpoint_bytes'])}" if saved else "none",
        ),
        ("disk", _bytes(facts["disk_bytes"])),
        ("go on", facts["resume"]),
    ]


def _text(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _rate(value: object) -> str | None:
    return f"{value:,.0f} tokens/s" if isinstance(value, float) else None


def _about(seconds: object) -> str | None:
    duration = _duration(seconds)
    return f"about {duration}" if duration else None


def _duration(seconds: object) -> str | None:
    return duration(seconds) if isinstance(seconds, int | float) else None


def _bytes(count: object) -> str | None:
    return size(count) if isinstance(count, int) else None
