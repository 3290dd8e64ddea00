"""Kinds that plugins own: their parts come in as all parts do."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable

import pytest

from create_llm.authoring.contracts import parts_called
from create_llm.errors import ConfigError, PluginError
from create_llm.hookspecs import Register, hookimpl
from create_llm.kernel import plugins
from create_llm.kernel.entry_points import InstalledPlugin
from create_llm.kernel.kinds import KINDS, Kind
from create_llm.kernel.plugins import PluginRecord, load_plugins

LIONS = Kind("lions", "lion", "json:dumps", "json:dumps")
Install = Callable[..., InstalledPlugin]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Stands in for the scan of the environment: `installed(name, hook=function, …)`."""
    found: list[InstalledPlugin] = []
    monkeypatch.setattr(plugins, "installed_plugins", lambda: list(found))

    def install(name: str, **attributes: object) -> InstalledPlugin:
        module = types.ModuleType(f"owned_kinds_test_{name}")
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        plugin = InstalledPlugin(name, module.__name__, f"{name}-dist", "1.0")
        found.append(plugin)
        return plugin

    return install


def roaring(name: str, target: str = "json:dumps", **options: object) -> object:
    @hookimpl(**options)
    def register_lions(register: Register) -> None:
        register(name, target, summary="A lion.")

    return register_lions


def cat(register: Register) -> None:
    register("cat", "json:dumps", summary="A tokenizer.")


def record_of(name: str) -> PluginRecord:
    return next(r for r in load_plugins({}).records if r.plugin.name == name)


def test_a_guest_that_is_loaded_before_the_owner_brings_its_part(installed: Install):
    installed("a", register_lions=roaring("leo"))
    installed("z", KINDS=(LIONS,), register_lions=roaring("nala"))
    loaded = load_plugins({})
    assert loaded.failed() == []
    assert loaded.registry.names("lions") == ["leo", "nala"]
    assert loaded.registry.get("lions", "leo").distribution == "a-dist"
    assert [part.name for part in parts_called(loaded, "lions/leo")] == ["leo"]
    assert "lions" not in KINDS


def test_names_are_looked_after_as_those_of_any_kind(installed: Install):
    installed("a", register_lions=roaring("leo"))
    installed("b", KINDS=(LIONS,), register_lions=roaring("leo"))
    registry = load_plugins({}).registry
    assert registry.ambiguous("lions") == ["leo"]
    with pytest.raises(ConfigError, match="lion 'leo' is provided by several plugins"):
        registry.get("lions", "leo")
    with pytest.raises(ConfigError, match="no lion called 'lea'"):
        registry.get("lions", "lea")


def test_a_part_that_does_not_load_is_named(installed: Install):
    installed("a", KINDS=(LIONS,), register_lions=roaring("leo", "no_such_module:x"))
    with pytest.raises(PluginError, match="part of lions 'leo' could not be loaded"):
        load_plugins({}).registry.get("lions", "leo").load()


def test_without_the_owner_a_guest_fails_unless_the_hook_is_optional(installed: Install):
    installed("a", register_lions=roaring("leo"), register_tokenizers=hookimpl(cat))
    installed(
        "b", register_lions=roaring("leo", optionalhook=True), register_tokenizers=hookimpl(cat)
    )
    failed = record_of("a")
    assert failed.status == "failed"
    assert "'register_lions'" in str(failed.error)
    assert [part.kind for part in record_of("b").parts] == ["tokenizers"]


@pytest.mark.parametrize("kind", [KINDS["tokenizers"], "lions"])
def test_what_cannot_be_owned(installed: Install, kind: object):
    installed("a", KINDS=(kind,), register_tokenizers=hookimpl(cat))
    assert record_of("a").status == "failed"


def test_a_kind_has_one_owner(installed: Install):
    installed("a", KINDS=(LIONS,), register_lions=roaring("leo"))
    installed("b", KINDS=(LIONS,), register_lions=roaring("nala"))
    assert record_of("a").status == "loaded"
    assert "belongs to somebody else" in str(record_of("b").error)


def test_an_owner_that_cannot_be_imported_fails_alone(installed: Install):
    installed("a", register_tokenizers=hookimpl(cat))
    broken = installed("b", KINDS=(LIONS,))
    del sys.modules[broken.module]
    assert record_of("a").status == "loaded"
    assert "ModuleNotFoundError" in str(record_of("b").error)


def test_a_project_s_own_plugin_joins_with_its_kind(installed: Install):
    installed("a", KINDS=(LIONS,), register_lions=roaring("leo"))
    own = installed("own", register_lions=roaring("nala"))
    joined = load_plugins({"CREATE_LLM_PLUGINS": "a"}).joined_by(own)
    assert joined.registry.names("lions") == ["leo", "nala"]
