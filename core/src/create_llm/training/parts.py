"""What the training loop is told, and what it is put together from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Protocol

from create_llm.config.intervals import Interval
from create_llm.models.evaluation import Scores
from create_llm.runs.events import Event
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.training.batches import Batches
from create_llm.training.callbacks import Answer
from create_llm.training.checkpointing import Model
from create_llm.training.eta import Pause
from create_llm.training.optimizers import Updates
from create_llm.training.schedule import Schedule
from create_llm.training.step import StepSettings
from create_llm.training.stopping import Stop, StopWatch
from create_llm.training.wrapped import WrappedModel
from create_llm.world import World


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """The numbers of the loop; log_interval in steps.

    Attributes:
        set_by: which key settled `total_steps`: max_steps, epochs or max_seconds.
        deadline: when the run ends at the latest (seconds of `time.monotonic`), or None.
        at_best: the run went back to its best step, to end there.
        command: that the run was begun with, for advice.
        followed: how the run that this one follows went on at a step, where that was otherwise.
    """

    total_steps: int
    step: StepSettings
    log_interval: int
    eval_interval: Interval
    save_interval: Interval
    sample_interval: Interval
    save_on_interrupt: bool
    set_by: str = "max_steps"
    deadline: float | None = None
    at_best: bool = False
    command: tuple[str, ...] = ()
    followed: Mapping[int, Stop] = field(default_factory=dict)

    def intervals(self) -> dict[Pause, Interval]:
        return {
            "save": self.save_interval,
            "evaluate": self.eval_interval,
            "sample": self.sample_interval,
        }


class Outside(Protocol):
    """What the loop asks of its surroundings."""

    def emit(self, event: Event) -> Set[Answer]:
        """Log an event and tell the callbacks; returns what they ask for."""
        ...

    def score(self, between: Callable[[int, int], None]) -> Scores:
        """Evaluate the model on the validation part, and on some of the training part.

        `between` hears how many windows are scored, of how many; it may raise to end it.
        """
        ...

    def sample(self, step: int, between: Callable[[], None]) -> tuple[str, str] | None:
        """A prompt and how the model continues it; None for a model that does not write."""
        ...

    def keep(self, name: str, value: object) -> None:
        """Write down what a resume of the run needs to know, or what a person should look at."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a trainer is put together from."""

    model: Model
    wrapped: WrappedModel
    updates: Updates
    schedule: Schedule
    batches: Batches
    store: CheckpointStore
    watch: StopWatch
    world: World
    outside: Outside
