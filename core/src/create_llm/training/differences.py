"""What makes it another run than the one that was left unfinished, or changes its bits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from create_llm.config.hardware import resolve_device
from create_llm.config.values import DEFAULT
from create_llm.data.pipeline import changes_of_text
from create_llm.errors import ConfigError
from create_llm.runs.origin import origin_of
from create_llm.runs.run import RunFolder
from create_llm.training.machine import changes_of_machine
from create_llm.training.picked import Chooser, Picked

_RANDOM = "random weights"
_MICRO_BATCH = ("training.batch_size", "training.gradient_accumulation_steps")
_TEXT = ("data", "tokenizer")
_LENGTH = ("max_seconds", "max_steps", "epochs")


def refuse_if_another(chooser: Chooser, picked: Picked, identity: Mapping[str, object]) -> None:
    """
    Args:
        identity: with the hashes of the data and the tokenizer, which exist by now.

    Raises:
        ConfigError: data or tokenizer are not those that the run began with.
    """
    if picked.step is not None:
        refuse_if_different(chooser, picked, _differences(chooser, picked.run, identity))


def changes_before_work(chooser: Chooser, run: RunFolder) -> list[str]:
    """How a run differs from what is asked for now, as far as it can be told without working."""
    before = _identity(run)
    text = {key: before[key] for key in _TEXT if key in before}
    changed = _differences(chooser, run, {**chooser.identity(), **text})
    if changed or not all(key in before for key in _TEXT):
        return changed
    return changes_of_text(
        chooser.project,
        chooser.config,
        chooser.control_tokens,
        tokenizer_hash=str(before["tokenizer"]),
        key=str(before["data"]),
    )


def _identity(run: RunFolder) -> dict[str, Any]:
    identity: dict[str, Any] = run.manifest().get("identity", {})
    return identity


def _differences(chooser: Chooser, run: RunFolder, now: Mapping[str, Any]) -> list[str]:
    before = _identity(run)
    settings = chooser.config.settings
    # The key of a later version, which begins with what the run did without knowing it.
    new = {key for key in now.keys() - before.keys() if key in settings}
    new = {key for key in new if settings[key].source == DEFAULT}
    keys = sorted(before.keys() | now.keys() - new)
    changed = [key for key in keys if before.get(key) != now.get(key)]
    if _effective_batch(before) == _effective_batch(now):
        # However it is divided, each step learns from the same samples.
        changed = [key for key in changed if key not in _MICRO_BATCH]
    changes = {key: (repr(before.get(key)), repr(now.get(key))) for key in changed}
    if "init" in changes:
        began = chooser.initial.as_dict() if chooser.initial else None
        then, today = origin_of(run.manifest().get("init")), origin_of(began)
        changes["init"] = (str(then or _RANDOM), str(today or _RANDOM))
    return [f"{key}: {then} then, {today} now" for key, (then, today) in changes.items()]


def _effective_batch(identity: Mapping[str, Any]) -> int:
    """Samples of one step; 0 where the identity does not say."""
    return math.prod(identity.get(key, 0) for key in _MICRO_BATCH)


def refuse_if_different(chooser: Chooser, found: Picked, changed: list[str]) -> None:
    if changed:
        raise ConfigError(
            f"run {found.run.name} (step {found.step:,}) was made with another configuration, so "
            f"it cannot go on as the same run: {'; '.join(changed[:8])}",
            fixes=(chooser.anew, "or set these back and run the same command again"),
        )


def refuse_other_device(chooser: Chooser, found: Picked) -> None:
    """A run stays on the kind of device that it began on: another computes other numbers."""
    then = found.run.manifest().get("frozen", {}).get("device")
    now = resolve_device(chooser.config, chooser.hardware)
    asked = chooser.config.training.device != "auto"
    gone = {"cuda": not chooser.hardware.gpu_name, "mps": not chooser.hardware.mps}.get(then, False)
    if then is not None and then != now and (asked or gone):
        raise ConfigError(
            f"run {found.run.name} (step {found.step:,}) cannot go on here: device: {then} then, "
            f"{now} now",
            fixes=(
                f"go on with it where there is {then}",
                chooser.anew,
            ),
        )


def refuse_other_length(chooser: Chooser, found: Picked) -> None:
    """How many steps fit into a time was settled at the run's start, and its schedule with it."""
    told = _other_length(chooser, found)
    fitted = found.run.manifest().get("frozen", {}).get("fitted_steps") is not None
    if told and (fitted or chooser.config.training.max_seconds is not None):
        raise ConfigError(
            f"run {found.run.name} (step {found.step:,}) cannot be given another length, since a "
            f"time limit settles it at a run's start: {'; '.join(told)}",
            fixes=(chooser.anew, "or set these back and run the same command again"),
        )


def _other_length(chooser: Chooser, found: Picked) -> list[str]:
    """What decides how many steps a run has, and is not what it was."""
    before = found.run.manifest().get("config", {}).get("training", {})
    now = chooser.config.training.model_dump(mode="json")
    return [
        f"training.{key}: {before.get(key)} then, {now[key]} now"
        for key in _LENGTH
        if before.get(key) != now[key]
    ]


def say_what_changes_bits(chooser: Chooser, found: Picked) -> None:
    """What does not make another run, but other last bits than the run without a break."""
    before, now = _identity(found.run), chooser.config.identity()
    changes = changes_of_machine(found.run.manifest(), chooser.hardware)
    changes += [
        f"{key}: {before.get(key)} then, {now.get(key)} now"
        for key in _MICRO_BATCH
        if before.get(key) != now.get(key)
    ]
    changes += [f"{told}, which the schedule follows" for told in _other_length(chooser, found)]
    if changes:
        chooser.notice(
            f"run {found.run.name} goes on, but its last bits will differ from those of a run "
            f"without a break: {'; '.join(changes)}"
        )
