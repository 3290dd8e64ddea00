"""What the sections share: fork servers, a scratch folder, the undisturbed run, a seed."""

from __future__ import annotations

import queue
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from tests.faults.project import TOML, Reference, make_project, measure
from tests.faults.trials import Server

T = TypeVar("T")
R = TypeVar("R")
_MEMORY = Path("/dev/shm")


class Bench(AbstractContextManager["Bench"]):
    """Workers and the reference run; trials run beside each other, one for each worker."""

    def __init__(self, *, workers: int = 1, seed: int = 0, overlays: Sequence[Path] = ()) -> None:
        self.seed = seed
        self._workers, self._overlays = workers, overlays
        # A disk in memory: synchronising costs nothing there, and the order of calls is the same.
        self.scratch = Path(
            tempfile.mkdtemp(prefix="faults-", dir=_MEMORY if _MEMORY.is_dir() else None)
        )
        self._numbers = count()
        self._stack = ExitStack()
        self._stack.callback(shutil.rmtree, self.scratch, ignore_errors=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @cached_property
    def servers(self) -> list[Server]:
        """Warm fork servers."""
        made = [self.server() for _ in range(self._workers)]
        with ThreadPoolExecutor(self._workers) as pool:
            list(pool.map(self._warm, made))
        return made

    @cached_property
    def reference(self) -> Reference:
        """The undisturbed run."""
        return measure(self.servers[0], self.folder("reference"))

    def server(self, *, threads: int = 1, overlays: Sequence[Path] = ()) -> Server:
        """A fork server that ends with the bench."""
        server = Server(threads=threads, overlays=(*self._overlays, *overlays))
        return self._stack.enter_context(server)

    def rng(self, purpose: str) -> random.Random:
        """Random numbers that depend on the seed and the purpose alone."""
        return random.Random(f"{self.seed} {purpose}")

    def folder(self, name: str) -> Path:
        """A new empty folder."""
        path = self.scratch / f"{name}-{next(self._numbers)}"
        path.mkdir()
        return path

    def project(self, toml: str = TOML) -> Path:
        """A new project without tokenizer, token shards or runs."""
        return make_project(self.folder("trial"), toml)

    def map(self, trial: Callable[[Server, T], R], cases: Iterable[T]) -> list[R]:
        """Run a trial for each case, as many at once as there are workers; results in order."""
        idle: queue.SimpleQueue[Server] = queue.SimpleQueue()
        for server in self.servers:
            idle.put(server)

        def one(case: T) -> R:
            server = idle.get()
            try:
                return trial(server, case)
            finally:
                idle.put(server)

        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(one, cases))

    def _warm(self, server: Server) -> None:
        from tests.faults.project import TRAIN

        ending = server.warm_up(self.project(), TRAIN)
        if ending.code:
            raise AssertionError(f"an undisturbed run ended with {ending.code}:\n{ending.output}")


def spread(items: Sequence[T], number: int | None) -> list[T]:
    """At most `number` of the items, evenly spread, both ends included; None: all."""
    if number is None or number >= len(items):
        return list(items)
    places = {round(i * (len(items) - 1) / max(number - 1, 1)) for i in range(number)}
    return [items[place] for place in sorted(places)]
