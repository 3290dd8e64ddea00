"""What holds for every test of the project."""

from __future__ import annotations

import signal

# `nohup make test` and jobs in the background are started with these ignored, their children too,
# and `llm` rightly leaves an ignored signal ignored: the tests of signals would see nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
