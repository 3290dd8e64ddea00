"""Models side by side: what was measured of each, and what can be said of all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from create_llm.data.preparation.ingredients import tokenizer_sha256
from create_llm.models.asking import asked
from create_llm.models.bundle import ModelBundle
from create_llm.models.conversation import Message
from create_llm.models.engine import TextModel
from create_llm.models.generation import Notice, Sampling, TextStream
from create_llm.runs.curves import Points
from create_llm.runs.settings import differences
from create_llm.storage.durable import read_manifest

SCHEMA = 1
METRICS = (
    "bits_per_byte", "loss", "perplexity", "tokens_per_second", "parameters", "bytes",
)  # fmt: skip
"""What the models are compared by, in the order in which one would ask."""
_BETTER: Mapping[str, Callable[[Sequence[float]], float]] = {
    "bits_per_byte": min,
    "loss": min,
    "perplexity": min,
    "tokens_per_second": max,
    "parameters": min,
    "bytes": min,
}
_PER_TOKEN = ("loss", "perplexity")
_SAME, _SAME_SPEED = 0.005, 0.1
STAR_RULE = " the best of its column, with what is within 0.5 % of it (of speeds, 10 %)"
"""Another seed moves the score of a small model by about as much, another process beside it the
speed."""


@dataclass(slots=True)
class ScoredText:
    """Documents on their way to a model, and what they were once all of them have passed."""

    name: str
    documents: int = 0
    bytes: int = 0
    _digest: Any = field(default_factory=hashlib.sha256)

    def read(self, texts: Iterable[str]) -> Iterator[str]:
        for text in texts:
            data = text.encode()
            self.documents += 1
            self.bytes += len(data)
            self._digest.update(len(data).to_bytes(8, "big") + data)
            yield text

    def as_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "documents": self.documents,
            "bytes": self.bytes,
            "sha256": self._digest.hexdigest(),
        }


@dataclass(frozen=True, slots=True)
class Compared:
    """One of the models.

    Attributes:
        name: as the person called it.
        figures: loss (nats per token), perplexity, bits_per_byte, tokens, tokens_per_second.
        tokenizer: SHA-256 (hex); models with the same one have the same tokens.
        samples: prompt → how it goes on, or what it answers; empty for a model that does not
            write.
        conversation: whether it has learnt conversations, and answers.
        curves: what its run measured; empty where the run's events are not at hand.
    """

    name: str
    bundle: ModelBundle
    figures: Mapping[str, float | int | None]
    tokenizer: str
    samples: Mapping[str, str]
    curves: Mapping[str, Points]
    conversation: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        bundle: ModelBundle,
        model: TextModel,
        figures: Mapping[str, float | int | None],
        curves: Mapping[str, Points],
        *,
        prompts: Sequence[str],
        sampling: Sampling,
        notice: Notice,
    ) -> Compared:
        """With its samples, which are made here."""
        given = prompts if model.generates else ()
        samples = {prompt: _sample(model, prompt, sampling, notice) for prompt in given}
        tokenizer, talks = tokenizer_sha256(model.tokenizer), model.template is not None
        return cls(name, bundle, figures, tokenizer, samples, curves, talks)

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings that it was made with."""
        return dict(self.bundle.info.get("recipe", {}))

    def as_dict(self) -> dict[str, Any]:
        info = self.bundle.info
        return {
            "name": self.name,
            "model": str(self.bundle.path),
            "run": info.get("run"),
            "architecture": info["architecture"],
            "tokenizer": info["tokenizer"],
            "tokenizer_sha256": self.tokenizer,
            "objective": info.get("objective", {}).get("name"),
            "parameters": info["parameters"],
            # Of what it was written as: engines keep their own form of it in the folder, too.
            "bytes": sum(record.size for record in read_manifest(self.bundle.path).values()),
            **self.figures,
            "conversation": self.conversation,
            "samples": dict(self.samples),
            "curves": {metric: [list(p) for p in points] for metric, points in self.curves.items()},
        }


def comparable_by_token(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a loss per token means the same in all of them: the same tokens, the same task."""
    return len({(row["tokenizer_sha256"], row["objective"]) for row in rows}) == 1


def best_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Metric → the names of the models that are best by it, the very best first.

    What is as good as the best but for chance is best too. What does not tell models apart has no
    best: a metric that is the same in all of them, or one per token where they do not have the
    same tokens.
    """
    left_out = () if comparable_by_token(rows) else _PER_TOKEN
    best = {}
    for metric in (m for m in METRICS if m not in left_out):
        values = {row["name"]: row[metric] for row in rows if row[metric] is not None}
        names = sorted(values, key=values.__getitem__, reverse=_BETTER[metric] is max)
        good = [name for name in names if _as_good(metric, values[name], values[names[0]])]
        if len(good) < len(values):
            best[metric] = good
    return best


def _as_good(metric: str, value: float, best: float) -> bool:
    margin = _SAME_SPEED if metric == "tokens_per_second" else _SAME
    return abs(value - best) <= margin * abs(best)


def notes_on_conversations(models: Sequence[Compared]) -> list[str]:
    """Why these scores are not those of the runs."""
    if not any(model.conversation for model in models):
        return []
    return [
        "these are scores of all the text; while training and in llm runs list, a model of "
        "conversations is scored on the answers alone, in the form of its chat template"
    ]


def _sample(model: TextModel, prompt: str, sampling: Sampling, notice: Notice) -> str:
    stream = TextStream(model, asked(model, [Message("user", prompt)], notice), sampling, notice)
    for _ in stream:
        pass
    return stream.result().text


def comparison(
    models: Sequence[Compared],
    text: Mapping[str, object],
    sampling: Sampling,
    notes: Sequence[str],
    time: str,
) -> dict[str, Any]:
    """All that was found, as the JSON report has it."""
    rows = [model.as_dict() for model in models]
    prompts = dict.fromkeys(prompt for model in models for prompt in model.samples)
    changed = differences([model.recipe for model in models])
    return {
        "schema": SCHEMA,
        "time": time,
        "text": dict(text),
        "models": rows,
        "best": best_of(rows),
        "comparable_by_token": comparable_by_token(rows),
        "differences": {key: list(values) for key, values in changed.items()},
        "prompts": list(prompts),
        "sampling": asdict(sampling),
        "notes": list(notes),
    }
