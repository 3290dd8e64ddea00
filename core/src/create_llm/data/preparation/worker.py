"""A process that prepares parts of a corpus, as `workers` asks it to."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from create_llm.data.preparation.parts import PartTask, write_part
from create_llm.data.tokenizer import Tokenizer, TokenizerType


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker needs for all its parts.

    Attributes:
        folder: where the folders of the parts go.
        tokenizer: the class of the tokenizer, which loads it from `saved`.
    """

    folder: Path
    tokenizer: TokenizerType
    saved: Path


@dataclass(frozen=True, slots=True)
class Encoded:
    """Some of a part is done: so many bytes of text."""

    size: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The part is written, or could not be.

    Attributes:
        error: what was raised; None: nothing was.
    """

    error: Exception | None = None


Report = Encoded | Finished


def main() -> None:
    """Read a `Setup` and then `PartTask`s on standard input until it ends; answer each.

    A parent that is gone is noticed with the next report, which nobody takes.
    """
    reports = _reports()
    tasks = sys.stdin.buffer
    setup: Setup = pickle.load(tasks)  # noqa: S301 (our own parent wrote it)
    loaded = cache(lambda: setup.tokenizer.load(setup.saved))
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            task: PartTask = pickle.load(tasks)  # noqa: S301 (our own parent wrote it)
            send(
                reports,
                _attempt(setup.folder, task, loaded, lambda size: send(reports, Encoded(size))),
            )


def send(stream: IO[bytes], message: object) -> None:
    """Write an object so that the process at the other end of the pipe can read it."""
    pickle.dump(message, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def _reports() -> IO[bytes]:
    """Standard output, for the reports alone: what is printed meanwhile goes to standard error."""
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return reports


def _attempt(
    folder: Path,
    task: PartTask,
    tokenizer: Callable[[], Tokenizer],
    progress: Callable[[int], None],
) -> Finished:
    try:
        write_part(folder, task, tokenizer(), progress)
    except BrokenPipeError:
        raise
    except Exception as error:
        # The traceback does not travel with the error.
        error.add_note(traceback.format_exc())
        return Finished(_portable(error))
    return Finished()


def _portable(error: Exception) -> Exception:
    """The error, if it survives the way to another process, or one that tells of it."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (made in this line)
    except Exception:
        return RuntimeError("".join(error.__notes__))
    return error
