"""Events to callbacks: plain objects, called in order, each failure kept to its own."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from create_llm.errors import PluginError
from create_llm.runs.events import Event
from create_llm.training.callbacks import Answer, Callback, Pause, Retry, Signal, Warn

METHODS = {
    "train_start": "on_train_start",
    "epoch_start": "on_epoch_start",
    "step": "on_step_end",
    "progress": "on_progress",
    "eval": "on_eval_end",
    "sample": "on_sample",
    "checkpoint": "on_checkpoint",
    "warning": "on_warning",
    "epoch_end": "on_epoch_end",
    "diverged": "on_diverged",
    "train_end": "on_train_end",
}


@dataclass(frozen=True, slots=True)
class Dropped:
    """A callback that failed and hears no more: its name, the method, and the traceback."""

    name: str
    method: str
    error: str
    traceback: str


class Dispatcher:
    """Calls the callbacks of a run; pluggy would stop at the first that raises.

    Args:
        callbacks: (name, callback) in the order of the configuration.
        dropped: hears of each callback that failed and was not critical.
    """

    def __init__(
        self, callbacks: list[tuple[str, Callback]], dropped: Callable[[Dropped], None]
    ) -> None:
        self._callbacks = callbacks
        self._dropped = dropped

    @property
    def every_step(self) -> list[str]:
        """Names of the callbacks that want each step, at the price of waiting for the device."""
        return [name for name, callback in self._callbacks if callback.every_step]

    def emit(self, event: Event) -> Set[Answer]:
        """Tell everyone; returns what they ask for, in the order in which they did.

        Raises:
            PluginError: a critical callback failed.
        """
        answers: dict[Answer, None] = {}
        for name, callback in list(self._callbacks):
            try:
                answer = getattr(callback, METHODS[event.name])(event)
                answers.update(dict.fromkeys(_understood(answer)))
            except (Exception, SystemExit) as error:
                self._failed(name, callback, event, error)
        return answers.keys()

    def _failed(self, name: str, callback: Callback, event: Event, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"
        if callback.critical:
            raise PluginError(
                f"callback '{name}' failed in {METHODS[event.name]}: {text}",
                fixes=(f"leave it out: take '{name}' out of plugins in llm.toml",),
            ) from error
        self._callbacks = [pair for pair in self._callbacks if pair[1] is not callback]
        self._dropped(Dropped(name, METHODS[event.name], text, traceback.format_exc()))


def _understood(answer: object) -> Sequence[Answer]:
    several = answer if isinstance(answer, list | tuple) else (answer,)
    return [one for one in several if isinstance(one, Signal | Pause | Warn | Retry)]
