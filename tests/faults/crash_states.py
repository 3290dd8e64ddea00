"""Which states a crash can leave of a log: all of a kill's, a sample of a power loss's."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from tests.faults.crash_disk import Crash, Entry, Names, SyncFile, SyncFolder, Write


def kills(log: Sequence[Entry]) -> Iterator[Crash]:
    """Every state that SIGKILL can leave: each prefix, and each write cut in half."""
    for stop in range(len(log) + 1):
        yield Crash(stop, "kill", f"stopped before entry {stop}", {})
        if stop < len(log) and isinstance(entry := log[stop], Write) and len(entry.data) > 1:
            half = len(entry.data) // 2
            yield Crash(stop, "kill", f"entry {stop} half written", {stop: (half, half)})


def power_losses(log: Sequence[Entry], random_each: int, seed: int) -> Iterator[Crash]:
    """States that a power loss can leave, for each prefix.

    The extremes come first (nothing unsynchronised survives; names without data; data without
    names; data as zeroes; each operation lost alone, each surviving alone) and `random_each`
    random mixtures.
    """
    rng = random.Random(seed)
    for stop in range(len(log) + 1):
        loose = _unsynchronised(log, stop)
        if loose:
            yield from _extremes(log, stop, loose)
            for number in range(random_each):
                kept = {entry: _fate(log[entry], rng) for entry in loose}
                yield Crash(stop, "power", f"mixture {number}", kept)


def lies(log: Sequence[Entry], samples: int, seed: int) -> Iterator[Crash]:
    """States of a disk that loses written data although it was synchronised."""
    rng = random.Random(seed)
    writes = [number for number, entry in enumerate(log) if isinstance(entry, Write)]
    for _ in range(samples):
        lost = rng.choice(writes)
        stop = rng.randint(lost + 1, len(log))
        yield Crash(stop, "lie", f"entry {lost} as zeroes or torn", {lost: _damage(log[lost], rng)})


def _unsynchronised(log: Sequence[Entry], stop: int) -> list[int]:
    """Entries before `stop` that nothing has made durable yet."""
    synced: set[int] = set()
    loose = []
    for number in range(stop - 1, -1, -1):
        entry = log[number]
        if isinstance(entry, SyncFile | SyncFolder):
            synced.add(entry.node)
        elif not _touched(entry) <= synced:
            loose.append(number)
    return loose[::-1]


def _touched(entry: Entry) -> set[int]:
    """What has to be synchronised for this to be durable: a file, or folders."""
    if isinstance(entry, Write):
        return {entry.node}
    return {folder for folder, _, _ in entry.changes} if isinstance(entry, Names) else set()


def _extremes(log: Sequence[Entry], stop: int, loose: Sequence[int]) -> Iterator[Crash]:
    def whole(number: int) -> tuple[int, int]:
        entry = log[number]
        length = len(entry.data) if isinstance(entry, Write) else 0
        return length, length

    def is_write(number: int) -> bool:
        return isinstance(log[number], Write)

    yield Crash(stop, "power", "nothing unsynchronised", dict.fromkeys(loose))
    zeroed = {n: (0, whole(n)[1]) if is_write(n) else whole(n) for n in loose}
    yield Crash(stop, "power", "names, data as zeroes", zeroed)
    for how, data in (("names only", False), ("data only", True)):
        kept = {n: whole(n) if is_write(n) is data else None for n in loose}
        yield Crash(stop, "power", how, kept)
    for only in loose:
        yield Crash(stop, "power", f"all but {only}", {only: None})
        alone = {n: whole(n) if n == only else None for n in loose}
        yield Crash(stop, "power", f"only {only}", alone)


def _fate(entry: Entry, rng: random.Random) -> tuple[int, int] | None:
    length = len(entry.data) if isinstance(entry, Write) else 0
    choice = rng.random()
    if choice < 0.4:
        return None
    if choice < 0.7 or not length:
        return length, length
    torn = rng.randrange(length)
    return (torn, torn) if choice < 0.85 else (torn, length)


def _damage(entry: Entry, rng: random.Random) -> tuple[int, int]:
    assert isinstance(entry, Write)
    torn = rng.randrange(len(entry.data))
    return torn, len(entry.data)
