"""One schema for llm.toml, its layers with provenance, and what each key means.

Importing this package is cheap: pydantic is imported with the first name that needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from create_llm.config.load import load_config as load_config
    from create_llm.config.problems import ConfigProblems as ConfigProblems
    from create_llm.config.resolved import Config as Config
    from create_llm.config.resolved import Selected as Selected
    from create_llm.config.resolved import Setting as Setting
    from create_llm.config.values import Source as Source

_HOMES = {
    "Config": "create_llm.config.resolved",
    "ConfigProblems": "create_llm.config.problems",
    "Selected": "create_llm.config.resolved",
    "Setting": "create_llm.config.resolved",
    "Source": "create_llm.config.values",
    "load_config": "create_llm.config.load",
}

__all__ = ["Config", "ConfigProblems", "Selected", "Setting", "Source", "load_config"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'create_llm.config' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
