"""The figures of an event, by the names under which every picture of a run draws them."""

from __future__ import annotations

from functools import singledispatch

from create_llm.runs.events import EvalEnd, Event, StepEnd


@singledispatch
def metrics_of(event: Event) -> dict[str, float]:
    """Name → value of what an event measures; empty for an event that measures nothing.

    `train/…` are of the training text, `val/…` of the validation text. What was not measured has
    no name here; what was measured may be NaN or infinite.
    """
    return {}


@metrics_of.register
def _(event: StepEnd) -> dict[str, float]:
    return {
        "train/loss": event.loss,
        "train/learning_rate": event.learning_rate,
        "train/grad_norm": event.grad_norm,
        "train/tokens_per_second": event.tokens_per_second,
        "train/memory_bytes": float(event.memory_bytes),
    }


@metrics_of.register
def _(event: EvalEnd) -> dict[str, float]:
    measured = {"val/loss": event.val_loss, "val/bits_per_byte": event.val_bits_per_byte}
    return {name: value for name, value in measured.items() if value is not None}
