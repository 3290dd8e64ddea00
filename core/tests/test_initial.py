"""`llm train --init V`: runs that begin with the weights and the tokenizer of a model."""

from __future__ import annotations

import json
import shutil
from functools import partial

import pytest

from create_llm.config import load_config
from create_llm.errors import ConfigError, CreateLLMError, DataError
from create_llm.kernel.plugins import load_plugins
from create_llm.models.bundle import ModelBundle
from create_llm.models.versions import Gone, retire
from create_llm.project.folder import Project
from create_llm.runs.history import entry_called, history
from create_llm.runs.run import runs_of
from create_llm.training.initial import begin_with
from create_llm.training.job import Surroundings
from create_llm.training.launch import train

PLUGINS = load_plugins({})
LLM_TOML = """
[model]
name = "gpt"
layers = 1
dim = 16
heads = 2
ffn_dim = 32
max_length = 32
[data]
source = "text"
[tokenizer]
name = "bpe"
vocab_size = 300
[training]
batch_size = 8
learning_rate = 1e-2
warmup_steps = 2
max_steps = 12
eval_interval = 6
save_interval = 6
compile = "off"
precision = "fp32"
[generation]
max_new_tokens = 2
"""
TINY = {"training.learning_rate": 1e-12, "training.max_steps": 1}


def write_text(project, *words):
    lines = (f"{words[n % len(words)]} {words[n * n % len(words)]}.\n" for n in range(1500))
    (project.raw / "text.txt").write_text("".join(lines))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project with one model."""
    project = Project(tmp_path_factory.mktemp("made"))
    (project.root / "llm.toml").write_text(LLM_TOML)
    project.raw.mkdir(parents=True)
    write_text(project, "geese", "seven", "a pond", "feathers", "grain")
    run(project)
    return project


@pytest.fixture
def project(made, tmp_path):
    shutil.copytree(made.root, tmp_path / "project")
    return Project(tmp_path / "project")


def begin(project, init=None, resume="auto", overrides=(), **flags):
    keys = {key: (value, "--flag") for key, value in flags.items()}
    keys["training.init"] = (init, "--init")

    def load(given):
        return load_config(
            project.root, PLUGINS, flags=keys, overrides=overrides, environ={}, given=given
        )

    return begin_with(project, PLUGINS.registry, load, resume)


def run(project, init=None, resume="auto", overrides=(), **flags):
    beginning = begin(project, init, resume, overrides, **flags)
    around = Surroundings(resume=resume, initial=beginning.initial)
    return train(beginning.project, beginning.config, PLUGINS, around)


def runs(project):
    return list(runs_of(project.logs, project.checkpoints))


def kill_after(project, step):
    """Leave of the last run what it had when its checkpoint of `step` was written."""
    last = runs(project)[-1]
    for path in last.checkpoints.iterdir():
        if path.name != f"step-{step:08}":
            path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path)
    shutil.rmtree(json.loads((last.path / "summary.json").read_text())["model"])
    (last.path / "summary.json").unlink()
    return last


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_run_begins_where_the_model_was(project):
    before = ModelBundle.open(project.models / "v1").info["metrics"]["val_loss"]
    assert before < 4.5
    assert run(project, **TINY).summary["val_loss"] > 5
    assert run(project, "v1", **TINY).summary["val_loss"] == pytest.approx(before, abs=1e-5)


def test_on_other_text_it_keeps_the_tokenizer_and_learns_that_text(project):
    write_text(project, "locomotive", "signal", "the platform", "rails")
    theirs = files_of(project.tokenizer)
    untrained = run(project, "v1", **TINY).summary["val_loss"]
    ended = run(project, "v1")
    assert ended.summary["val_loss"] < untrained - 0.5
    assert files_of(project.tokenizer) == theirs
    for name in ("tokenizer.json", "tokenizer_config.json"):
        made = (ended.model / name).read_bytes()
        assert made == (project.models / "v1" / name).read_bytes()


def test_run_and_model_say_what_they_began_with(project):
    ended = run(project, "v1", **TINY)
    origin = {
        "model": "v1",
        "weights_sha256": ModelBundle.open(project.models / "v1").weights_sha256(),
    }
    manifest = runs(project)[-1].manifest()
    assert manifest["init"] == origin
    assert manifest["identity"]["init"] == origin["weights_sha256"]
    assert ModelBundle.open(ended.model).info["init"] == origin
    entries = history(project.models, runs(project))
    assert entry_called(ended.model.name, entries).lineage["init"] == "v1"
    assert entry_called("v1", entries).lineage["init"] is None


def test_shape_and_tokenizer_come_from_the_model_and_what_differs_is_told(project):
    toml = project.root / "llm.toml"
    toml.write_text(
        LLM_TOML.replace("layers = 1", "layers = 2")
        .replace('"bpe"', '"byte"')
        .replace("vocab_size = 300\n", "")
    )
    beginning = begin(project, "v1")
    assert beginning.config.model.options.layers == 1
    assert beginning.config.tokenizer.part.name == "bpe"
    assert "model.layers = 1, not 2 (llm.toml:4)" in beginning.taken
    assert "tokenizer.name = bpe, not byte" in beginning.taken
    assert train(
        beginning.project,
        beginning.config,
        PLUGINS,
        Surroundings(resume="never", initial=beginning.initial),
    ).model
    toml.write_text(LLM_TOML)
    assert begin(project, "v1").taken is None


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("model.layers=3", "model.layers = 1, not 3"),
        ("model.name=bert", "model.name = gpt, not bert"),
        ("tokenizer.name=byte", "tokenizer.name = bpe, not byte"),
    ],
)
def test_the_command_line_cannot_ask_for_another_shape(project, asked, told):
    with pytest.raises(ConfigError, match=told) as caught:
        begin(project, "v1", overrides=[asked])
    assert caught.value.where == "--init"


def test_going_on_is_exact_and_needs_the_model_no_more(project):
    write_text(project, "locomotive", "signal", "the platform", "rails")  # of other tokens
    whole = run(project, "v1").summary
    last = kill_after(project, 6)
    shutil.rmtree(project.models / "v1")
    retire(project.models, "v1", Gone(removed="2026-01-02"))
    again = run(project, "v1").summary
    assert again["run"] == last.name
    assert again["model_sha256"] == whole["model_sha256"]
    with pytest.raises(ConfigError, match="v1 was removed on 2026-01-02"):
        run(project, "v1")


def test_a_run_goes_on_with_nothing_else_than_it_began_with(project):
    run(project, "v1")
    kill_after(project, 6)
    with pytest.raises(ConfigError, match=r"init: '[0-9a-f]+' then, None now"):
        run(project)
    run(project, resume="never")
    kill_after(project, 6)
    with pytest.raises(ConfigError, match=r"init: None then, '[0-9a-f]+' now"):
        run(project, "v1")


def test_a_bundle_of_another_project_is_named_by_its_folder(project, tmp_path):
    other = Project(tmp_path / "other")
    other.raw.mkdir(parents=True)
    (other.root / "llm.toml").write_text(LLM_TOML)
    write_text(other, "locomotive", "signal", "the platform", "rails")
    ended = run(other, str(project.models / "v1"), **TINY)
    assert ModelBundle.open(ended.model).info["init"]["model"] == str(project.models / "v1")
    assert not (other.tokenizer / "tokenizer.json").exists()
    (other.root / "models" / "v1").rename(other.root / "elsewhere")
    assert begin(other, "elsewhere").initial.name == str(other.root / "elsewhere")


def damage_weights(bundle):
    path = bundle / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    path.unlink()  # it is a name of the checkpoint's file
    path.write_bytes(raw)


def lose_config(bundle):
    (bundle / "config.json").unlink()


def lose_info(bundle):
    (bundle / "create_llm.json").unlink()


def lose_manifest(bundle):
    (bundle / "manifest.json").unlink()


@pytest.mark.parametrize("damage", [damage_weights, lose_config, lose_info, lose_manifest])
def test_a_damaged_model_is_refused_before_any_work(project, damage):
    damage(project.models / "v1")
    shutil.rmtree(project.processed)
    before = len(runs(project))
    with pytest.raises(CreateLLMError) as caught:
        run(project, "v1")
    assert isinstance(caught.value, DataError)
    assert not (project.processed / "tokens").exists()
    assert len(runs(project)) == before


def test_the_recipe_of_such_a_run_begins_with_that_model_too(project):
    from create_llm.runs.recipe import recipe_of

    first = run(project, "v1")
    recipe = recipe_of("v2", ModelBundle.open(first.model).info["recipe"])
    assert recipe["training"]["init"] == "v1"
    path = project.root / "training" / "presets" / "like-v2.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(recipe))
    again = partial(run, project, **{"project.preset": "like-v2"})
    assert again().summary["model_sha256"] == first.summary["model_sha256"]
