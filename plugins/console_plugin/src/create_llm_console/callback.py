"""The callback `console`: what a run has to say, in the order it happens."""

from __future__ import annotations

from rich.console import Console as Terminal

from create_llm.cli.units import UNKNOWN, bits, count, counted, duration, loss, rate
from create_llm.runs.events import (
    CheckpointSaved,
    Doing,
    EpochEnd,
    EvalEnd,
    Level,
    ProgressMade,
    RunWarning,
    SampleGenerated,
    StepEnd,
    TrainEnd,
    TrainStart,
)
from create_llm.training.callbacks import Callback
from create_llm_console.config import ConsoleConfig
from create_llm_console.screens import Aside, LiveScreen, PlainScreen, Progressed, Screen, Tone


class Console(Callback):
    """Shows a run on stderr, so that stdout stays free for results.

    Args:
        config: the callback's section of llm.toml.
        terminal: where to draw, if not on stderr.
    """

    def __init__(self, config: ConsoleConfig, terminal: Terminal | None = None) -> None:
        self._config = config
        self._screen = _screen(config, terminal or Terminal(stderr=True, highlight=False))
        self._total = 0
        self._bits_per_byte: float | None = None

    def on_train_start(self, event: TrainStart) -> None:
        self._total = event.total_steps
        self._screen.line(
            f"run {event.run}: {event.model}, {count(event.parameters)} parameters, "
            f"{count(event.train_tokens)} tokens to learn from, {count(event.val_tokens)} held out"
        )
        self._screen.line(
            f"{counted(event.total_steps, 'step')} of {count(event.tokens_per_step)} tokens, "
            f"{event.optimizer}, {event.precision} on {event.device}, seed {event.seed}",
            "quiet",
        )
        if event.resumed_from is not None:
            self._screen.line(f"resumed from step {count(event.resumed_from)}", "good")
        self._screen.start(event.step, event.total_steps)

    def on_step_end(self, event: StepEnd) -> None:
        figures = (
            f"loss {loss(event.loss)}",
            f"{count(event.tokens_per_second)} tokens/s",
            f"lr {rate(event.learning_rate)}",
            *_bits_per_byte("val", self._bits_per_byte),
        )
        eta = duration(event.eta_seconds)
        self._screen.progress(Progressed(event.step, self._total, eta, figures))

    def on_progress(self, event: ProgressMade) -> None:
        if event.doing == "train":
            eta = UNKNOWN if event.eta_seconds is None else duration(event.eta_seconds)
            self._screen.moved(event.step, eta)
        else:
            self._screen.aside(Aside(_ASIDES[event.doing], event.done, event.total))

    def on_eval_end(self, event: EvalEnd) -> None:
        self._screen.aside(None)
        self._bits_per_byte = event.val_bits_per_byte
        figures = (
            f"step {count(event.step)}: validation loss {loss(event.val_loss)}",
            *_bits_per_byte("", event.val_bits_per_byte),
            f"train loss {loss(event.train_loss)}",
            *(("the best so far",) if event.best else ()),
        )
        self._screen.line(", ".join(figures))

    def on_sample(self, event: SampleGenerated) -> None:
        self._screen.aside(None)
        if self._config.samples:
            written = event.text.rstrip() or " (nothing was written)"
            self._screen.sample(f"sample at step {count(event.step)}", event.prompt + written)

    def on_checkpoint(self, event: CheckpointSaved) -> None:
        took = f"{event.seconds:.1f} s"
        self._screen.line(f"checkpoint ({event.reason}, {took}): {event.path}", "quiet")

    def on_warning(self, event: RunWarning) -> None:
        tone = _LEVELS[event.level]
        label = "" if event.level == "note" else "warning: "
        self._screen.line(label + event.message, tone)
        if event.suggestion:
            self._screen.line(f"  try: {event.suggestion}", tone)

    def on_epoch_end(self, event: EpochEnd) -> None:
        figures = (
            f"epoch {count(event.epoch)}: mean train loss {loss(event.train_loss)} over its steps",
            *(("last validation loss " + loss(event.val_loss),) if event.val_loss else ()),
            f"lr {rate(event.learning_rate)}",
            duration(event.seconds),
        )
        self._screen.line(", ".join(figures))

    def on_train_end(self, event: TrainEnd) -> None:
        self._screen.stop()
        tone = _TONES.get(event.status, "bad")
        self._screen.line(
            f"{event.status} at step {count(event.step)} of {count(self._total)} after "
            f"{duration(event.seconds)} ({event.stopped_by})",
            tone,
        )
        if event.error:
            self._screen.line(event.error, tone)


_ASIDES: dict[Doing, str] = {"evaluate": "evaluating", "sample": "writing a sample"}
_TONES: dict[str, Tone] = {
    "completed": "good",
    "paused": "warning",
    "interrupted": "warning",
    "rewound": "warning",
}
_LEVELS: dict[Level, Tone] = {"note": "normal", "warning": "warning", "serious": "bad"}


def _bits_per_byte(label: str, value: float | None) -> tuple[str, ...]:
    """One figure, or none where nothing was measured."""
    return () if value is None else (f"{label} {bits(value)}".lstrip(),)


def _screen(config: ConsoleConfig, terminal: Terminal) -> Screen:
    # Not `terminal.is_terminal`: FORCE_COLOR, common in CI, makes it true for files and pipes.
    capable = terminal.file.isatty() and not terminal.no_color and not terminal.is_dumb_terminal
    live = capable if config.style == "auto" else config.style == "live"
    return LiveScreen(terminal) if live else PlainScreen(terminal)
