"""The history of a project: its runs, and the versions of its model that they made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from create_llm.errors import ConfigError, DataError, did_you_mean
from create_llm.models.bundle import ModelBundle
from create_llm.models.versions import Gone, active_version, gone_version, numbered
from create_llm.runs.events import read_events
from create_llm.runs.lock import holder_of
from create_llm.runs.origin import Origin, origin_of
from create_llm.runs.recipe import parent_of
from create_llm.runs.report import LIVE, disk_bytes, read_progress
from create_llm.runs.run import RunFolder


@dataclass(frozen=True, slots=True)
class Version:
    """models/vN.

    Attributes:
        bundle: None where it is gone or damaged.
        gone: what it left when it was removed or archived.
        damage: why it cannot be opened.
    """

    name: str
    path: Path
    bundle: ModelBundle | None = None
    gone: Gone | None = None
    damage: str | None = None
    active: bool = False
    best: bool = False

    @property
    def state(self) -> str:
        """present, archived, removed or damaged."""
        if self.gone is not None:
            return "archived" if self.gone.archive else "removed"
        return "present" if self.bundle else "damaged"

    @property
    def run(self) -> str | None:
        """The run that made it."""
        if self.gone is not None:
            return self.gone.run
        return self.bundle.info.get("run") if self.bundle else None


@dataclass(frozen=True)
class Entry:
    """A run, the version that it made, or both."""

    run: RunFolder | None
    version: Version | None = None

    @property
    def name(self) -> str:
        """What to call it by: the version while it is there, else the run."""
        if self.version is not None and (self.run is None or self.version.bundle is not None):
            return self.version.name
        assert self.run is not None  # one of the two is there
        return self.run.name

    @property
    def bundle(self) -> ModelBundle | None:
        return self.version.bundle if self.version else None

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return self.run.manifest() if self.run else {}

    @property
    def config(self) -> dict[str, Any]:
        """The settings it was made with, as they were at its end."""
        recipe: dict[str, Any] = self.bundle.info.get("recipe", {}) if self.bundle else {}
        return recipe or dict(self.manifest.get("config", {}))

    @property
    def metrics(self) -> dict[str, Any]:
        """Its final figures: steps, tokens, train_loss, val_loss, val_perplexity,
        val_bits_per_byte."""
        if self.bundle is not None:
            return dict(self.bundle.info.get("metrics", {}))
        return self.run.summary() if self.run else {}

    @property
    def lineage(self) -> dict[str, str | None]:
        """Where it comes from: hashes of data and tokenizer, the version it is like, and the one
        that it began with."""
        identity = self.manifest.get("identity", {})
        data = self.bundle.info.get("data", {}) if self.bundle else {}
        return {
            "data": identity.get("data", data.get("key")),
            "tokenizer": identity.get("tokenizer"),
            "parent": parent_of(self.config),
            "init": self.origin.model if self.origin else None,
        }

    @property
    def origin(self) -> Origin | None:
        """The model whose weights it began with; None for random ones."""
        made = self.bundle.info.get("init") if self.bundle else None
        return origin_of(made) or origin_of(self.manifest.get("init"))

    @property
    def folders(self) -> tuple[Path, ...]:
        """Everything that it takes on the disk."""
        runs = (self.run.path, self.run.checkpoints) if self.run else ()
        return (*runs, *((self.version.path,) if self.version else ()))

    def row(self) -> dict[str, object]:
        """What `llm runs list` tells of it, by its JSON names; None for what is not known."""
        version, metrics = self.version, self.metrics
        status = self.run.status() if self.run else None
        holder = holder_of(self.run.path) if self.run and status == LIVE else None
        summary = self.run.summary() if self.run else {}
        made = self.bundle.info if self.bundle else {}
        return {
            "run": self.run.name if self.run else None,
            "version": version.name if version else None,
            "state": version.state if version else None,
            "active": bool(version and version.active),
            "best": bool(version and version.best),
            "status": status,
            "process": str(holder) if holder else None,
            "started": _started(self.run),
            "created": made.get("created"),
            "steps": metrics.get("steps", self._steps()),
            "parameters": made.get("parameters", summary.get("parameters")),
            "val_loss": metrics.get("val_loss"),
            "val_bits_per_byte": metrics.get("val_bits_per_byte"),
            "tokens_per_second": summary.get("tokens_per_second"),
            "model": str(version.path) if version and version.bundle else None,
            "bytes": disk_bytes(*self.folders),
            "parent": self.lineage["parent"],
        }

    def _steps(self) -> int | None:
        """How far a run without a summary is: a live one by what it told last, one that was killed
        by its last checkpoint."""
        if self.run is None:
            return 0
        if self.run.status() == LIVE:
            return read_progress(self.run.events).step
        return max(self.run.steps(), default=None)


def history(models: Path, runs: Sequence[RunFolder]) -> list[Entry]:
    """Every run, oldest first, with the version it made; before them the versions without a run."""
    found = _versions(models)
    made: dict[str | None, list[Version]] = defaultdict(list)
    for version in found:
        made[version.run].append(version)
    names = {run.name for run in runs}
    alone = [v for v in found if v.run not in names and v.gone is None]
    return [
        *(Entry(None, version) for version in alone),
        *(Entry(run, version) for run in runs for version in made.get(run.name, [None])),
    ]


def entry_called(name: str, entries: Sequence[Entry]) -> Entry:
    """The entry of a version or a run.

    Raises:
        ConfigError: there is none; with the nearest name.
    """
    for entry in entries:
        if entry.version is not None and entry.version.name == name:
            return entry
    # Of a run that made several versions, the latest.
    for entry in reversed(entries):
        if entry.run is not None and entry.run.name == name:
            return entry
    raise ConfigError(
        f"there is no run or version called '{name}'",
        fixes=(*did_you_mean(name, _names(entries)), "see them: llm runs list"),
    )


def _names(entries: Iterable[Entry]) -> list[str]:
    names: list[str] = []
    for entry in entries:
        names += [entry.version.name] if entry.version else []
        names += [entry.run.name] if entry.run else []
    return names


def _versions(models: Path) -> list[Version]:
    opened = [_opened(models, name) for name in numbered(models)]
    best = _best([version.bundle for version in opened if version.bundle])
    active = active_version(models)
    return [
        Version(v.name, v.path, v.bundle, v.gone, v.damage, v.name == active, v.name == best)
        for v in opened
    ]


def _opened(models: Path, name: str) -> Version:
    """One that is damaged must not hide the others: it is listed as what it is."""
    path = models / name
    try:
        gone = gone_version(models, name)
        return Version(name, path, None if gone else ModelBundle.open(path), gone)
    except DataError as error:
        return Version(name, path, damage=error.what)


def _best(bundles: Sequence[ModelBundle]) -> str | None:
    """Fewest bits per byte; where no model scores text, the lowest validation loss."""
    for metric in ("val_bits_per_byte", "val_loss"):
        scored = {bundle.name: _score(bundle.info, metric) for bundle in bundles}
        known = {name: score for name, score in scored.items() if score is not None}
        if known:
            return min(known, key=known.__getitem__)
    return None


def _score(info: Mapping[str, Any], metric: str) -> float | None:
    value = info.get("metrics", {}).get(metric)
    return value if isinstance(value, int | float) else None


def _started(run: RunFolder | None) -> str | None:
    """When its first event was, UTC."""
    if run is None or not run.events.is_file():
        return None
    first = next(read_events(run.events), {})
    return first.get("time") if isinstance(first, dict) else None
