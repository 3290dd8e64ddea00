"""The callback `wandb`: what a run measures, logged to Weights & Biases."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from create_llm.errors import DivergedError, Paused
from create_llm.runs.events import (
    EvalEnd,
    Event,
    SampleGenerated,
    StepEnd,
    TrainEnd,
    TrainStart,
)
from create_llm.runs.metrics import metrics_of
from create_llm.training.callbacks import Callback
from create_llm_wandb.config import WandBConfig

if TYPE_CHECKING:
    from create_llm_wandb.client import Client

_EXIT_STATUS = {
    "completed": 0,
    "paused": Paused.exit_code,
    "rewound": Paused.exit_code,  # the next session, which follows at once, goes on with it
    "diverged": DivergedError.exit_code,
    # What wandb itself reports after Ctrl-C: it shows such a run as killed, not as failed.
    "interrupted": 255,
}


class WandB(Callback):
    """Logs a run, under the run's own name, so that a resumed one goes on where it was."""

    def __init__(self, config: WandBConfig) -> None:
        self._config = config
        self._client: Client | None = None

    def on_train_start(self, event: TrainStart) -> None:
        # Not at module level: where wandb cannot be imported, the run loses its log, not its start.
        from create_llm_wandb.client import chosen_mode, connect

        if self._client:  # of a start without an end: wandb has one run of a name at a time
            self._client.finish(1)
        mode = chosen_mode(self._config)
        if mode != "disabled":
            self._client = connect(self._config, mode, event)

    def on_step_end(self, event: StepEnd) -> None:
        self._log(event)

    def on_eval_end(self, event: EvalEnd) -> None:
        self._log(event)

    def on_sample(self, event: SampleGenerated) -> None:
        if self._client and self._config.samples:
            self._client.log_html(event.step, "sample", _verbatim(event.prompt + event.text))

    def on_train_end(self, event: TrainEnd) -> None:
        if self._client:
            self._client.finish(_EXIT_STATUS.get(event.status, 1))

    def _log(self, event: Event) -> None:
        if self._client:
            self._client.log(event.step, metrics_of(event))


def _verbatim(text: str) -> str:
    """HTML that shows `text`, in ASCII, whatever a browser takes the file's encoding to be."""
    shown = html.escape(text).encode("ascii", "xmlcharrefreplace").decode("ascii")
    return f'<pre style="white-space: pre-wrap">{shown}</pre>'
