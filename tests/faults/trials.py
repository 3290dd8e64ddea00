"""Trials: the command line in a child process that meets faults."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.faults.seam import Fault
from tests.journey import environment

REPOSITORY = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 120
"""After this long a trial counts as hanging; one takes about a second."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a child: its site, its path in the project, whether it ended."""

    site: str
    path: str
    done: bool

    @property
    def what(self) -> str:
        return self.site.partition(" ")[0]

    @property
    def target(self) -> str:
        """The path that the site names, numbers of processes and runs replaced."""
        return self.site.partition(" ")[2].rpartition("#")[0]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended; `code` is negative for a signal."""

    code: int
    seconds: float
    hung: bool
    output: str
    operations: tuple[Operation, ...]

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL and not self.hung


class Server(AbstractContextManager["Server"]):
    """A fork server; `run` is one trial. Not for several threads at once: make one for each."""

    def __init__(self, *, threads: int = 1, overlays: Sequence[Path] = ()) -> None:
        self.threads = threads
        self._scratch = Path(tempfile.mkdtemp(prefix="faults-"))
        variables = {
            "OMP_NUM_THREADS": str(threads),
            # Threads that spin while they wait would take the processors from other trials.
            "OMP_WAIT_POLICY": "passive",
            "RAYON_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "XDG_CACHE_HOME": str(self._scratch / "cache"),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.server"],
            cwd=REPOSITORY,
            env=environment(overlays, variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.__exit__(kind, error, traceback)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def warm_up(self, root: Path, arguments: Sequence[str]) -> Ending:
        """Run once in a child, then import here what it imported there."""
        modules = self._scratch / "modules"
        ending = self.run(root, arguments, modules=modules)
        if modules.exists():
            self._ask({"preload": modules.read_text().split("\n")})
        return ending

    def run(
        self,
        root: Path,
        arguments: Sequence[str],
        faults: Sequence[Fault] = (),
        *,
        kill_after: float | None = None,
        variables: Mapping[str, str] | None = None,
        modules: Path | None = None,
        record: Path | None = None,
    ) -> Ending:
        """Run `llm` with these arguments in the folder `root`.

        Args:
            kill_after: seconds until SIGKILL, however far the child is.
            variables: environment variables of the child.
            modules: a file for the names of the modules that it imported.
            record: a file for the log of a recording disk.
        """
        log, output = self._scratch / "operations", self._scratch / "output"
        log.unlink(missing_ok=True)
        reply = self._ask(
            {
                "root": str(root),
                "arguments": list(arguments),
                "faults": [asdict(fault) for fault in faults],
                "kill_after": kill_after,
                "environment": dict(variables or {}),
                "log": str(log),
                "output": str(output),
                "limit": LIMIT_SECONDS,
                "modules": str(modules) if modules else None,
                "record": str(record) if record else None,
            }
        )
        text = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
        return Ending(reply["code"], reply["seconds"], reply["late"], text, _operations(log))

    def _ask(self, request: dict[str, object]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(request) + os.linesep)
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"the fork server ended with {self._process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        return reply


def _operations(log: Path) -> tuple[Operation, ...]:
    if not log.exists():
        return ()
    lines = [line.split("\t") for line in log.read_text(encoding="utf-8").splitlines()]
    done = {line[1] for line in lines if line[0] == "did"}
    return tuple(Operation(line[1], line[2], line[1] in done) for line in lines if line[0] == "try")
