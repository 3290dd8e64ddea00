"""llm deploy to a service of the test's own: what a person types and reads."""

import json
import os
import shutil

import pytest
from plugins.replicate_plugin.tests.service import TOKEN, programs, serving

from create_llm.kernel.plugins import default_plugins
from create_llm.testing.bundles import write_bundle

from .journey import llm

CONFIG = """\
[project]
template = "nano"
[deployment.replicate]
model_name = "mine"
[deployment.huggingface]
repo_name = "mine"
"""
MODEL = {"name": "gpt", "layers": 1, "dim": 32, "heads": 2, "ffn_dim": 64, "max_length": 32}
TO = ("deploy", "v1", "--to", "replicate")
PREDICT = ("deploy", "--to", "replicate", "--predict", "Once")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    registry = default_plugins().registry
    words = {"name": "bpe", "vocab_size": 300}
    return write_bundle(tmp_path_factory.mktemp("models") / "v1", registry, MODEL, words).path


@pytest.fixture
def project(tmp_path, model):
    root = tmp_path / "project"
    shutil.copytree(model, root / "models/v1")
    (root / "llm.toml").write_text(CONFIG)
    return root


@pytest.fixture
def service(tmp_path):
    with serving() as service:
        path = str(programs(tmp_path / "bin", service, "cog", "docker"))
        reached = {"REPLICATE_BASE_URL": service.url, "REPLICATE_API_TOKEN": TOKEN, "PATH": path}
        service.env = {**os.environ, **reached}
        yield service


def nowhere_told(project, *results):
    for done in results:
        assert TOKEN not in done.stdout + done.stderr
    written = [path for path in project.rglob("*") if path.is_file()]
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]


def test_there_and_run(project, service):
    planned = llm(project, *TO, "--dry-run", "--json", env=service.env)
    plan = json.loads(planned.stdout)
    assert "model/model.safetensors" in [file["path"] for file in plan["files"]]
    assert not service.requests
    assert not (project / "exports").exists()
    sent = llm(project, *TO, "--json", env=service.env)
    assert json.loads(sent.stdout) == {"url": "https://replicate.test/me/mine"}
    assert len(service.pushes) == 1
    told = llm(project, *PREDICT, env=service.env)
    assert told.stdout == "Once upon a time\n"
    nowhere_told(project, planned, sent, told)


def test_a_folder_alone(tmp_path, model, service):
    """Without a project: the keys of the target come from the command line."""
    shutil.copytree(model, tmp_path / "away" / "poet")
    named = ("--set", "deployment.replicate.model_name=mine")
    to = ("deploy", "poet", "--to", "replicate")
    needs = llm(tmp_path / "away", *to, env=service.env, code=2)
    assert "deployment.replicate.model_name" in needs.stderr
    plan = llm(tmp_path, "-C", "away", *named, *to, "--dry-run", "--json", env=service.env)
    assert json.loads(plan.stdout)["bundle"] == str(tmp_path / "away" / "poet")
    sent = llm(tmp_path, "-C", "away", *named, *to, "--json", env=service.env)
    assert json.loads(sent.stdout) == {"url": "https://replicate.test/me/mine"}
    assert (tmp_path / "away/exports/replicate/poet/cog.yaml").is_file()
    without = ("deploy", "--to", "replicate", "--predict", "Once")
    told = llm(tmp_path / "away", *named, *without, env=service.env)
    assert told.stdout == "Once upon a time\n"
    nowhere_told(tmp_path / "away", plan, sent, told)


def test_what_is_left_without_docker(project, service, tmp_path):
    env = {**service.env, "PATH": str(programs(tmp_path / "none", service))}
    done = llm(project, *TO, env=env, code=70)
    assert done.stdout == ""
    assert "cog push r8.im/me/mine" in done.stderr
    nowhere_told(project, done)


def test_what_does_not_go(project, service):
    assert "leave MODEL out" in llm(project, *TO, "--predict", "a", code=2).stderr
    assert "leave --dry-run out" in llm(project, *PREDICT, "--dry-run", code=2).stderr
    other = ("deploy", "--to", "huggingface", "--predict", "a")
    assert "does not run them" in llm(project, *other, code=2).stderr
    without = {**service.env, "REPLICATE_API_TOKEN": ""}
    assert "REPLICATE_API_TOKEN" in llm(project, *PREDICT, env=without, code=77).stderr
    assert not service.requests
