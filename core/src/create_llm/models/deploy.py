"""The deploy-target contract: first a plan, made without a network, then its execution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file that would be sent: its path, size in bytes and SHA-256 (hex)."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment would do: shown by `--dry-run`, carried out by `apply`."""

    target: str
    bundle: Path
    files: tuple[PlannedFile, ...]
    calls: tuple[str, ...]


class DeployTarget(Protocol):
    """Built as `target(config)`."""

    def plan(self, bundle: Path) -> Plan:
        """What would be done; makes no network call."""
        ...

    def apply(self, plan: Plan) -> str:
        """Do it and return the address of the result, confirmed by the service."""
        ...


@runtime_checkable
class PredictingTarget(DeployTarget, Protocol):
    """A target that runs what is deployed there, for `--predict`."""

    def predict(self, prompt: str) -> Iterator[str]:
        """What the deployed model writes after a prompt, piece by piece.

        Raises:
            ConfigError: nothing is deployed there.
        """
        ...
