"""What the training loop says where a run cannot go on as it was."""

from __future__ import annotations

from collections.abc import Sequence

from create_llm.errors import DivergedError, MemoryExhausted
from create_llm.runs.again import rerun_command
from create_llm.runs.events import RunWarning
from create_llm.training.schedule import Schedule
from create_llm.training.step import StepSettings

_NAMED = 4


def smaller_batches(step: int, settings: StepSettings, divided: int) -> RunWarning:
    """Micro-batches are from now on divided by so many."""
    size = -(-settings.batch_size // divided)
    return RunWarning(
        step=step,
        message=f"memory ran out; from here on {size} sequences are computed at a time, "
        f"{divided} times as often: a step still learns from the same samples",
        suggestion=f"for later runs: training.batch_size = {size} and "
        f"training.gradient_accumulation_steps = {settings.accumulation * divided}",
    )


def exhausted(step: int, what: str, length: int, where: str | None) -> MemoryExhausted:
    """`length`: tokens of a sequence."""
    return MemoryExhausted(
        f"the machine ran out of memory at step {step}: {what} does not fit",
        where=where,
        fixes=(
            "keep less of each layer: --set training.gradient_checkpointing=true",
            f"start anew with shorter sequences: --resume never --max-seq-length "
            f"{max(length // 2, 1)}",
            "or with a smaller model: --resume never --set model.layers=…",
        ),
    )


def diverged(
    step: int,
    windows: Sequence[int],
    learning_rate: float,
    where: str | None,
    command: Sequence[str] = (),
) -> DivergedError:
    """
    Args:
        windows: of the training text, those of the step's batch.
        where: the last checkpoint that is good.
        command: that the run was begun with.
    """
    slower = rerun_command(command, {"training.learning_rate": learning_rate / 3})
    named = ", ".join(map(str, windows[:_NAMED])) + (", …" if len(windows) > _NAMED else "")
    return DivergedError(
        f"the loss or a gradient stopped being a number at step {step}, in the batch of windows "
        f"{named} of the training text; that update was not made",
        where=where,
        fixes=(
            f"learn more slowly: {slower}",
            "warm up for longer: --set training.warmup_steps=…",
            "run.json in the run's folder names all windows of the batch",
        ),
    )


def shorter_warmup(schedule: Schedule) -> str:
    """The run is too short for the warm-up that was asked for."""
    used = f"the warm-up takes {schedule.warmup:,}" if schedule.warmup else "there is no warm-up"
    return (
        f"training.warmup_steps = {schedule.warmup_steps:,} is more than a tenth of the "
        f"{schedule.total_steps:,} steps of this run: {used}"
    )
