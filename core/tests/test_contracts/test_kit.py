"""The kit itself: what holds for every kind, and that contract tests cannot be overridden."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
from pydantic import BaseModel, ConfigDict, Field

from create_llm.kernel.kinds import KINDS, Kind
from create_llm.testing import CallbackContract, TokenizerContract
from create_llm.testing.base import PartContract
from create_llm.training.callbacks import Callback


class Quiet(Callback):
    def __init__(self, config):
        pass


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field("x", description="Where.")


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_each_kind_has_a_contract(kind: Kind):
    module, _, attribute = kind.contract.partition(":")
    contract = getattr(import_module(module), attribute)
    assert issubclass(contract, PartContract)
    assert contract.kind == kind.name
    assert contract.__doc__


def test_each_contract_test_says_what_it_demands():
    for kind in KINDS.values():
        module, _, attribute = kind.contract.partition(":")
        contract = getattr(import_module(module), attribute)
        tests = [value for name, value in vars(contract).items() if name.startswith("test_")]
        assert tests
        assert [test.__name__ for test in tests if not test.__doc__] == []


def test_core_does_not_need_pytest_but_says_what_the_kit_needs():
    program = (
        "import sys; sys.modules['pytest'] = None\n"
        "import create_llm, create_llm.kernel.plugins\n"
        "try:\n    import create_llm.testing\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pip install pytest" in done.stdout


def test_a_part_that_is_not_installed_is_named():
    class Missing(CallbackContract):
        name = "no-such-callback"

    with pytest.raises(pytest.fail.Exception, match="no callback called 'no-such-callback'"):
        Missing().test_target_resolves()


def test_a_contract_without_a_name_says_so():
    class Nameless(CallbackContract):
        pass

    with pytest.raises(pytest.fail.Exception, match="Nameless must say `name`"):
        Nameless().test_target_resolves()


def test_a_qualified_name_finds_the_part():
    class Core(PartContract):
        kind = "commands"
        name = "create-llm-core/train"

    assert Core.part().distribution == "create-llm-core"


def test_options_that_the_config_refuses_are_shown(failures):
    class Wrong(CallbackContract):
        options = {"ulr": "x"}  # noqa: RUF012

    assert "config_refuses_unknown_keys" in failures(Wrong, Quiet, Config)


def test_a_sound_part_passes(failures):
    assert failures(CallbackContract, Quiet, Config) == set()


def test_an_undescribed_key_is_caught(failures):
    class Inner(BaseModel):
        depth: int = 3

    class Silent(Config):
        inner: Inner = Field(Inner(), description="A table.")

    assert failures(CallbackContract, Quiet, Silent) == {"config_documents_every_key"}


def test_a_config_that_takes_any_key_is_caught(failures):
    class Open(Config):
        model_config = ConfigDict(extra="ignore")

    assert failures(CallbackContract, Quiet, Open) == {"config_refuses_unknown_keys"}


def test_a_summary_of_two_lines_is_caught(failures):
    found = failures(CallbackContract, Quiet, summary="First line.\nSecond line.")
    assert found == {"summary_is_one_sentence"}


def test_a_target_that_does_not_resolve_is_caught(failures):
    found = failures(CallbackContract, Quiet, path="create_llm_planted:Misspelt")
    assert "target_resolves" in found


def test_a_heavy_plugin_module_is_caught(failures, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("heavy")
    (folder / "planted_plugin.py").write_text("import numpy\n")
    monkeypatch.syspath_prepend(str(folder))
    found = failures(CallbackContract, Quiet, module="planted_plugin")
    assert found == {"plugin_module_is_light"}


def test_a_plugin_module_that_imports_its_parts_is_caught(failures, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("eager")
    (folder / "planted_eager.py").write_text("import planted_body\n")
    (folder / "planted_body.py").write_text("class Part:\n    def __init__(self, config): pass\n")
    monkeypatch.syspath_prepend(str(folder))
    found = failures(CallbackContract, Quiet, path="planted_body:Part", module="planted_eager")
    assert "plugin_module_is_light" in found


def test_overriding_a_contract_test_is_refused():
    with pytest.raises(TypeError, match="test_keeps_stdout_clean overrides a test"):

        class Cheats(CallbackContract):
            def test_keeps_stdout_clean(self):
                pass


@pytest.mark.parametrize("mark", [pytest.mark.skip(reason="slow"), pytest.mark.xfail, None])
def test_only_an_expected_failure_with_a_reason_may_override(mark):
    def cheat(self):
        pass

    override = mark(cheat) if mark else mark
    with pytest.raises(TypeError, match="overrides a test"):
        type("Cheats", (CallbackContract,), {"test_keeps_stdout_clean": override})


def test_a_mixin_cannot_override_either():
    class Mixin:
        def test_keeps_stdout_clean(self):
            pass

    with pytest.raises(TypeError, match="overrides a test"):
        type("Cheats", (Mixin, CallbackContract), {})


def test_an_expected_failure_runs_the_contract_s_own_test(failures):
    class Prints(Quiet):
        def on_train_start(self, event):
            print("hello")

    class Admits(CallbackContract):
        @pytest.mark.xfail(reason="prints on purpose")
        def test_keeps_stdout_clean(self):
            """The body of an override is not run."""

    assert failures(Admits, Prints) == {"keeps_stdout_clean"}
    assert Admits.test_keeps_stdout_clean.pytestmark[0].kwargs == {"reason": "prints on purpose"}


def test_an_author_s_own_tests_are_welcome():
    class More(TokenizerContract):
        def test_something_else(self):
            pass

    assert More.test_something_else is not None


PLUGIN = """\
from create_llm.hookspecs import hookimpl

@hookimpl
def register_callbacks(register):
    register("loud", "stranger.loud:Loud", summary="A stranger's callback.")
"""
LOUD = """\
from create_llm.training.callbacks import Callback

class Loud(Callback):
    def __init__(self, config):
        pass

    def on_train_end(self, event):
        print("done")

    def on_checkpoint(self, event):
        return "saved"
"""
TESTS = """\
import pytest
from create_llm.testing import CallbackContract

class TestLoud(CallbackContract):
    name = "loud"

    @pytest.mark.xfail(reason="it is meant to be heard")
    def test_keeps_stdout_clean(self): ...
"""


def test_an_installed_stranger_s_plugin_under_pytest(tmp_path):
    """From the entry point to the report: one test fails, one is expected to."""
    info = tmp_path / "stranger-1.0.dist-info"
    (tmp_path / "stranger").mkdir()
    info.mkdir()
    files = {
        info / "METADATA": "Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n",
        info / "entry_points.txt": "[create_llm.plugins]\nloud = stranger.plugin\n",
        tmp_path / "stranger" / "__init__.py": "",
        tmp_path / "stranger" / "plugin.py": PLUGIN,
        tmp_path / "stranger" / "loud.py": LOUD,
        tmp_path / "test_loud.py": TESTS,
    }
    for path, text in files.items():
        path.write_text(text)
    environment = {"PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "pytest", "-q", "-rfx", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path / "test_loud.py")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    report = done.stdout
    assert "1 failed, 13 passed, 1 xfailed" in report, report + done.stderr
    assert "FAILED test_loud.py::TestLoud::test_survives_every_event" in report
    assert "answers 'saved'" in report
    assert "it is meant to be heard" in report
