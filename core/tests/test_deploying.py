"""`llm deploy` with targets that meet what the system refuses: who met it is said."""

import errno
import os
import sys
from types import ModuleType

import pytest
from click.testing import CliRunner

from create_llm.cli.app import App
from create_llm.cli.deploy import command
from create_llm.errors import CreateLLMError, PluginError, StorageError
from create_llm.kernel.plugins import Plugins
from create_llm.kernel.registry import Part, Registry
from create_llm.models.bundle import FORMAT, INFO
from create_llm.models.deploy import Plan
from create_llm.storage.durable import Storage

MODULE = "create_llm_shelf"
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/shelf/v1.part")
FOLDER = OSError(errno.EISDIR, os.strerror(errno.EISDIR), "/shelf/v1")
AWAY = ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
GONE = BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
LATE = TimeoutError("timed out")
NAMELESS = OSError("HTTPSConnectionPool: the name cannot be resolved")


class Shelf:
    """Meets an error where it is told to.

    Attributes:
        trouble: the method that raises, and what.
    """

    trouble: tuple[str, OSError]

    def __init__(self, config):
        pass

    def plan(self, bundle):
        self._meet("plan")
        return Plan("shelf", bundle, (), ())

    def apply(self, plan):
        self._meet("apply")
        return "shelf://v1"

    def predict(self, prompt):
        yield "Once "
        self._meet("predict")

    def _meet(self, method):
        if self.trouble[0] == method:
            raise self.trouble[1]


@pytest.fixture
def deploy(tmp_path, monkeypatch):
    module = ModuleType(MODULE)
    module.Shelf = Shelf
    monkeypatch.setitem(sys.modules, MODULE, module)
    with Storage().commit(tmp_path / "v1") as writer:
        writer.write_json(INFO, {"format": FORMAT, "name": "v1"})
    registry = Registry()
    part = (f"{MODULE}:Shelf", "A shelf.", None, (), "shelf", "create-llm-shelf")
    registry.add(Part("deploy_targets", "shelf", *part))
    app = App(Plugins((), registry), tmp_path, ())

    def run(method: str, error: OSError) -> CreateLLMError:
        Shelf.trouble = method, error
        words = ["--predict", "Once"] if method == "predict" else [str(tmp_path / "v1")]
        done = CliRunner().invoke(command, [*words, "--to", "shelf"], obj=app)
        assert isinstance(done.exception, CreateLLMError), done.exc_info
        return done.exception

    return run


@pytest.mark.parametrize("method", ["plan", "apply", "predict"])
@pytest.mark.parametrize("error", [FULL, FOLDER])
def test_what_the_disk_refuses_a_target_is_told_with_its_name(deploy, method, error):
    told = deploy(method, error)
    assert isinstance(told, StorageError)
    assert "'shelf' of create-llm-shelf" in told.what
    assert told.where == error.filename


@pytest.mark.parametrize("method", ["plan", "apply", "predict"])
@pytest.mark.parametrize("error", [AWAY, GONE, LATE, NAMELESS], ids=lambda error: str(error)[:9])
def test_any_other_error_of_the_system_is_the_target_s(deploy, method, error):
    told = deploy(method, error)
    assert isinstance(told, PluginError)
    assert "'shelf' of create-llm-shelf failed" in told.what
    assert str(error) in told.what
    assert "disk" not in told.render()
