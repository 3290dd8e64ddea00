"""The template whose projects are plugins: new, install, change the model, train."""

from __future__ import annotations

import json

import pytest

from tests.journey import flags, sentences

SMALL = flags(
    {
        "model.max_length": 32,
        "model.dim": 32,
        "tokenizer.vocab_size": 300,
        "training.max_steps": 20,
        "training.batch_size": 4,
        "training.eval_interval": 20,
        "training.save_interval": 20,
        "logging.log_interval": 2,
        "generation.max_new_tokens": 8,
    }
)


@pytest.fixture
def project(llm, tmp_path):
    made = llm("new", "my-lm", "--template", "custom", "--yes", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "llm plugins install -e ." in made.stderr
    folder = tmp_path / "my-lm"
    (folder / "data" / "raw" / "a.txt").write_text(sentences(400), encoding="utf-8")
    return folder


def test_a_project_of_ones_own_says_that_it_wants_to_be_installed(llm, project):
    done = llm("train", *SMALL, cwd=project)
    assert done.returncode == 70
    assert "llm plugins install --editable ." in done.stderr
    assert "this project's own" in done.stderr


def test_a_project_of_ones_own_passes_its_contract_and_trains(llm, project, install_apart):
    key = "    dim: int = Field("
    config = project / "src" / "create_llm_my_lm" / "config.py"
    text = config.read_text(encoding="utf-8")
    assert key in text
    # A key of one's own is a key of [model] like all others.
    mine = '    depth: int = Field(default=2, ge=1, description="A key of my own.")\n'
    config.write_text(text.replace(key, mine + key), encoding="utf-8")
    overlay = install_apart([project])
    tested = llm("plugins", "test", "my-lm", "--json", cwd=project, overlays=[overlay])
    assert tested.returncode == 0, tested.stderr
    explained = llm("config", "explain", "model.depth", cwd=project, overlays=[overlay])
    assert "A key of my own." in explained.stdout
    words = ("--set", "model.depth=3", "--json", *SMALL)
    trained = llm("train", *words, cwd=project, overlays=[overlay])
    assert trained.returncode == 0, trained.stderr
    steps = [
        event["loss"]
        for log in (project / "logs").glob("*/events.jsonl")
        for event in map(json.loads, log.read_text(encoding="utf-8").splitlines())
        if event["event"] == "step"
    ]
    assert steps[-1] < steps[0]
    model = json.loads(trained.stdout)["model"]
    written = llm("generate", "--prompt", "Ada", "--json", cwd=project, overlays=[overlay])
    assert json.loads(written.stdout)["results"][0]["tokens"] > 0, model


@pytest.mark.parametrize(("name", "instead"), [("gpt", "my-gpt"), ("My LM", "my-lm")])
def test_a_name_that_a_plugin_cannot_have_is_refused(llm, tmp_path, name, instead):
    done = llm("new", name, "--template", "custom", "--yes", cwd=tmp_path)
    assert done.returncode == 2
    assert f"llm new {instead} --template custom" in done.stderr
    assert not list(tmp_path.iterdir())
