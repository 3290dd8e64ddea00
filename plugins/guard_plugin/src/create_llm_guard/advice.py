"""What to do, as a command that can be copied: the one of the run with what is to be changed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from create_llm.config.layers import installed_templates
from create_llm.kernel.plugins import default_plugins

_FLAGS = {"training.learning_rate": "--learning-rate", "training.max_steps": "--max-steps"}
"""Keys that have a flag of their own, by which a person knows them."""


def rerun(command: Sequence[str], changes: Mapping[str, object]) -> str:
    """The command for a new run with other values, and all that the person had asked for beside.

    Args:
        command: that of the run, with the program; where there is none, or where it is none of
            `llm train`, the answer names the changes alone.
        changes: by their keys in llm.toml; "…" for a value that only a person can choose.
    """
    words = list(command[1:]) if "train" in command[1:] else ["train"]
    own = {"--resume", *(_FLAGS[key] for key in changes if key in _FLAGS)}
    kept = shlex.join(_without(own, set(changes), words))
    # Not through shlex, which would quote "…".
    changed = " ".join(_spelt(key, value) for key, value in changes.items())
    return f"llm {kept} --resume never {changed}"


def usual_rate(config: Mapping[str, Any]) -> float | None:
    """The learning rate of the template that the run's configuration names; None where that
    template is not installed, or where it is meant for another optimizer."""
    name, training = config.get("project", {}).get("template"), config.get("training", {})
    known = {one.name: one.values for one in installed_templates(default_plugins().registry)}
    usual = known.get(name, {}).get("training", {})
    if usual.get("optimizer") != training.get("optimizer"):
        return None
    rate = usual.get("learning_rate")
    return float(rate) if rate else None


def _without(flags: set[str], keys: set[str], words: Sequence[str]) -> Iterator[str]:
    """The words that set none of these, be it as `--flag value`, `--flag=value` or by `--set`."""
    queue = iter(words)
    for word in queue:
        name, equals, value = word.partition("=")
        if name == "--set":
            setting = value if equals else next(queue, "")
            if setting.partition("=")[0].strip() not in keys:
                yield from ("--set", setting)
        elif name not in flags:
            yield word
        elif not equals:
            next(queue, None)


def _spelt(key: str, value: object) -> str:
    shown = f"{value:.2g}" if isinstance(value, float) else str(value)
    return f"{_FLAGS[key]} {shown}" if key in _FLAGS else f"--set {key}={shown}"
