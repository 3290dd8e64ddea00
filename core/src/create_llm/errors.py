"""Every error a person can cause, with its exit code and what to do about it.

CreateLLMError                exit   meaning
├── ConfigError                  2   a key, value, flag or name that cannot be used
├── DataError                   65   text, shards, a checkpoint or a bundle that cannot be used
├── NetworkError                69   a service could not be reached
├── PluginError                 70   a plugin failed, or a part that was asked for is missing
├── MemoryExhausted             71   the run does not fit
├── StorageError                74   reading or writing a file failed
├── LockedError                 75   another process is using this run
├── DivergedError               76   the loss or a gradient stopped being a number
├── CredentialsError            77   a token is missing or was refused
├── Paused                      78   the run stopped because somebody asked it to; resumable
└── Interrupted         130 or 143   SIGINT or SIGTERM; resumable
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class CreateLLMError(Exception):
    """An error to show in plain words, never as a stack trace.

    Args:
        what: what happened, one sentence.
        where: file:line, key or row, when there is one.
        fixes: two or three things to do, commands where they exist.
    """

    exit_code: ClassVar[int] = 1
    label: ClassVar[str] = "Error"

    def __init__(self, what: str, *, where: str | None = None, fixes: Iterable[str] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fixes = tuple(fixes)

    def __str__(self) -> str:
        """Where Python shows it: all three parts."""
        return self.render().partition(": ")[2]

    def render(self) -> str:
        """The message as the terminal shows it: what, where, what to do."""
        lines = [f"{self.label}: {self.what}"]
        if self.where:
            lines.append(f"  where: {self.where}")
        lines.extend(f"  try: {fix}" for fix in self.fixes)
        return "\n".join(lines)


class ConfigError(CreateLLMError):
    exit_code = 2


class DataError(CreateLLMError):
    exit_code = 65


class NetworkError(CreateLLMError):
    exit_code = 69


class PluginError(CreateLLMError):
    exit_code = 70


class MemoryExhausted(CreateLLMError):
    exit_code = 71


class StorageError(CreateLLMError):
    exit_code = 74


class LockedError(CreateLLMError):
    exit_code = 75


class DivergedError(CreateLLMError):
    exit_code = 76


class CredentialsError(CreateLLMError):
    exit_code = 77


class Paused(CreateLLMError):
    exit_code = 78
    label = "Paused"


class Interrupted(CreateLLMError):
    """The run was stopped by a signal after saving; `signal_number` gives 130 or 143."""

    label = "Interrupted"

    def __init__(self, what: str, *, signal_number: int, fixes: Iterable[str] = ()) -> None:
        super().__init__(what, fixes=fixes)
        self.exit_code = 128 + signal_number  # type: ignore[misc]


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that `name` is probably a misspelling of, or None."""
    matches = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(name: str, choices: Iterable[str]) -> tuple[str, ...]:
    """Zero or one fix line for a misspelt name, ready for `fixes=`."""
    match = nearest(name, choices)
    return (f"did you mean '{match}'?",) if match else ()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed; torch's CPU allocator raises a plain RuntimeError."""
    told = type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    return told or isinstance(error, MemoryError)
