"""The contract kit: one pytest class for each kind of part, for its author to subclass.

    from create_llm.testing import CallbackContract

    class TestLion(CallbackContract):
        name = "lion"
        options = {"url": "http://localhost"}   # its section of llm.toml

The part is found in the registry of the installed plugins, as a run finds it. The tests of a
contract cannot be overridden, only marked: repeat one with `@pytest.mark.xfail(reason="…")`, and
it runs as it stands, expected to fail for that reason.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

try:
    import pytest
except ImportError as error:
    raise ImportError("create_llm.testing needs pytest: pip install pytest") from error

if TYPE_CHECKING:
    from create_llm.testing.architectures import ArchitectureContract as ArchitectureContract
    from create_llm.testing.callbacks import CallbackContract as CallbackContract
    from create_llm.testing.commands import CommandContract as CommandContract
    from create_llm.testing.data_sources import DataSourceContract as DataSourceContract
    from create_llm.testing.deploy_targets import DeployTargetContract as DeployTargetContract
    from create_llm.testing.engines import EngineContract as EngineContract
    from create_llm.testing.exporters import ExporterContract as ExporterContract
    from create_llm.testing.importers import ImporterContract as ImporterContract
    from create_llm.testing.objectives import ObjectiveContract as ObjectiveContract
    from create_llm.testing.presets import PresetContract as PresetContract
    from create_llm.testing.synthesizers import SynthesizerContract as SynthesizerContract
    from create_llm.testing.templates import TemplateContract as TemplateContract
    from create_llm.testing.tokenizers import TokenizerContract as TokenizerContract

_HOMES = {
    "ArchitectureContract": "create_llm.testing.architectures",
    "CallbackContract": "create_llm.testing.callbacks",
    "CommandContract": "create_llm.testing.commands",
    "DataSourceContract": "create_llm.testing.data_sources",
    "DeployTargetContract": "create_llm.testing.deploy_targets",
    "EngineContract": "create_llm.testing.engines",
    "ExporterContract": "create_llm.testing.exporters",
    "ImporterContract": "create_llm.testing.importers",
    "ObjectiveContract": "create_llm.testing.objectives",
    "PresetContract": "create_llm.testing.presets",
    "SynthesizerContract": "create_llm.testing.synthesizers",
    "TemplateContract": "create_llm.testing.templates",
    "TokenizerContract": "create_llm.testing.tokenizers",
}

__all__ = [
    "ArchitectureContract",
    "CallbackContract",
    "CommandContract",
    "DataSourceContract",
    "DeployTargetContract",
    "EngineContract",
    "ExporterContract",
    "ImporterContract",
    "ObjectiveContract",
    "PresetContract",
    "SynthesizerContract",
    "TemplateContract",
    "TokenizerContract",
]

# So that a failing assert shows the values it compared, as it does in a test file.
pytest.register_assert_rewrite("create_llm.testing.base", *_HOMES.values())


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'create_llm.testing' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
