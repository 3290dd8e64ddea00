"""A process that has torch in memory and forks one child for each trial.

    python -m tests.faults.server < requests > replies

One JSON object a line each way. Importing torch takes seconds and a fork milliseconds; the server
itself starts no thread, which a fork would lose.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.faults.crash_disk import RecordingDisk, write_log
from tests.faults.seam import Fault, Seam, install


def main() -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing else may write to the replies
    for line in sys.stdin:
        replies.write(json.dumps(_reply(json.loads(line))) + "\n")
        replies.flush()


def _reply(request: Mapping[str, Any]) -> dict[str, Any]:
    if "preload" in request:
        return {"preloaded": _preload(request["preload"])}
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _be_child(request)
    status, late = _wait(child, request.get("kill_after"), request["limit"])
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "late": late, "seconds": time.monotonic() - started}


def _preload(names: Sequence[str]) -> int:
    """Import what a run imports; some names are aliases or parts of a namespace."""
    loaded = 0
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
            loaded += 1
    return loaded


def _wait(child: int, kill_after: float | None, limit: int) -> tuple[int, bool]:
    """The child's status, and whether it had to be ended because it did not end."""
    descriptor = os.pidfd_open(child)
    try:
        # In slices: the time in which the whole machine stood still is not the child's.
        slices = [1.0] * limit if kill_after is None else [kill_after]
        ended = any(select.select([descriptor], [], [], seconds)[0] for seconds in slices)
        if not ended:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        return os.waitpid(child, 0)[1], not ended and kill_after is None
    finally:
        os.close(descriptor)


def _be_child(request: Mapping[str, Any]) -> None:
    """Run the command line as a process of its own would, and end without returning."""
    code = 1
    try:
        null, out = os.open(os.devnull, os.O_RDONLY), request["output"]
        os.dup2(null, 0)
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.environ.update(request["environment"])
        os.chdir(request["root"])
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        faults = [Fault(**fault) for fault in request["faults"]]
        root = Path(request["root"])
        install(Seam(root, log, faults))
        recorder = _record(root) if request.get("record") else None
        code = _command(request["arguments"])
        _end_threads()
        if recorder is not None:
            write_log(recorder.log, Path(request["record"]))
        if request.get("modules"):
            Path(request["modules"]).write_text("\n".join(sorted(sys.modules)))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _record(root: Path) -> RecordingDisk:
    """Put a recording disk under every storage of this process."""
    from create_llm.storage import durable

    recorder = RecordingDisk(root)
    patch.object(durable, "Disk", lambda: recorder).start()
    return recorder


def _command(arguments: Sequence[str]) -> int:
    from create_llm.cli import main as llm

    sys.argv = ["llm", *arguments]
    try:
        llm()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def _end_threads() -> None:
    """What the interpreter does at its end: wait for threads, then the exit functions."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()


if __name__ == "__main__":
    main()
