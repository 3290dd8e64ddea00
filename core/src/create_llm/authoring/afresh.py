"""The plugins as the next command will find them: seen from a fresh interpreter.

Only there do the .pth files of a new editable install count, and nothing is imported yet that has
changed since.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from create_llm.errors import PluginError
from create_llm.kernel.entry_points import InstalledPlugin
from create_llm.kernel.plugins import CORE, PluginRecord

# Whatever CREATE_LLM_… says: a plugin that was just installed is to be seen.
_PROGRAM = """\
import json, sys
from create_llm.kernel.plugins import load_plugins
found = [
    [r.plugin.name, r.plugin.module, r.plugin.distribution, r.plugin.version]
    + [r.status, r.error, r.place]
    for r in load_plugins({}).records
]
sys.__stdout__.write("\\n" + json.dumps(found))
"""


def plugins_afresh() -> list[PluginRecord]:
    """What becomes of each installed plugin in a fresh interpreter; without their parts.

    Raises:
        PluginError: a plugin ended the interpreter.
    """
    records = [
        PluginRecord(InstalledPlugin(*plugin), status, error, place=place)
        for *plugin, status, error, place in run_afresh(_PROGRAM)
    ]
    return [record for record in records if record.plugin.distribution != CORE.distribution]


def run_afresh(program: str, *arguments: str) -> Any:
    """Run a program that loads the plugins; returns the JSON of the last line that it prints.

    Raises:
        PluginError: a plugin ended the interpreter.
    """
    command = [sys.executable, "-P", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode or not done.stdout:
        raise PluginError(
            f"loading the plugins ends the interpreter (exit code {done.returncode})",
            fixes=("find out which: CREATE_LLM_PLUGINS=a,b llm plugins trace", "llm doctor"),
        )
    return json.loads(done.stdout.splitlines()[-1])
