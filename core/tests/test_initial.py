"""`llm train --init V`: runs that begin with the weights and the tokenizer of a model."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from create_llm.cli.app import run as run_command
from create_llm.config import load_config
from create_llm.errors import ConfigError, CreateLLMError, DataError
from create_llm.kernel.plugins import load_plugins
from create_llm.models.bundle import INFO, ModelBundle
from create_llm.models.importing import Imported, import_into
from create_llm.models.versions import Gone, retire
from create_llm.project.folder import Project
from create_llm.runs.history import entry_called, history
from create_llm.runs.run import runs_of
from create_llm.storage.checkpoints import CheckpointStore
from create_llm.storage.durable import Storage
from create_llm.training.callbacks import Overrides, Retry
from create_llm.training.initial import begin_with
from create_llm.training.job import Surroundings
from create_llm.training.launch import train
from create_llm.training.remedies import go_back

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
VOCABULARY = 285
"""What that text has words for."""
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


def run(project, init=None, resume="auto", overrides=(), told=(), **flags):
    told = told if isinstance(told, list) else []
    beginning = begin(project, init, resume, overrides, **flags)
    around = Surroundings(resume=resume, initial=beginning.initial, notice=told.append)
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
    with pytest.raises(ConfigError, match=r"init: v1 \([0-9a-f]{8}\) then, random"):
        run(project)
    run(project, resume="never")
    kill_after(project, 6)
    with pytest.raises(ConfigError, match=r"init: random weights then, v1 \("):
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


@pytest.fixture(scope="module")
def continued(made, tmp_path_factory):
    """v2 began with v1; v3 is as v1 with other weights."""
    project = Project(shutil.copytree(made.root, tmp_path_factory.mktemp("continued") / "p"))
    run(project, "v1", **TINY)
    run(project, **TINY | {"training.seed": 7})
    return project


@pytest.fixture
def three(continued, tmp_path):
    return Project(shutil.copytree(continued.root, tmp_path / "three"))


def put_in_place_of(project, name, other):
    shutil.rmtree(project.models / name)
    shutil.copytree(project.models / other, project.models / name)


@pytest.fixture
def llm(capfd):
    """Runs the command in this process: `(project, *arguments) -> (stdout, stderr)`."""

    def call(project, *arguments, code=0):
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            run_command(["-C", str(project.root), *map(str, arguments)])
        out, err = capfd.readouterr()
        assert (ended.value.code or 0) == code, f"{out}\n{err}"
        return out, err

    return call


def test_a_version_is_not_reproduced_from_another_model_than_it_began_with(three, llm):
    """It would train for as long as the first run took, and come to something else."""
    before = len(runs(three))
    put_in_place_of(three, "v1", "v3")
    _, err = llm(three, "runs", "reproduce", "v2", code=65)
    assert "v2 cannot be reproduced: it began with v1 (" in err
    assert "put v1 back as it was then" in err
    shutil.rmtree(three.models / "v1")
    _, err = llm(three, "runs", "reproduce", "v2", code=65)
    assert "there is no model called 'v1'" in err
    assert len(runs(three)) == before


def test_a_version_that_began_with_a_model_is_reproduced(three, llm):
    found = json.loads(llm(three, "runs", "reproduce", "v2", "--json")[0])
    assert found["verdict"] == "bytes"


def test_a_run_like_one_that_began_with_what_is_another_model_now_says_so(three, llm):
    put_in_place_of(three, "v1", "v3")
    steps = ("--max-steps", 1, "--plan")
    told = "this run begins with another model than that did"
    assert told in llm(three, "train", "--like", "v2", *steps)[1]
    assert told not in llm(three, "train", "--like", "v2", "--init", "v3", *steps)[1]


def test_the_number_of_a_model_that_a_run_began_with_is_not_given_again(project):
    run(project, "v1")
    kill_after(project, 6)
    shutil.rmtree(project.models / "v1")
    ended = run(project, "v1")
    assert ended.model.name == "v2"
    assert ModelBundle.open(ended.model).info["init"]["model"] == "v1"
    shutil.rmtree(project.models / "v2")
    assert run(project, resume="never", **TINY).model.name == "v3"


def rewrite(bundle, name, text):
    """Change a file so that the manifest knows nothing else."""
    data = text.encode()
    (bundle / name).unlink()
    (bundle / name).write_bytes(data)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (bundle / "manifest.json").write_text(json.dumps(manifest))


ODD = [None, 0, -1, 1.5, True, "", "x", [], [1], {}, {"a": {"b": []}}, 10**40, float("nan"), "bert"]


def keys_in(table, above=()):
    for key, value in table.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from keys_in(value, (*above, key))


def mutated(table, draw):
    """As JSON: a key gone, or of another kind."""
    table = json.loads(json.dumps(table))
    *above, key = draw.choice(list(keys_in(table)))
    inner = table
    for name in above:
        inner = inner[name]
    if draw.random() < 0.3:
        del inner[key]
    else:
        inner[key] = draw.choice(ODD)
    return json.dumps(table)


@pytest.mark.parametrize("name", [INFO, "config.json"])
def test_whatever_a_bundle_says_of_itself_is_used_or_refused_in_words(made, tmp_path, name):
    project = Project(shutil.copytree(made.root, tmp_path / "p"))
    bundle, draw = project.models / "v1", random.Random(5)
    table, refused = json.loads((bundle / name).read_text()), 0
    if name == INFO:  # the part that a run takes over
        recipe = {key: table["recipe"][key] for key in ("model", "tokenizer")}
        kept = ("format", "architecture", "tokenizer", "packages")
        table = {**{key: table[key] for key in kept}, "recipe": recipe}
    for _ in range(80):
        rewrite(bundle, name, mutated(table, draw))
        try:
            beginning = begin(project, "v1")
            architecture = beginning.config.model.part.load()()
            module = architecture.build(beginning.config.model.options, VOCABULARY)
            beginning.initial.fill(module, architecture)
        except CreateLLMError:
            refused += 1
    assert 20 < refused < 80


@pytest.mark.parametrize(
    ("info", "told"),
    [
        ('{"recipe": 5}', "create_llm.json says no format"),
        ("[1]", "create_llm.json says no format"),
        ('{"format": 1, "architecture": "gpt", "tokenizer": "bpe"}', "'recipe': field required"),
        (
            '{"format": 1, "architecture": "gpt", "tokenizer": "bpe", '
            '"recipe": {"model": [1], "tokenizer": {}}}',
            "'recipe.model': input should be a valid dictionary",
        ),
        (
            '{"format": 1, "architecture": "gpt", "tokenizer": "bpe", '
            '"recipe": {"model": {"layers": 1}, "tokenizer": {"name": "bpe"}}}',
            "'recipe.model.name': field required",
        ),
    ],
)
def test_a_bundle_that_does_not_say_what_it_is_names_the_key(project, info, told):
    rewrite(project.models / "v1", INFO, info)
    with pytest.raises(DataError, match=told):
        begin(project, "v1")


def notes(project):
    events = map(json.loads, runs(project)[-1].events.read_text().splitlines())
    return [event["message"] for event in events if event.get("level") == "note"]


def test_each_session_says_what_the_run_began_with(project):
    initial = begin(project, "v1").initial
    run(project, "v1")
    assert f"this run begins with v1 ({initial.weights_sha256[:8]})" in notes(project)
    kill_after(project, 6)
    run(project, "v1")
    assert f"this run began with v1 ({initial.weights_sha256[:8]})" in notes(project)


def test_no_new_run_is_announced_that_cannot_begin(project):
    run(project, "v1")
    last = kill_after(project, 6)
    shutil.rmtree(last.checkpoints)
    shutil.rmtree(project.models / "v1")
    told = []
    with pytest.raises(ConfigError, match=r"left no checkpoint.*no model called 'v1'"):
        run(project, "v1", told=told)
    assert told == []


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_no_model(project, llm, name):
    assert "is empty, which names no model" in llm(project, "train", "--init", name, code=2)[1]


def test_a_folder_of_a_version_s_name_is_not_that_version(project, llm):
    (project.root / "v1").mkdir()
    assert "begins" not in llm(project, "train", "--init", "v1", "--max-steps", 1, "--plan")[0]


def send_back(project):
    """Leave the last run as one that goes back to its beginning."""
    last = kill_after(project, 6)
    store = CheckpointStore(last.checkpoints, 2, Storage())
    retry = Retry("it jumps", 1, Overrides())
    assert go_back(last, store, retry, at_step=6, divided=1, divisible=8, damaged=print) == 0


def test_a_run_that_went_back_to_its_beginning_begins_with_the_model_again(project):
    whole = run(project, "v1").summary
    send_back(project)
    again = run(project, "v1").summary
    assert (again["run"], again["model_sha256"]) == (whole["run"], whole["model_sha256"])


def test_at_its_beginning_a_run_needs_the_model_that_it_began_with(three):
    run(three, "v1")
    send_back(three)
    put_in_place_of(three, "v1", "v3")
    with pytest.raises(ConfigError, match=r"init: v1 \(\w+\) then, v1 \(\w+\) now"):
        run(three, "v1")
    shutil.rmtree(three.models / "v1")
    with pytest.raises(ConfigError, match=r"went back to its beginning.*no model called 'v1'"):
        run(three, "v1")


def test_a_run_does_not_go_on_where_another_model_has_the_name(three):
    run(three, "v1")
    kill_after(three, 6)
    put_in_place_of(three, "v1", "v3")
    with pytest.raises(ConfigError, match=r"init: v1 \(\w+\) then, v1 \(\w+\) now"):
        run(three, "v1")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda project: put_in_place_of(project, "v1", "v3"), "is another model now: v1"),
        (lambda project: shutil.rmtree(project.models / "v1"), "is not there any more"),
    ],
)
def test_weights_are_checked_again_when_they_are_taken(three, change, told):
    """Also by a process that sends its run back days after it began."""
    beginning = begin(three, "v1")
    architecture = beginning.config.model.part.load()()
    module = architecture.build(beginning.config.model.options, VOCABULARY)
    beginning.initial.fill(module, architecture)
    change(three)
    with pytest.raises(DataError, match=told):
        beginning.initial.fill(module, architecture)


@pytest.mark.parametrize("model", ["gpt", "bert", "t5"])
def test_an_imported_model_in_half_precision_is_begun_with(project, model):
    made = run(project, **TINY | {"model.name": model, "tokenizer.vocab_size": 500}).model
    weights = load_file(made / "model.safetensors")
    imported = Imported(
        "theirs",
        model,
        "bpe",
        json.loads((made / "config.json").read_text()),
        {name: tensor.bfloat16() for name, tensor in weights.items()},
        {path.name: path.read_bytes() for path in made.glob("tokenizer*.json")},
    )
    import_into(imported, project.models / "v3", PLUGINS.registry)
    learnt = load_file(run(project, "v3", **TINY).model / "model.safetensors")
    assert learnt.keys() == weights.keys()
    for name, tensor in weights.items():
        assert learnt[name].dtype == torch.float32
        assert torch.allclose(learnt[name], tensor.bfloat16().float(), atol=1e-6)
