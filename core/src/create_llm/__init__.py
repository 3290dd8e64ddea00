"""create-llm: make a language model of your own.

Importing this package is cheap: every public name is resolved on first use.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# Read by OpenMP when torch loads it: how long its threads spin while they wait, in turns. By
# default that is milliseconds; beside any other busy process the spinning one then keeps its peer
# from the core that both wait for, and a step takes up to sixteen times as long. Without any
# spinning a small model's many short operations wait to be woken: a quarter of its speed.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

if TYPE_CHECKING:
    from create_llm.api import check as check
    from create_llm.api import evaluate as evaluate
    from create_llm.api import load as load
    from create_llm.api import prepare as prepare
    from create_llm.api import train as train
    from create_llm.errors import CreateLLMError as CreateLLMError
    from create_llm.hookspecs import hookimpl as hookimpl

_HOMES = {
    "CreateLLMError": "create_llm.errors",
    "check": "create_llm.api",
    "evaluate": "create_llm.api",
    "hookimpl": "create_llm.hookspecs",
    "load": "create_llm.api",
    "prepare": "create_llm.api",
    "train": "create_llm.api",
}

__all__ = [
    "CreateLLMError",
    "__version__",
    "check",
    "evaluate",
    "hookimpl",
    "load",
    "prepare",
    "train",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'create_llm' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
