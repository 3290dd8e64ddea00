"""What a job of `llm synth` was answered, written down before its rows are: kill -9 loses no row
and repeats none.

    data/raw/synthetic-NAME-001.jsonl   the rows, in the order of the answers
    data/synth/NAME-001.jsonl           the job, then each answer with its rows; gone at the end,
                                        and where there was not a single answer
    data/synth/NAME-001.json            then this: the job and its statistics

Rows are appended to the journal first. Who goes on with a job completes the file of rows from it,
unless a person has changed that file in between: then it is only added to.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Self

from create_llm.data.synthesis.asking import Usage
from create_llm.errors import LockedError
from create_llm.storage.durable import Storage
from create_llm.storage.locks import try_lock

SCHEMA = 1
_SYNC_SECONDS = 1.0
"""A power cut may cost the answers of so long; a killed process costs none."""


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for.

    Attributes:
        source: SHA-256 of the text to ask about; None without.
        number: of the file of rows.
        step: of the passages each such one is taken first; 1 without a text.
    """

    provider: str
    samples: int
    topic: str | None
    source: str | None
    number: int = 1
    step: int = 1

    def is_like(self, other: Job) -> bool:
        """Whether the same command asks for both."""
        wanted = (self.provider, self.samples, self.topic, self.source)
        return wanted == (other.provider, other.samples, other.topic, other.source)

    @property
    def name(self) -> str:
        return f"{self.provider.replace('/', '-')}-{self.number:03d}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer.

    Attributes:
        request: its number.
        passage: the key of what it was about.
        rows: lines without their ends.
        rejected: what was wrong with what is not among them.
        repeated: how many were there already.
    """

    request: int
    passage: str | None
    rows: tuple[str, ...]
    rejected: tuple[str, ...]
    repeated: int
    usage: Usage


class Journal:
    """The files of one job; a context manager. While it is open nobody else can go on with it.

    Raises:
        LockedError: somebody else has it open.
    """

    def __init__(self, folder: Path, raw: Path, job: Job, storage: Storage | None = None) -> None:
        self._storage = storage or Storage()
        for needed in (folder, raw):
            self._storage.make_folder(needed)
        self._path = folder / f"{job.name}.jsonl"
        self.rows_path = raw / f"synthetic-{job.name}.jsonl"
        self._journal: IO[bytes] = self._path.open("a+b")
        self._lock()
        self._synced, self._finished = 0.0, False
        self.job = self._begin(job)
        self._rows: IO[bytes] = self.rows_path.open("a+b")
        self._complete_rows()

    def entries(self) -> Iterator[Entry]:
        """What was answered before."""
        return (_entry(line) for line in self._lines() if "request" in line)

    def append(self, entry: Entry) -> None:
        """Keep an answer and its rows."""
        self._put({**asdict(entry), "at": self._rows.seek(0, os.SEEK_END)})
        self._rows.write(_text(entry.rows))
        self._rows.flush()
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self._sync()

    def finish(self, statistics: Mapping[str, object]) -> None:
        """The job is done: keep what it came to, and the rows."""
        self._sync()
        summary = {"schema": SCHEMA, **asdict(self.job), **statistics}
        text = json.dumps(summary, ensure_ascii=False, indent=2).encode()
        self._storage.replace_file(self._path.with_suffix(".json"), text)
        self._finished = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        empty = not self._rows.seek(0, os.SEEK_END)
        begun = next(self.entries(), None) is not None
        self._rows.close()
        self._journal.close()
        if self._finished or not begun:
            self._path.unlink()
        if empty:
            self.rows_path.unlink()

    def _lock(self) -> None:
        if not try_lock(self._journal):
            self._journal.close()
            raise LockedError(
                "another `llm synth` is at work on the same job",
                where=str(self._path),
                fixes=("wait for it", "or ask for another number of samples or topic"),
            )

    def _begin(self, job: Job) -> Job:
        """The job as it was begun once, or begins now."""
        end = sum(len(line) for line, _ in self._whole_lines())
        # What follows is a line whose writer was killed in the middle: its rows were not written.
        self._journal.truncate(end)
        begun = next((_job(line) for line in self._lines()), None)
        if begun is None:
            self._journal.truncate(0)
            self._put({"schema": SCHEMA, **asdict(job)})
        return begun or job

    def _complete_rows(self) -> None:
        """Append the rows that only the journal has; a file that somebody edited is left alone."""
        for line in self._lines():
            text = _text(line.get("rows", ()))
            begin, size = line.get("at", 0), self._rows.seek(0, os.SEEK_END)
            if text and begin <= size < begin + len(text):
                self._rows.seek(begin)
                there = self._rows.read()
                if not text.startswith(there):
                    break
                self._rows.write(text[len(there) :])
                self._rows.flush()
        self._end_last_line()

    def _end_last_line(self) -> None:
        if self._rows.seek(0, os.SEEK_END):
            self._rows.seek(-1, os.SEEK_END)
            if self._rows.read(1) != b"\n":
                self._rows.write(b"\n")

    def _lines(self) -> Iterator[dict[str, Any]]:
        return (line for _, line in self._whole_lines())

    def _whole_lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        self._journal.seek(0)
        return _read(self._journal)

    def _put(self, line: Mapping[str, object]) -> None:
        self._journal.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._journal.flush()

    def _sync(self) -> None:
        for file in (self._journal, self._rows):
            os.fsync(file.fileno())
        self._synced = time.monotonic()


def unfinished(folder: Path, job: Job) -> Job | None:
    """The job that the same command began and did not finish, the latest of several."""
    begun = (_begun_in(path) for path in sorted(folder.glob("*.jsonl"), reverse=True))
    return next((found for found in begun if found is not None and found.is_like(job)), None)


def free_number(folder: Path, raw: Path, provider: str) -> int:
    """The number of a new job: one that none of the provider's files has."""
    prefix = provider.replace("/", "-")
    names = [path.stem for path in folder.glob(f"{prefix}-*")]
    names += [path.stem.removeprefix("synthetic-") for path in raw.glob(f"synthetic-{prefix}-*")]
    numbers = [name.removeprefix(f"{prefix}-") for name in names]
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=0)


def _begun_in(path: Path) -> Job | None:
    with path.open("rb") as file:
        return next((_job(line) for _, line in _read(file)), None)


def _job(line: Mapping[str, Any]) -> Job | None:
    if line.get("schema") != SCHEMA:
        return None
    names = ("provider", "samples", "topic", "source", "number", "step")
    return Job(*(line[name] for name in names))


def _entry(line: Mapping[str, Any]) -> Entry:
    return Entry(
        line["request"],
        line["passage"],
        tuple(line["rows"]),
        tuple(line["rejected"]),
        line["repeated"],
        Usage(**line["usage"]),
    )


def _read(file: IO[bytes]) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The lines of a journal that are whole, as bytes and as what they hold."""
    for line in file:
        try:
            held = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:  # a power cut may leave blocks of zeros
            return
        if not isinstance(held, dict):
            return
        yield line, held


def _text(rows: Iterable[str]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()
