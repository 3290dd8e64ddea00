"""llm import and llm deploy against a Hub of the test's own: what a person types and reads."""

import json
import os
from pathlib import Path

import pytest
from plugins.hf_plugin.tests import theirs
from plugins.hf_plugin.tests.service import TOKEN, serving

from .journey import llm

CONFIG = """\
[project]
template = "nano"
[deployment.huggingface]
repo_name = "mine"
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return theirs.save(tmp_path_factory.mktemp("theirs"), "llama")


@pytest.fixture
def hub(tmp_path):
    with serving() as service:
        env = {"HF_ENDPOINT": service.url, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": TOKEN}
        service.env = {**os.environ, **env, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        yield service


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    (root / "llm.toml").write_text(CONFIG)
    return root


def test_from_the_hub_and_back(project, model, hub):
    files = {path.name: path.read_bytes() for path in model.iterdir()}
    sha = hub.add("org/model", files, private=True)
    told = json.loads(llm(project, "import", "hf:org/model", "--json", env=hub.env).stdout)
    origin = {"from": "hf:org/model", "repository": "org/model", "commit": sha}
    assert {key: told.get(key) for key in origin} == origin
    assert (told["path"], told["architecture"]) == (str(project / "models/v1"), "gpt")
    made = llm(project, "generate", "--prompt", "Once", "--max-new-tokens", "4", "--json")
    assert json.loads(made.stdout)["results"][0]["tokens"] == 4
    sent = llm(project, "deploy", "--to", "huggingface", "--json", env=hub.env)
    assert json.loads(sent.stdout) == {"url": f"{hub.url}/me/mine"}
    assert hub.repos["me/mine"].private
    again = llm(project, "import", "hf:me/mine", env=hub.env)
    assert "Saved as models/v2, the active model now, in place of v1\nNext: llm gen" in again.stderr
    assert "llm runs use v1" in again.stderr
    weights = [project / "models" / name / "model.safetensors" for name in ("v1", "v2")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    written = [path for path in project.rglob("*") if path.is_file()]
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]


def test_a_folder_without_a_project(tmp_path, model):
    refused = llm(tmp_path, "import", str(model), code=2)
    assert "--out FOLDER" in refused.stderr
    out = llm(tmp_path, "import", str(model), "--out", "mine")
    assert Path(out.stdout.strip()) == tmp_path / "mine"
    assert "Saved as mine\nNext: llm generate mine\n" in out.stderr
    assert (tmp_path / "mine/README.md").read_text().startswith("# mine\n")
    again = llm(tmp_path, "import", str(model), "--out", "mine", code=2)
    assert "something in that place" in again.stderr


def test_mistakes_are_said_in_words(project, model, hub):
    assert "no importer called 'fh'" in llm(project, "import", "fh:org/x", code=2).stderr
    assert "ORG/NAME is missing" in llm(project, "import", "hf:", code=2).stderr
    missing = llm(project, "import", "hf:org/none", env=hub.env, code=2).stderr
    assert "nothing of that name" in missing
    llm(project, "import", str(model))
    hub.token = "another"
    refused = llm(project, "deploy", "--to", "huggingface", env=hub.env, code=77).stderr
    assert "refuses the key" in refused
    assert TOKEN not in refused
    assert not (project / "models/v2").exists()
