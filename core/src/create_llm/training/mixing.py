"""In what order a run reads its text, and how often each source of a mixture."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from create_llm.data.mixed_order import MixedOrder
from create_llm.data.order import SampleOrder
from create_llm.data.windows import Windows
from create_llm.training.batches import Batches
from create_llm.training.job import Job


def batches_of(job: Job, windows: Windows) -> Batches:
    """The batches of a run over its training windows."""
    seed, shuffle = job.config.training.seed, job.config.data.shuffle
    order = _mixed(job, windows) or SampleOrder(len(windows), seed, shuffle)
    return Batches(windows, order, job.objective, seed)


def passes_of(job: Job, windows: Windows) -> dict[str, float]:
    """How often an epoch reads each source of a mixture; empty where there is none."""
    order = _mixed(job, windows)
    return {} if order is None else dict(zip(job.data.mixed, order.passes, strict=True))


def tell_passes(job: Job, notice: Callable[[str], None]) -> None:
    """Say how often an epoch reads each source: the weights alone do not tell."""
    passes = passes_of(job, job.windows(job.data.train_streams, job.config.data.stride))
    if passes:
        notice(passes_in_words(passes))


def passes_in_words(passes: Mapping[str, float]) -> str:
    """Such as "an epoch reads books 1.4 times and wiki 0.3 times"."""
    told = [f"{name} {_number(count)} times" for name, count in passes.items()]
    *others, last = told
    return f"an epoch reads {', '.join(others)}{' and ' if others else ''}{last}"


def _number(count: float) -> str:
    """To one digit after the point, or the first two that are not zero."""
    return f"{count:,.1f}" if count >= 0.1 else f"{count:.2g}"


def _mixed(job: Job, windows: Windows) -> MixedOrder | None:
    """The order of a mixture; windows of its streams stand in the order of `job.data.mixed`."""
    if not job.config.mixture:
        return None
    weights = {each.name: each.weight for each in job.config.mixture}
    return MixedOrder(
        windows.counts,
        [weights[name] for name in job.data.mixed],
        job.config.training.seed,
        job.config.data.shuffle,
    )
