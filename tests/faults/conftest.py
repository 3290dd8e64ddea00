"""One warm fork server for the fault tests of a test process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.bench import Bench

FOLDER = Path(__file__).parent
SEED = 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Forking, SIGKILL as another process sees it and /dev/shm are POSIX."""
    skip = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs fork and pidfd")
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    with Bench(workers=1, seed=SEED) as made:
        yield made
