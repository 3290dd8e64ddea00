"""What importing a module loads, seen in a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache

from create_llm.kernel.heavy import HEAVY

_PROGRAM = """\
import json, sys
before = set(sys.modules)
__import__(sys.argv[1])
sys.__stdout__.write("\\n" + json.dumps(sorted(set(sys.modules) - before)))
"""


@cache
def loaded_by(module: str) -> frozenset[str]:
    """The names of all modules that `import module` adds to sys.modules.

    Raises:
        RuntimeError: the import fails; carries what it printed.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, module],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"import {module} fails:\n{done.stderr}")
    return frozenset(json.loads(done.stdout.splitlines()[-1]))


def heavy_of(module: str) -> list[str]:
    """Which of the `HEAVY` packages `import module` loads."""
    return sorted(set(HEAVY) & loaded_by(module))
