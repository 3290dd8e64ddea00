"""The `llm` command: one small file per verb, over the rooms of the core."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType


class _Terminated(KeyboardInterrupt):
    """SIGTERM, where no training loop has taken it over: it unwinds as Ctrl-C does."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code that docs/commands.md promises."""
    _write_utf8()
    try:
        signal.signal(signal.SIGTERM, _terminate)
        # Inside the try: importing takes long enough to be interrupted.
        from create_llm.cli.app import run

        run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt as interrupt:
        print(
            "Interrupted. Nothing that was saved is lost; run the command again.", file=sys.stderr
        )
        sys.exit(143 if isinstance(interrupt, _Terminated) else 130)
    finally:
        if argv is None:
            # The work is done, and unloading torch takes a moment in which Python would let a
            # late Ctrl-C kill the process, as if something had been lost.
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _write_utf8() -> None:
    """Let pipes and files take any text.

    Python encodes them as the locale says, which on Windows is a code page that few texts fit in.
    Terminals show what they can, and PYTHONIOENCODING is an order.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.isatty():
            if "PYTHONIOENCODING" in os.environ or stream.encoding.lower() == "utf-8":
                continue
            stream.reconfigure(encoding="utf-8", errors=stream.errors)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated
