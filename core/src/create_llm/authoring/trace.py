"""How the installed plugins load: in which order, how long each takes, what each brings along."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from create_llm.authoring.afresh import run_afresh
from create_llm.kernel.heavy import HEAVY
from create_llm.kernel.kinds import KINDS
from create_llm.kernel.plugins import CORE, PluginRecord, Plugins

# Plugins load in this order in every command, so that a module which two of them import is
# charged to the first. What `llm` itself needs is there before.
_PROGRAM = """\
import contextlib, json, sys, time
from importlib import import_module
import create_llm.cli.app
measured = []
for module in sys.argv[1:]:
    before, start = set(sys.modules), time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(BaseException):
        import_module(module)
    seconds = time.perf_counter() - start
    measured.append([seconds, sorted(set(sys.modules) - before)])
sys.__stdout__.write("\\n" + json.dumps(measured))
"""


@dataclass(frozen=True, slots=True)
class Loading:
    """How one plugin loaded; of one that is switched off, nothing is measured.

    Attributes:
        seconds: of importing its module in a fresh interpreter, after those before it.
        modules: how many modules that import added.
        heavy: those of them that no plugin should load before a part is used.
        hooks: what its module implements.
    """

    record: PluginRecord
    seconds: float | None
    modules: int
    heavy: tuple[str, ...]
    hooks: tuple[str, ...]


def trace(plugins: Plugins) -> list[Loading]:
    """Load the plugins again, in a fresh interpreter, in the order in which commands do.

    Raises:
        PluginError: a plugin ended the interpreter.
    """
    records = [record for record in plugins.records if record.plugin is not CORE]
    imported = [record for record in records if record.status != "disabled"]
    measured = dict(zip(imported, _measure(imported), strict=True)) if imported else {}
    return [_loading(record, *measured.get(record, (None, []))) for record in records]


def _measure(records: list[PluginRecord]) -> list[tuple[float, list[str]]]:
    modules = (record.plugin.module for record in records)
    measured: list[tuple[float, list[str]]] = run_afresh(_PROGRAM, *modules)
    return measured


def _loading(record: PluginRecord, seconds: float | None, modules: list[str]) -> Loading:
    module = sys.modules.get(record.plugin.module)
    defined = vars(module) if module and seconds is not None else {}
    hooks = tuple(kind.hook for kind in KINDS.values() if kind.hook in defined)
    heavy = tuple(name for name in HEAVY if name in modules)
    return Loading(record, seconds, len(modules), heavy, hooks)
