"""What happens in a run, as frozen events appended to `logs/<run>/events.jsonl`.

Every picture of a run is a reader of this file. One JSON object a line: `event`, `time` (UTC, ISO
8601, milliseconds), `step` (optimizer updates completed), `session` (rises at each resume) and
the event's own fields. A number that is not finite is null, with `nonfinite: true`. Readers skip
a torn last line; the first line carries `schema`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

SCHEMA = 1

Doing = Literal["train", "evaluate", "sample"]
Level = Literal["note", "warning", "serious"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events; `step` counts completed optimizer updates.

    Attributes:
        kept: whether it is written to events.jsonl; callbacks hear of it in any case.
    """

    name: ClassVar[str]
    kept: ClassVar[bool] = True
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainStart(Event):
    """The run is about to take its first step (or its next one, after a resume).

    Attributes:
        vocab_size: of the model.
        remedies: how often the run has gone back so far, or gone on otherwise than it began,
            since a callback asked for it.
        learning_rate: at the schedule's peak, with what the run does otherwise since; None in runs
            of older versions, as `gradient_clip`.
        gradient_clip: the greatest length of a gradient, likewise; 0: any.
    """

    name: ClassVar[str] = "train_start"
    run: str
    folder: str
    model: str
    parameters: int
    total_steps: int
    steps_per_epoch: float
    tokens_per_step: int
    train_tokens: int
    val_tokens: int
    device: str
    precision: str
    optimizer: str
    seed: int
    resumed_from: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    vocab_size: int | None = None
    remedies: int = 0
    learning_rate: float | None = None
    gradient_clip: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochStart(Event):
    name: ClassVar[str] = "epoch_start"
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd(Event):
    """The state of training, averaged since the last `step` event.

    Attributes:
        loss: mean nats per counted token since the last `step` event.
        tokens_per_second: counted tokens, all ranks, since the last `step` event.
        grad_norm: of the last step, before clipping.
        eta_seconds: until the end of the run, with the evaluations, samples and checkpoints that
            are to come, as long as those before took.
        memory_bytes: in use by this process (resident on a CPU, allocated on a GPU).
        memory_peak_bytes: the most that was in use at once since the process or, on a GPU, the
            session began.
        memory_total_bytes: of the GPU, or of the machine.
    """

    name: ClassVar[str] = "step"
    loss: float
    learning_rate: float
    tokens_per_second: float
    grad_norm: float
    eta_seconds: float
    epoch: float
    tokens: int
    memory_bytes: int
    memory_peak_bytes: int | None = None
    memory_total_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressMade(Event):
    """How far the run is in what it is doing; a few times a second, and for displays alone.

    Attributes:
        done, total: of a training, steps; of an evaluation, windows of text. `total` is None where
            it is not known.
        eta_seconds: until the end of the run; None before a step was measured.
    """

    name: ClassVar[str] = "progress"
    kept: ClassVar[bool] = False
    doing: Doing
    done: int
    total: int | None
    eta_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalEnd(Event):
    """Losses in nats per token, both measured with the model as it is at this step: `val_loss` over
    all of the validation part, `train_loss` over the same few windows of the training part each
    time. `best` if no `val_loss` was lower.
    """

    name: ClassVar[str] = "eval"
    train_loss: float
    val_loss: float
    val_bits_per_byte: float | None
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleGenerated(Event):
    name: ClassVar[str] = "sample"
    prompt: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved(Event):
    """The checkpoint of `step` is durable; steps taken since then may have been told before.

    Attributes:
        reason: what it was for (interval, evaluation, final …).
        seconds: from the request until it was durable, beside the training.
        stall_seconds: of these, how long the training stood still.
    """

    name: ClassVar[str] = "checkpoint"
    path: str
    reason: str
    seconds: float
    stall_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWarning(Event):
    """Something a person should know; the run goes on.

    Attributes:
        level: "note" for what is no trouble, "serious" for what spoils the model.
    """

    name: ClassVar[str] = "warning"
    message: str
    suggestion: str | None = None
    level: Level = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diverged(Event):
    """The loss, a gradient or a weight stopped being a number. The run ends with this, unless a
    callback answers with a `Retry`; nothing of it has been saved."""

    name: ClassVar[str] = "diverged"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnd(Event):
    """One pass over the training samples is over.

    `train_loss` is the mean over its steps, each measured while the model learnt from it;
    `val_loss` the latest score of the validation part.
    """

    name: ClassVar[str] = "epoch_end"
    epoch: int
    train_loss: float
    val_loss: float | None
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainEnd(Event):
    """The run is over. `status`: completed, paused, interrupted, failed or diverged; or rewound:
    only this session is over, and the next one goes on at once from an earlier step."""

    name: ClassVar[str] = "train_end"
    status: str
    stopped_by: str
    seconds: float
    train_loss: float | None
    val_loss: float | None
    val_bits_per_byte: float | None
    model: str | None = None
    error: str | None = None


class EventLog:
    """Appends events to a file, one line each, flushed at once so that readers can follow."""

    def __init__(self, path: Path, session: int) -> None:
        self._session = session
        fresh = not path.exists()
        self._file = path.open("a", encoding="utf-8")
        if not fresh:
            self._end_torn_line(path)
        self._header = {"schema": SCHEMA} if fresh else {}

    def append(self, event: Event) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        envelope = {"event": event.name, "time": now, "step": event.step, "session": self._session}
        line = {**self._header, **envelope, **asdict(event)}
        self._file.write(json.dumps(_finite(line), ensure_ascii=False) + "\n")
        self._file.flush()
        self._header = {}

    def close(self) -> None:
        self._file.close()

    def _end_torn_line(self, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(0, 2)
            if file.tell() == 0:
                return
            file.seek(-1, 2)
            torn = file.read(1) != b"\n"
        if torn:
            self._file.write("\n")


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a file, live or finished, as written; torn lines are skipped."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                continue


def _finite(line: dict[str, Any]) -> dict[str, Any]:
    """The line with non-finite numbers as null, which JSON can carry, and a flag that says so."""
    bad = [k for k, v in line.items() if isinstance(v, float) and not math.isfinite(v)]
    return {**line, **dict.fromkeys(bad), "nonfinite": True} if bad else line
