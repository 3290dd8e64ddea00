"""Processes of the command that start in a moment: forks of one that has imported torch already.

    with Zygote(overlay) as zygote:
        process = zygote.start(project, "train")

Importing torch takes seconds, and a suite of whole runs would spend most of its time with that. A
child is a whole interpreter that ends as any other does; its output goes to files.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tests.journey import environment

_SERVER = """\
import fcntl, gc, json, os, sys, termios
import torch, torch._dynamo, tokenizers, sentencepiece, rich.progress
import create_llm.training.launch, create_llm.cli.app, create_llm.cli.progress
import create_llm.models.writing
from create_llm.cli import main

replies = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
gc.freeze()  # what is here already need not be searched again by each child
while line := sys.stdin.readline():
    request = json.loads(line)
    if "wait" in request:
        pid, status = os.waitpid(request["wait"], os.WNOHANG)
        print(os.waitstatus_to_exitcode(status) if pid else None, file=replies, flush=True)
        continue
    child = os.fork()
    if child == 0:
        os.setsid()
        # The first terminal that a new session opens becomes its own, and hangs up on it.
        descriptors = [os.open(path, os.O_RDWR) for path in request["streams"]]
        if sys.platform == "darwin" and os.isatty(descriptors[0]):
            fcntl.ioctl(descriptors[0], termios.TIOCSCTTY, 0)
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.path[1:1] = request["overlays"]
        os.chdir(request["root"])
        sys.argv = ["llm", *request["arguments"]]
        main()
    print(child, file=replies, flush=True)
"""


class Zygote:
    """The process that forks.

    What it starts has the plugins in the overlay folders beside the installed ones.
    """

    def __init__(self, *overlays: Path) -> None:
        self._overlays = overlays
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._outputs = tempfile.TemporaryDirectory()
        self._count = 0

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *exception: object) -> None:
        _pipe(self._process.stdin).close()
        self._process.wait(timeout=60)
        _pipe(self._process.stdout).close()
        self._outputs.cleanup()

    def start(
        self,
        root: Path,
        *arguments: object,
        overlays: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        terminal: str | None = None,
    ) -> Child:
        """Start the command in a folder; with `terminal`, a device, on that."""
        self._count += 1
        outputs = [Path(self._outputs.name) / f"{self._count}.{name}" for name in ("out", "err")]
        for path in outputs:
            path.touch()
        imported = [*overlays, *self._overlays]
        request = {
            "root": str(root),
            "arguments": list(map(str, arguments)),
            "environment": environment(imported, env),
            "overlays": list(map(str, imported)),
            "streams": [terminal] * 3 if terminal else [os.devnull, *map(str, outputs)],
        }
        return Child(self, self.ask(request), outputs)

    def run(self, root: Path, *arguments: object, code: int = 0) -> str:
        """Run the command to its end, which must be this exit code; returns its output."""
        child = self.start(root, *arguments)
        assert child.code() == code, child.output
        return child.output

    def ask(self, request: Mapping[str, Any]) -> Any:
        stdin = _pipe(self._process.stdin)
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        return json.loads(_pipe(self._process.stdout).readline().replace("None", "null"))


class Child:
    """One run of the command."""

    def __init__(self, zygote: Zygote, pid: int, outputs: Sequence[Path]) -> None:
        self._zygote, self._outputs = zygote, outputs
        self._code: int | None = None
        self.pid = pid

    @property
    def stdout(self) -> str:
        return self._outputs[0].read_text(encoding="utf-8", errors="replace")

    @property
    def stderr(self) -> str:
        return self._outputs[1].read_text(encoding="utf-8", errors="replace")

    @property
    def output(self) -> str:
        """What it has written to stderr and then to stdout so far."""
        return self.stderr + self.stdout

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def ended(self) -> bool:
        if self._code is None:
            self._code = self._zygote.ask({"wait": self.pid})
        return self._code is not None

    def code(self, timeout: float = 120) -> int:
        """Its exit code, negative where a signal ended it; waits for it."""
        try:
            wait_until(self.ended, timeout)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            raise
        assert self._code is not None
        return self._code


def wait_until(happened: Callable[[], bool], timeout: float = 120) -> None:
    """Wait for something that happens in another process."""
    deadline = time.monotonic() + timeout
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not happen within {timeout} seconds")
        time.sleep(0.01)


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
