"""The processes of one run: rank, size, barrier, broadcast. One process is the world of size 1."""

from __future__ import annotations

from typing import Protocol, TypeVar

T = TypeVar("T")


class World(Protocol):
    """What the trainer asks of its peers; nothing in the core assumes one process."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def barrier(self) -> None:
        """Wait until every rank is here."""

    def broadcast(self, value: T) -> T:
        """Rank 0's value, on every rank."""
        ...

    def sum(self, value: int) -> int:
        """The sum of every rank's value, on every rank."""
        ...


class SingleProcess:
    """The world of size 1."""

    rank = 0
    size = 1

    def barrier(self) -> None: ...

    def broadcast(self, value: T) -> T:
        return value

    def sum(self, value: int) -> int:
        return value
