"""Whether a second run of a recipe came to the same model as the first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from create_llm.runs.history import Entry

Verdict = Literal["bytes", "figures", "different"]

METRICS = ("train_loss", "val_loss", "val_perplexity", "val_bits_per_byte")
TOLERANCE = 0.01
"""How far a figure may be off, of itself, where machine or packages are others: what the last bits
of arithmetic grow to."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One thing of the first run and of the second."""

    then: object
    now: object

    @property
    def equal(self) -> bool:
        return self.then == self.now

    @property
    def close(self) -> bool:
        """Equal, or numbers within the tolerance."""
        if isinstance(self.then, int | float) and isinstance(self.now, int | float):
            return math.isclose(self.then, self.now, rel_tol=TOLERANCE)
        return self.equal


@dataclass(frozen=True, slots=True)
class Reproduction:
    """Two runs of one recipe.

    Attributes:
        hashes: of the weights, the data, the tokenizer.
        changes: packages, and what else of the machine, that are others than then.
    """

    first: str
    second: str
    hashes: Mapping[str, Pair]
    metrics: Mapping[str, Pair]
    changes: Mapping[str, Pair]

    @property
    def verdict(self) -> Verdict:
        """The same bytes, the same figures within the tolerance, or neither."""
        if self.hashes["model"].equal:
            return "bytes"
        close = all(pair.close for pair in self.metrics.values())
        return "figures" if close and self.hashes["data"].equal else "different"

    def as_dict(self) -> dict[str, object]:
        groups = {"hashes": self.hashes, "metrics": self.metrics, "changes": self.changes}
        return {
            "first": self.first,
            "second": self.second,
            "verdict": self.verdict,
            **{
                name: {key: [pair.then, pair.now] for key, pair in pairs.items()}
                for name, pairs in groups.items()
            },
        }


def compare_runs(first: Entry, second: Entry) -> Reproduction:
    """What two versions, of which the second was made like the first, have in common."""
    then, now = first.metrics, second.metrics
    keys = [key for key in METRICS if then.get(key) is not None]
    return Reproduction(
        first.name,
        second.name,
        {
            "model": Pair(_weights(first), _weights(second)),
            **{key: Pair(first.lineage[key], second.lineage[key]) for key in ("data", "tokenizer")},
        },
        {key: Pair(then[key], now.get(key)) for key in ("steps", *keys)},
        {key: pair for key, pair in _surroundings(first, second).items() if not pair.equal},
    )


def _weights(entry: Entry) -> str | None:
    return entry.bundle.weights_sha256() if entry.bundle else None


def _surroundings(first: Entry, second: Entry) -> dict[str, Pair]:
    """What the last bits of a result depend on, beside the recipe."""
    then, now = _flat(first.manifest), _flat(second.manifest)
    return {key: Pair(then.get(key), now.get(key)) for key in sorted(then.keys() | now.keys())}


def _flat(manifest: Mapping[str, Any]) -> dict[str, object]:
    frozen = manifest.get("frozen", {})
    computed = {key: frozen.get(key) for key in ("device", "precision", "threads", "compiled")}
    processor = {"processor": manifest.get("hardware", {}).get("cpu_model")}
    packages = dict(manifest.get("versions", {}))
    sources = {f"code of {name}": sha for name, sha in manifest.get("code", {}).items()}
    return {**computed, **processor, **packages, **sources}
