"""The folders that LM Studio looks in, and its command."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from create_llm.errors import PluginError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import ModelBundle
from create_llm.models.exporting import export
from create_llm.testing.bundles import write_bundle
from create_llm_export.config import LMStudioConfig
from create_llm_export.lmstudio import LMStudio

MODEL = {"name": "gpt", "layers": 1, "heads": 2, "dim": 32, "max_length": 32}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> ModelBundle:
    folder = tmp_path_factory.mktemp("model") / "v1"
    tokenizer = {"name": "bpe", "vocab_size": 300}
    return write_bundle(folder, default_plugins().registry, MODEL, tokenizer)


def test_the_folder_is_one_of_lm_studios_own(tmp_path, bundle):
    models = tmp_path / "models"
    for _ in range(2):  # an earlier export gives way
        config = LMStudioConfig(publisher="me", name="poet")
        advice = export(LMStudio(config), bundle, models / "me" / "poet")
    files = {path.relative_to(models).as_posix() for path in models.rglob("*")}
    assert files == {"me", "me/poet", "me/poet/manifest.json", "me/poet/v1-F16.gguf"}
    file = models / "me" / "poet" / "v1-F16.gguf"
    assert any(f'--user-repo me/poet "{file}"' in line for line in advice)
    assert any("--out ~/.lmstudio/models/me/poet" in line for line in advice)


@pytest.mark.skipif(not Path("/bin/sh").exists(), reason="the stand-in is a shell script")
@pytest.mark.parametrize("works", [True, False])
def test_its_command_gets_the_file(tmp_path, bundle, monkeypatch, works):
    program = tmp_path / "bin" / "lms"
    program.parent.mkdir()
    end = "" if works else "echo not set up >&2; exit 1"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\n{end}\n', "utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))
    exporter = LMStudio(LMStudioConfig())
    export(exporter, bundle, tmp_path / "out")
    assert not (tmp_path / "called").exists()
    if works:
        assert exporter.test(bundle, tmp_path / "out")[-1].told == "has the model as create-llm/v1"
    else:
        with pytest.raises(PluginError, match="not set up"):
            exporter.test(bundle, tmp_path / "out")
    called = (tmp_path / "called").read_text("utf-8").split()
    assert called[:5] == ["import", "--yes", "--hard-link", "--user-repo", "create-llm/v1"]
    assert Path(called[5]).is_file()
