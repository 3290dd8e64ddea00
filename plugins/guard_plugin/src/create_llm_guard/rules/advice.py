"""Advice with the numbers of the run, so that it can be copied; in words where they are unknown."""

from __future__ import annotations

from create_llm_guard.rules.base import Run

MORE_TEXT = "more text: put files into data/raw"
DROPOUT = 0.1

LEAST_STEPS = 20
"""Fewer are not worth a run."""

_PASSES = 20.0


def read_too_often(run: Run, steps: int) -> bool:
    """Whether so many steps read a text, small for the model, more often than it is worth."""
    passes = steps * run.tokens_per_step / max(run.train_tokens, 1)
    return passes > _PASSES and run.parameters > run.train_tokens


def more_steps(run: Run) -> str:
    """Twice as many, unless the text is too little for that."""
    if read_too_often(run, 2 * run.total_steps):
        return MORE_TEXT
    training = run.config.get("training", {})
    if run.total_steps >= training.get("max_steps", 0):
        return f"more steps: {run.again(max_steps=2 * run.total_steps)}"
    # What ended it has a flag of its own, which would outdo `--set`.
    key = "epochs" if training.get("epochs") else "max_seconds"
    limit = training.get(key)
    return f"a longer run: training.{key} = {2 * limit:g}" if limit else "a longer run"


def longer_warmup(run: Run) -> tuple[str, ...]:
    """Nothing where it takes a tenth of the run: that is the most that is used."""
    most = run.total_steps // 10
    if run.warmup_steps >= most:
        return ()
    return (f"a longer warm-up: {run.again(warmup_steps=most)}",)


def larger_model(run: Run) -> str:
    """By half as many layers again."""
    layers = _layers(run)
    if layers is None:
        return "a larger model"
    return f"a larger model: {run.again_with({'model.layers': max(layers * 3 // 2, layers + 1)})}"


def smaller_model(run: Run) -> str:
    """By half its layers."""
    layers = _layers(run)
    if layers is None or layers < 2:
        return "a smaller model"
    return f"a smaller model: {run.again_with({'model.layers': layers // 2})}"


def more_dropout(run: Run) -> str:
    """A tenth, or a tenth more."""
    dropout = run.config.get("model", {}).get("dropout")
    if not isinstance(dropout, float | int) or dropout > 0.4:
        return "hold it back: more dropout, where the model has it"
    return f"hold it back: {run.again_with({'model.dropout': dropout + DROPOUT})}"


def _layers(run: Run) -> int | None:
    """None also for a run that began with the weights of a model, whose size is given."""
    layers = run.config.get("model", {}).get("layers")
    given = run.config.get("training", {}).get("init")
    return layers if isinstance(layers, int) and not given else None
