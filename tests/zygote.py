"""Processes of the command that start in a moment: forks of one that has imported torch already.

    with Zygote(overlay) as zygote:
        process = zygote.start(project, "train")

Importing torch takes seconds and most faults need a process of their own. A child is a whole
interpreter that ends as any other does; its output goes to a file.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from tests.journey import environment

_SERVER = """\
import fcntl, gc, json, os, sys, termios
import torch, torch._dynamo, tokenizers, rich.progress
import create_llm.training.launch, create_llm.cli.app, create_llm.cli.progress
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
        descriptors = [os.open(request["in"], os.O_RDWR), os.open(request["out"], os.O_RDWR)]
        if sys.platform == "darwin" and os.isatty(descriptors[0]):
            fcntl.ioctl(descriptors[0], termios.TIOCSCTTY, 0)
        for number, source in ((0, 0), (1, 1), (2, 1)):
            os.dup2(descriptors[source], number)
        os.environ.update(request["environment"])
        os.chdir(request["root"])
        sys.argv = ["llm", *request["arguments"]]
        main()
    print(child, file=replies, flush=True)
"""


class Zygote:
    """The process that forks; has the plugins in `overlay` beside the installed ones."""

    def __init__(self, overlay: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            env=environment([overlay]),
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
        env: Mapping[str, str] | None = None,
        terminal: str | None = None,
    ) -> Child:
        """Start the command in a folder; with `terminal`, a device, on that."""
        self._count += 1
        out = Path(self._outputs.name) / str(self._count)
        out.touch()
        request = {
            "root": str(root),
            "arguments": list(map(str, arguments)),
            "environment": dict(env or {}),
            "in": terminal or os.devnull,
            "out": terminal or str(out),
        }
        return Child(self, self.ask(request), out)

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

    def __init__(self, zygote: Zygote, pid: int, out: Path) -> None:
        self._zygote, self._out = zygote, out
        self._code: int | None = None
        self.pid = pid

    @property
    def output(self) -> str:
        """What it has written to stdout and stderr so far."""
        return self._out.read_text(encoding="utf-8", errors="replace")

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
