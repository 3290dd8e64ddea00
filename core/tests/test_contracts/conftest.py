"""Contracts against planted parts: sound ones, and ones that are wrong in one way each."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from create_llm.kernel.entry_points import InstalledPlugin
from create_llm.kernel.plugins import PluginRecord, Plugins
from create_llm.kernel.registry import Part, Registry
from create_llm.testing.base import PartContract

MODULE = "create_llm_planted"
LIGHT = "create_llm.hookspecs"  # stands for the plugin's own module

Failures = Callable[..., set[str]]


def planted(kind: str, part: Part, module: str = LIGHT, beside: tuple[Part, ...] = ()) -> Plugins:
    """The plugins of an environment in which one plugin brings these parts."""
    registry = Registry()
    for each in (part, *beside):
        registry.add(each)
    plugin = InstalledPlugin("planted", module, "create-llm-planted", "1.0")
    return Plugins((PluginRecord(plugin, "loaded", None, (part,)),), registry)


@pytest.fixture
def part_module(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """An importable module for the parts that a test defines; empty in another process."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / f"{MODULE}.py").touch()
    monkeypatch.syspath_prepend(folder)
    module = ModuleType(MODULE)
    sys.modules[MODULE] = module
    yield module
    del sys.modules[MODULE]


@pytest.fixture
def failures(part_module: ModuleType, tmp_path: Path) -> Failures:
    """Run a contract against a part; the names of the tests that fail, without `test_`."""

    def run(
        contract: type[PartContract],
        target: object,
        config: object = None,
        summary: str = "A planted part.",
        module: str = LIGHT,
        path: str | None = None,
        beside: tuple[Part, ...] = (),
    ) -> set[str]:
        part_module.target, part_module.config = target, config  # type: ignore[attr-defined]
        model = f"{MODULE}:config" if config else None
        where = path or f"{MODULE}:target"
        name = getattr(contract, "name", "planted")
        part = Part(contract.kind, name, where, summary, model, (), "planted", "create-llm-planted")
        plugins = planted(contract.kind, part, module, beside)
        body = {"name": name, "plugins": classmethod(lambda cls: plugins)}
        return run_contract(type("Planted", (contract,), body), tmp_path)

    return run


def run_contract(contract: type[PartContract], root: Path) -> set[str]:
    """Run each test of a contract as pytest would; the names of those that fail."""
    failed = set()
    for name in sorted(name for name in dir(contract) if name.startswith("test_")):
        folder = root / f"{len(list(root.iterdir()))}"
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            given = {"tmp_path": folder, "monkeypatch": patch}
            test = getattr(contract(), name)
            wanted = list(inspect.signature(test).parameters)
            try:
                test(**{parameter: given[parameter] for parameter in wanted})
            except pytest.skip.Exception:
                continue
            except (Exception, pytest.fail.Exception):
                failed.add(name.removeprefix("test_"))
    return failed
