"""The `llm` command: one small file per verb, over the rooms of the core."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from create_llm import interrupts


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code that docs/commands.md promises."""
    code = 1
    previous = interrupts.listen()
    if argv is None:
        interrupts.own_process()
    _write_utf8()
    try:
        # Inside the try: importing takes long enough to be interrupted.
        from create_llm.cli.app import run

        run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt as interrupt:
        print(interrupts.NOTHING_LOST, file=sys.stderr)
        code = interrupts.exit_code(interrupts.signal_of(interrupt))
        sys.exit(code)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        raise
    finally:
        if argv is None:
            interrupts.wind_up(code)
        else:
            interrupts.give_back(previous)


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
