"""Parts of a corpus prepared at the same time, in processes of their own.

They are plain child processes and not `multiprocessing`'s, which run the program that started
them once more: a script that calls `create_llm.prepare` would have to guard against that.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from typing import IO, cast

from create_llm.config.hardware import detect
from create_llm.data.preparation.parts import PartTask
from create_llm.data.preparation.worker import Encoded, Finished, Report, Setup, send
from create_llm.data.tokenizer import Tokenizer, TokenizerType
from create_llm.errors import CreateLLMError, MemoryExhausted, PluginError
from create_llm.storage.durable import Storage

_PROGRAM = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from create_llm.data.preparation.worker import main; main()"
)
_SLICE_SECONDS = 0.1
_MOST = 16


def default_workers() -> int:
    """As many as the machine has cores; beyond some the disk is what limits."""
    return min(detect().cores, _MOST)


def write_parts(
    folder: Path,
    tasks: Sequence[PartTask],
    tokenizer: Tokenizer,
    workers: int,
    progress: Callable[[int], None],
) -> None:
    """Write the shards of parts into `folder`, up to `workers` of them at once.

    Whatever ends it early, the parts that are finished stay, and nothing half done does.

    Args:
        progress: called in this thread, as `write_part` does.

    Raises:
        CreateLLMError: what a worker raised, or that one was killed.
    """
    with TemporaryDirectory() as saved:
        tokenizer.save(Path(saved))
        setup = _pickled(Setup(folder, cast("TokenizerType", type(tokenizer)), Path(saved)))
        pool = _Pool([(task.name, _pickled(task)) for task in tasks])
        try:
            count = min(workers, len(tasks))
            for _ in range(count):
                # Tokenizers with threads of their own share the machine.
                pool.start(setup, max(1, detect().cores // count))
            pool.wait(len(tasks), progress)
        finally:
            pool.end()
            Storage().heal(folder)


class _Pool:
    """Processes, each with a thread that hands it tasks and passes on what it reports."""

    def __init__(self, tasks: Sequence[tuple[str, bytes]]) -> None:
        self._tasks: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
        for task in tasks:
            self._tasks.put(task)
        self._news: SimpleQueue[Report] = SimpleQueue()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []

    def start(self, setup: bytes, threads: int) -> None:
        """Start a process."""
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "RAYON_NUM_THREADS": str(threads)},
            # Ctrl-C reaches all processes of a terminal; these are ended by this one.
            start_new_session=True,
        )
        self._processes.append(process)
        thread = threading.Thread(target=self._serve, args=(process, setup), daemon=True)
        self._threads.append(thread)
        thread.start()

    def wait(self, count: int, progress: Callable[[int], None]) -> None:
        """Until `count` parts are finished, or one could not be."""
        while count:
            try:
                # In slices: Windows lets no signal through to a thread that waits.
                report = self._news.get(timeout=_SLICE_SECONDS)
            except Empty:
                continue
            if isinstance(report, Encoded):
                progress(report.size)
            elif report.error is not None:
                raise report.error
            else:
                count -= 1

    def end(self) -> None:
        """Stop at once: what is not finished is written into folders that nobody takes for done."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        for thread in self._threads:
            thread.join()

    def _serve(self, process: subprocess.Popen[bytes], setup: bytes) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        name = "the text"
        try:
            send(process.stdin, sys.path)
            _write(process.stdin, setup)
            while True:
                try:
                    name, task = self._tasks.get_nowait()
                except Empty:
                    return
                _write(process.stdin, task)
                while isinstance(report := _read(process.stdout), Encoded):
                    self._news.put(report)
                self._news.put(report)
        except (EOFError, OSError, pickle.UnpicklingError):
            self._news.put(Finished(_killed(name, process.wait())))
        finally:
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()


def _pickled(value: object) -> bytes:
    try:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise PluginError(
            f"the source or the tokenizer cannot be handed to another process: {error}",
            fixes=(
                "prepare in one process: --set data.workers=1",
                "if it is yours: keep open files, functions and locks out of its attributes",
            ),
        ) from error


def _write(stream: IO[bytes], data: bytes) -> None:
    stream.write(data)
    stream.flush()


def _read(stream: IO[bytes]) -> Report:
    report: Report = pickle.load(stream)  # noqa: S301 (our own child wrote it)
    return report


def _killed(name: str, code: int) -> CreateLLMError:
    fixes = (
        "run the command again: what was finished is kept",
        "use less memory: --set data.workers=1",
    )
    if code == -getattr(signal, "SIGKILL", 9):
        return MemoryExhausted(
            f"a process that prepared {name} was killed, most likely because memory ran out",
            fixes=fixes,
        )
    how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    return PluginError(f"a process that prepared {name} was ended {how}", fixes=fixes)
