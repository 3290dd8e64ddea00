"""The kernel: registry, staging, isolation, and what the environment says about plugins."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from create_llm.errors import ConfigError, CreateLLMError, PluginError
from create_llm.hookspecs import Register, hookimpl
from create_llm.kernel import catalogue, plugins
from create_llm.kernel.advice import place_of
from create_llm.kernel.entry_points import InstalledPlugin
from create_llm.kernel.kinds import KINDS
from create_llm.kernel.plugins import Plugins, load_plugins
from create_llm.kernel.registry import Part, Registry

Install = Callable[..., None]


def part(name: str, dist: str = "d1", *, kind: str = "tokenizers", requires: tuple[str, ...] = ()):
    return Part(kind, name, "json:dumps", "A part.", None, requires, dist, dist)


def registry_of(*parts: Part) -> Registry:
    registry = Registry()
    for each in parts:
        registry.add(each)
    return registry


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Stands in for the scan of the environment: `installed(name, hook=function, …)`."""
    found: list[InstalledPlugin] = []
    monkeypatch.setattr(plugins, "installed_plugins", lambda: list(found))

    def install(name: str, *, dist: str | None = None, **attributes: object) -> None:
        module = types.ModuleType(f"kernel_test_{name}_{dist}")
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        found.append(InstalledPlugin(name, module.__name__, dist or f"{name}-dist", "1.0"))

    return install


def registering(*names: str, target: str = "json:dumps", **options: object) -> object:
    @hookimpl
    def register_tokenizers(register: Register) -> None:
        for name in names:
            register(name, target, summary="A tokenizer.", **options)

    return register_tokenizers


def failure_of(name: str, loaded: Plugins) -> str:
    (record,) = [record for record in loaded.records if record.plugin.name == name]
    assert record.status == "failed"
    assert record.error is not None
    return record.error


class TestRegistry:
    def test_a_unique_name_is_found_bare_and_in_full(self):
        registry = registry_of(part("bpe"))
        assert registry.get("tokenizers", "bpe") is registry.get("tokenizers", "d1/bpe")

    def test_a_name_of_two_is_an_error_that_lists_the_choices(self):
        registry = registry_of(part("bpe", "d2"), part("bpe", "d1"))
        with pytest.raises(ConfigError) as caught:
            registry.get("tokenizers", "bpe", where="llm.toml:3")
        assert "d1/bpe, d2/bpe" in caught.value.fixes[0]
        assert caught.value.where == "llm.toml:3"
        assert registry.get("tokenizers", "d2/bpe").distribution == "d2"
        assert registry.names("tokenizers") == ["d1/bpe", "d2/bpe"]
        assert registry.ambiguous("tokenizers") == ["bpe"]

    def test_the_same_name_in_two_kinds_is_no_conflict(self):
        registry = registry_of(part("hf"), part("hf", "d2", kind="data_sources"))
        assert registry.get("data_sources", "hf").distribution == "d2"
        assert registry.ambiguous("tokenizers") == []

    def test_a_missing_name_gets_the_nearest_one(self):
        with pytest.raises(ConfigError) as caught:
            registry_of(part("unigram")).get("tokenizers", "unigrm")
        assert "did you mean 'unigram'?" in caught.value.fixes

    def test_a_missing_name_of_nobody_lists_what_there_is(self):
        with pytest.raises(ConfigError) as caught:
            registry_of(part("a"), part("b")).get("tokenizers", "xyz")
        assert "choose one of: a, b" in caught.value.fixes

    def test_a_requirement_that_is_there_is_satisfied(self):
        registry = registry_of(part("a", requires=("tokenizers/b",)), part("b"))
        assert registry.get("tokenizers", "a").name == "a"

    def test_a_missing_requirement_says_who_needs_it(self):
        registry = registry_of(part("a", requires=("callbacks/zzz",)))
        with pytest.raises(ConfigError) as caught:
            registry.get("tokenizers", "a")
        assert "zzz" in caught.value.what
        assert caught.value.where == "required by tokenizers/a, d1"

    def test_a_requirement_may_be_written_in_full(self):
        registry = registry_of(
            part("a", requires=("tokenizers/d3/b",)), part("b", "d2"), part("b", "d3")
        )
        assert registry.get("tokenizers", "a").name == "a"

    def test_parts_come_sorted_whatever_the_order_of_loading(self):
        registry = registry_of(part("b", "d2"), part("a"), part("b", "d1"))
        order = [(each.name, each.distribution) for each in registry.parts("tokenizers")]
        assert order == [("a", "d1"), ("b", "d1"), ("b", "d2")]


class TestCatalogue:
    @pytest.fixture(autouse=True)
    def known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        entries = {"create-llm-lion": {"callbacks": ["lion"], "tokenizers": ["roar"]}}
        monkeypatch.setattr(catalogue, "catalogue", lambda: entries)

    def test_a_first_party_part_that_is_not_installed_names_its_package(self):
        with pytest.raises(PluginError) as caught:
            registry_of().get("tokenizers", "roar")
        assert "create-llm-lion" in caught.value.what
        assert caught.value.fixes[0] == "llm plugins install lion"

    def test_a_first_party_plugin_that_is_not_installed_names_its_package(self, installed: Install):
        with pytest.raises(PluginError) as caught:
            load_plugins({}).require("lion")
        assert "llm plugins install lion" in caught.value.fixes

    def test_another_plugins_failure_is_not_blamed_for_a_known_part(self, installed: Install):
        installed("broken", register_tokenizers=hookimpl(lambda register: 1 / 0))
        with pytest.raises(PluginError) as caught:
            load_plugins({}).registry.get("tokenizers", "roar")
        assert "create-llm-lion" in caught.value.what

    def test_the_failure_of_the_package_that_provides_it_is(self, installed: Install):
        installed("beast", dist="create-llm-lion", register_nothing=hookimpl(lambda: None))
        with pytest.raises(PluginError, match=r"'beast' \(create-llm-lion 1.0\) failed"):
            load_plugins({}).registry.get("tokenizers", "roar")


class TestPartLoading:
    def test_the_target_is_imported_on_demand(self):
        import json

        assert part("a").load() is json.dumps

    @pytest.mark.parametrize("target", ["no_such_module:x", "json:no_such_attribute"])
    def test_a_target_that_does_not_resolve_names_the_distribution(self, target: str):
        with pytest.raises(PluginError) as caught:
            Part("tokenizers", "a", target, "", None, (), "p", "bad-dist").load()
        assert "bad-dist" in str(caught.value.where)
        assert any("llm plugins uninstall bad-dist" in fix for fix in caught.value.fixes)

    def test_a_target_of_one_s_own_is_to_be_mended_where_it_breaks(self, tmp_path, monkeypatch):
        (tmp_path / "breaks_at_import.py").write_text("x = 1\nx.y\n")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(PluginError) as caught:
            Part("tokenizers", "a", "breaks_at_import:x", "", None, (), "mine", "my-dist").load()
        place = f"{tmp_path / 'breaks_at_import.py'}:2"
        assert caught.value.where == f"{place} ('breaks_at_import:x', registered by my-dist)"
        assert caught.value.fixes == (
            f"if it is yours: mend {place}, then: llm plugins test mine",
            "or remove it: llm plugins uninstall my-dist",
        )

    def test_a_target_of_ours_is_to_be_updated(self):
        with pytest.raises(PluginError) as caught:
            Part("tokenizers", "a", "json:nothing", "", None, (), "gpt", "create-llm-gpt").load()
        update = "update it: llm plugins install create-llm-gpt --upgrade"
        assert caught.value.fixes[0] == update

    def test_a_target_that_exits_at_import_does_not_end_the_program(self, tmp_path, monkeypatch):
        (tmp_path / "exits_at_import.py").write_text("import sys\nsys.exit(0)\n")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(PluginError, match="SystemExit"):
            Part("tokenizers", "a", "exits_at_import:x", "", None, (), "p", "d").load()

    def test_what_a_target_prints_at_import_goes_to_stderr(self, tmp_path, monkeypatch, capsys):
        (tmp_path / "prints_at_import.py").write_text("print('hello')\nx = 1\n")
        monkeypatch.syspath_prepend(tmp_path)
        assert Part("tokenizers", "a", "prints_at_import:x", "", None, (), "p", "d").load() == 1
        assert capsys.readouterr() == ("", "hello\n")


class TestLoading:
    def test_parts_of_a_plugin_are_registered_under_its_names(self, installed: Install):
        installed("lion", register_tokenizers=registering("roar"))
        loaded = load_plugins({})
        found = loaded.registry.get("tokenizers", "roar")
        assert (found.plugin, found.distribution) == ("lion", "lion-dist")
        assert loaded.require("lion").provides == {"tokenizers": ["roar"]}
        assert loaded.require("lion-dist") is loaded.require("lion")

    def test_the_cores_verbs_are_parts(self, installed: Install):
        assert "plugins" in load_plugins({}).registry.names("commands")

    def test_a_hook_of_one_plugin_is_not_called_for_the_next(self, installed: Install):
        installed("a", register_tokenizers=registering("one"))
        installed("b", register_tokenizers=registering("two"))
        provided = {r.plugin.name: r.provides for r in load_plugins({}).records}
        assert provided["a"] == {"tokenizers": ["one"]}
        assert provided["b"] == {"tokenizers": ["two"]}

    def test_all_of_a_plugins_registrations_count_or_none(self, installed: Install):
        @hookimpl
        def register_callbacks(register: Register) -> None:
            raise RuntimeError("boom")

        installed(
            "half",
            register_tokenizers=registering("roar"),
            register_callbacks=register_callbacks,
        )
        loaded = load_plugins({})
        assert failure_of("half", loaded) == "RuntimeError: boom"
        assert loaded.registry.names("tokenizers") == []

    def test_a_failure_leaves_the_others_alone(self, installed: Install):
        installed("a", register_tokenizers=hookimpl(lambda register: 1 / 0))
        installed("b", register_tokenizers=registering("roar"))
        loaded = load_plugins({})
        assert [record.plugin.name for record in loaded.failed()] == ["a"]
        assert loaded.registry.names("tokenizers") == ["roar"]

    def test_a_failed_plugin_that_is_asked_for_is_an_error(self, installed: Install):
        installed("a", register_tokenizers=hookimpl(lambda register: 1 / 0))
        loaded = load_plugins({})
        with pytest.raises(PluginError, match=r"'a' \(a-dist 1.0\) failed to load: ZeroDivision"):
            loaded.require("a", where="llm.toml:2")
        with pytest.raises(PluginError, match="a-dist"):
            loaded.registry.get("tokenizers", "anything")

    def test_a_part_that_a_failed_plugin_staged_is_explained_by_it(self, installed: Install):
        def register(register: Register) -> None:
            register("roar", "a:b", summary="")
            raise RuntimeError("boom")

        installed("a", register_tokenizers=hookimpl(register))
        with pytest.raises(PluginError, match="boom"):
            load_plugins({}).registry.get("tokenizers", "roar")

    def test_a_misspelt_name_is_not_blamed_on_a_failed_plugin(self, installed: Install):
        installed("a", register_tokenizers=hookimpl(lambda register: 1 / 0))
        installed("b", register_tokenizers=registering("unigram"))
        with pytest.raises(ConfigError) as caught:
            load_plugins({}).registry.get("tokenizers", "unigrm")
        assert "did you mean 'unigram'?" in caught.value.fixes

    @pytest.mark.parametrize("error", [SystemExit(0), ImportError("no x"), GeneratorExit()])
    def test_whatever_a_plugin_raises_is_kept(self, installed: Install, error: BaseException):
        def register(register: Register) -> None:
            raise error

        installed("a", register_tokenizers=hookimpl(register))
        assert type(error).__name__ in failure_of("a", load_plugins({}))

    def test_an_interrupt_is_not_a_plugins_failure(self, installed: Install):
        def register(register: Register) -> None:
            raise KeyboardInterrupt

        installed("a", register_tokenizers=hookimpl(register))
        with pytest.raises(KeyboardInterrupt):
            load_plugins({})

    def test_what_a_hook_prints_goes_to_stderr(self, installed: Install, capsys):
        def register(register: Register) -> None:
            print("hello")
            register("roar", "a:b", summary="")

        installed("a", register_tokenizers=hookimpl(register))
        load_plugins({})
        assert capsys.readouterr() == ("", "hello\n")


class TestAdvice:
    @pytest.fixture
    def package(self, tmp_path, monkeypatch) -> Iterator[Path]:
        """An importable package, whose plugin module is still to be written."""
        folder = tmp_path / "advice_test_package"
        folder.mkdir()
        (folder / "__init__.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
        yield folder
        for name in [name for name in sys.modules if name.startswith(folder.name)]:
            del sys.modules[name]

    def failed(self, package: Path, monkeypatch, dist: str = "my-lion") -> PluginError:
        plugin = InstalledPlugin("lion", f"{package.name}.plugin", dist, "1.0")
        monkeypatch.setattr(plugins, "installed_plugins", lambda: [plugin])
        (record,) = load_plugins({}).failed()
        return plugins.unusable(record)

    @pytest.mark.parametrize(
        ("body", "line"),
        [
            ("\nraise RuntimeError('boom')\n", ":2"),
            ("import json\n\nimport nothing_that_is_here\n", ":3"),
            ("def register_tokenizers(register)\n    pass\n", ":1"),
            ("import json\njson.loads('{')\n", ":2"),
            ("def register_tokenizers(register):\n    pass\n", ""),
        ],
    )
    def test_a_plugin_of_one_s_own_is_to_be_mended(self, package, monkeypatch, body, line):
        (package / "plugin.py").write_text(body)
        error = self.failed(package, monkeypatch)
        place = f"{package / 'plugin.py'}{line}"
        assert error.where == place
        assert error.fixes == (
            f"if it is yours: mend {place}, then: llm plugins test lion",
            "or remove it: llm plugins uninstall my-lion",
            "see the whole story: llm doctor",
        )

    def test_a_plugin_of_ours_is_to_be_updated(self, package, monkeypatch):
        (package / "plugin.py").write_text("raise RuntimeError('boom')\n")
        error = self.failed(package, monkeypatch, "create-llm-gpt")
        assert error.fixes[0] == "update it: llm plugins install create-llm-gpt --upgrade"

    def test_an_entry_point_that_leads_nowhere_is_to_be_mended(self, package, monkeypatch):
        error = self.failed(package, monkeypatch)
        assert error.where is None
        assert f"its entry point, which names the module '{package.name}.plugin'" in error.fixes[0]

    def test_who_asked_for_it_is_told_too(self, package, monkeypatch):
        (package / "plugin.py").write_text("raise RuntimeError('boom')\n")
        self.failed(package, monkeypatch)
        with pytest.raises(PluginError) as caught:
            load_plugins({}).require("lion", where="llm.toml:2")
        assert caught.value.where == f"{package / 'plugin.py'}:1 (asked for: llm.toml:2)"

    def test_a_module_is_found_without_importing_what_is_above_it(self, package):
        (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
        (package / "plugin.py").touch()
        found = place_of(f"{package.name}.plugin", ValueError("elsewhere"))
        assert found == str(package / "plugin.py")
        assert package.name not in sys.modules

    def test_a_name_that_is_not_ours_is_no_package_on_the_index(self, installed: Install):
        with pytest.raises(PluginError) as caught:
            load_plugins({}).require("folio")
        assert "llm plugins install folio" not in caught.value.fixes
        assert "llm plugins install PACKAGE, where PACKAGE" in caught.value.fixes[0]


class TestHooks:
    def test_a_misspelt_hook_gets_the_nearest_name(self, installed: Install):
        installed("a", register_tokenizer=hookimpl(lambda register: None))
        error = failure_of("a", load_plugins({}))
        assert "'register_tokenizer'" in error
        assert "did you mean 'register_tokenizers'?" in error

    def test_a_hook_like_no_other_lists_the_hooks(self, installed: Install):
        installed("a", zzz=hookimpl(lambda register: None))
        assert "hooks are: register_tokenizers, " in failure_of("a", load_plugins({}))

    def test_a_hook_without_its_marker_is_an_error(self, installed: Install):
        installed("a", register_tokenizers=lambda register: None)
        assert "'register_tokenizers'" in failure_of("a", load_plugins({}))
        assert "lacks @hookimpl" in failure_of("a", load_plugins({}))

    def test_one_marked_hook_does_not_hide_an_unmarked_one(self, installed: Install):
        installed(
            "a", register_tokenizers=registering("roar"), register_callbacks=lambda register: None
        )
        loaded = load_plugins({})
        assert "'register_callbacks'" in failure_of("a", loaded)
        assert loaded.registry.names("tokenizers") == []

    def test_a_module_without_hooks_is_an_error(self, installed: Install):
        installed("a", something_else=lambda register: None)
        assert "registers nothing; is @hookimpl there?" in failure_of("a", load_plugins({}))

    def test_a_function_of_another_name_can_say_which_hook_it_is(self, installed: Install):
        mine = hookimpl(lambda register: register("roar", "a:b", summary=""))
        mine = hookimpl(specname="register_tokenizers")(mine)
        installed("a", mine=mine)
        assert load_plugins({}).registry.names("tokenizers") == ["roar"]

    def test_a_hook_with_unknown_parameters_is_an_error(self, installed: Install):
        installed("a", register_tokenizers=hookimpl(lambda registry: None))
        assert "registry" in failure_of("a", load_plugins({}))

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_every_kind_has_its_hook(self, installed: Install, kind: str):
        hook = hookimpl(lambda register: register("roar", "a:b", summary=""))
        installed("a", **{KINDS[kind].hook: hook})
        assert "roar" in load_plugins({}).registry.names(kind)


class TestRegistrations:
    @pytest.mark.parametrize("name", ["", "a/b", " a", "a "])
    def test_names_that_could_not_be_chosen(self, installed: Install, name: str):
        installed("a", register_tokenizers=registering(name))
        assert "cannot be the name of a tokenizer" in failure_of("a", load_plugins({}))

    @pytest.mark.parametrize("target", ["", "module", "module:", ":attribute"])
    def test_targets_that_could_not_resolve(self, installed: Install, target: str):
        installed("a", register_tokenizers=registering("x", target=target))
        assert "'module:attribute'" in failure_of("a", load_plugins({}))

    def test_a_config_that_could_not_resolve(self, installed: Install):
        installed("a", register_tokenizers=registering("x", config="Config"))
        assert "'module:attribute'" in failure_of("a", load_plugins({}))

    @pytest.mark.parametrize("requirement", ["bpe", "tokenizer/bpe", "tokenizers/"])
    def test_requirements_that_are_none(self, installed: Install, requirement: str):
        installed("a", register_tokenizers=registering("x", requires=(requirement,)))
        assert "'kind/name'" in failure_of("a", load_plugins({}))

    def test_one_plugin_registers_a_name_once(self, installed: Install):
        installed("a", register_tokenizers=registering("x", "x"))
        assert "registered twice" in failure_of("a", load_plugins({}))

    def test_two_plugins_may_register_one_name(self, installed: Install):
        installed("a", register_tokenizers=registering("x"))
        installed("b", register_tokenizers=registering("x"))
        loaded = load_plugins({})
        assert loaded.failed() == []
        assert loaded.registry.names("tokenizers") == ["a-dist/x", "b-dist/x"]

    def test_a_verb_of_the_core_cannot_be_replaced(self, installed: Install):
        hook = hookimpl(lambda register: register("train", "a:b", summary=""))
        installed("a", register_commands=hook)
        loaded = load_plugins({})
        assert "'train' belongs to the core" in failure_of("a", loaded)
        assert loaded.registry.get("commands", "train").plugin == "core"


class TestSwitches:
    @pytest.fixture(autouse=True)
    def two(self, installed: Install) -> None:
        installed("a", register_tokenizers=registering("one"))
        installed("b", register_tokenizers=registering("two"))

    @pytest.mark.parametrize(
        ("value", "names"),
        [("a", ["one"]), (" a , b ", ["one", "two"]), ("", []), ("unknown", [])],
    )
    def test_the_environment_restricts_plugins(self, value: str, names: list[str]):
        loaded = load_plugins({"CREATE_LLM_PLUGINS": value})
        assert loaded.registry.names("tokenizers") == names
        assert "train" in loaded.registry.names("commands")

    def test_no_plugins_leaves_the_core(self):
        loaded = load_plugins({}, enabled=False)
        assert [record.status for record in loaded.records] == ["loaded", "disabled", "disabled"]
        assert loaded.registry.names("tokenizers") == []
        assert "train" in loaded.registry.names("commands")

    def test_a_plugin_that_is_switched_off_and_asked_for_is_an_error(self):
        with pytest.raises(PluginError, match="switched off"):
            load_plugins({"CREATE_LLM_PLUGINS": "a"}).require("b")

    def test_a_plugin_that_nobody_has_gets_the_nearest_name(self, installed: Install):
        installed("lion", register_tokenizers=registering("three"))
        with pytest.raises(PluginError) as caught:
            load_plugins({}).require("lions")
        assert "did you mean 'lion'?" in caught.value.fixes
        assert "installed are: a, b, lion" in caught.value.fixes


def test_strict_makes_a_failure_an_error(installed: Install):
    installed("a", register_tokenizers=hookimpl(lambda register: 1 / 0))
    assert len(load_plugins({"CREATE_LLM_STRICT": "0"}).failed()) == 1
    with pytest.raises(CreateLLMError, match="a-dist") as caught:
        load_plugins({"CREATE_LLM_STRICT": "1"})
    assert caught.value.exit_code == 70
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_strict_is_not_fooled_by_a_plugin_that_exits(installed: Install):
    def register(register: Register) -> None:
        sys.exit(0)

    installed("a", register_tokenizers=hookimpl(register))
    with pytest.raises(PluginError):
        load_plugins({"CREATE_LLM_STRICT": "1"})


def test_a_failure_is_told_in_one_line(installed: Install):
    def register(register: Register) -> None:
        raise RuntimeError("first line\nsecond line")

    installed("a", register_tokenizers=hookimpl(register))
    (record,) = load_plugins({}).failed()
    line = plugins.failure_line(record)
    assert "a-dist" in line
    assert "\n" not in line
    assert record.error is not None
    assert "second line" in record.error
