"""What holds for every test of the project."""

from __future__ import annotations

import os
import signal

# Tests run beside each other, one to a core: more threads than cores would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# `nohup make test` and jobs in the background are started with these ignored, their children too,
# and `llm` rightly leaves an ignored signal ignored: the tests of signals would see nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
