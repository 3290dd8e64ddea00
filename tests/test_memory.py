"""Memory: predicted as it turns out, not growing, and a run that goes on when it is too little."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from benchmarks.memory import CASES, HIGHEST, LOWEST, measure

from create_llm.storage.manifest import verify
from create_llm.training.blocks import recompute
from create_llm.training.checkpointing import read_checkpoint, snapshot
from create_llm.training.footprint import AnyTokenizer, Recipe, footprint_of
from create_llm.training.optimizers import OptimizerSettings
from create_llm.training.step import StepSettings
from create_llm_gpt.architecture import GPT
from create_llm_gpt.config import GPTConfig
from create_llm_objectives.causal import CausalObjective
from tests.journey import sentences
from tests.test_gates import build, loss_on, shards, weights_of
from tests.zygote import Zygote

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")

PLUGIN = """
from create_llm import hookimpl


@hookimpl
def register_callbacks(register):
    register("room", "x_room_parts:Room", summary="Leaves the run ROOM megabytes from now on.")
    register("leak", "x_room_parts:Leak", summary="Keeps memory at each report.")
    register("halt", "x_room_parts:Halt", summary="Pauses at step 2.")
"""
PARTS = """
import os
import resource
from pathlib import Path

from create_llm.training.callbacks import Callback, Signal


class Room(Callback):
    def __init__(self, options):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + (int(os.environ["ROOM"]) << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


class Leak(Callback):
    def __init__(self, options):
        self.kept = []

    def on_step_end(self, event):
        self.kept.append(bytearray(400_000))


class Halt(Callback):
    every_step = True

    def __init__(self, options):
        pass

    def on_step_end(self, event):
        return Signal.PAUSE if event.step == 2 else None
"""
TOML = """\
[project]
template = "nano"

[model]
name = "gpt"
layers = 4
dim = 64
heads = 16
ffn_dim = 64
max_length = 512
dropout = 0.0

[tokenizer]
name = "byte"

[training]
batch_size = 4
gradient_accumulation_steps = 1
max_steps = 4
save_interval = 2
eval_interval = 4
precision = "fp32"
compile = "off"

[logging]
log_interval = 1

[generation]
max_new_tokens = 2
"""
ROOM_OF_HALF, ROOM_OF_NONE = 220, 60
"""Megabytes: for half of the batch, and for less than one sequence."""
MINUTE = {
    "model.layers": 1,
    "model.dim": 16,
    "model.heads": 2,
    "model.ffn_dim": 32,
    "model.max_length": 16,
    "training.batch_size": 2,
    "training.max_steps": 2000,
    "training.save_interval": 200,
    "training.eval_interval": 500,
    "logging.log_interval": 20,
}


@pytest.fixture(scope="module")
def zygote(tmp_path_factory):
    folder = tmp_path_factory.mktemp("overlay")
    (folder / "x_room.py").write_text(PLUGIN)
    (folder / "x_room_parts.py").write_text(PARTS)
    info = folder / "x_room-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: x-room\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[create_llm.plugins]\nroom = x_room\n")
    # Each thread would otherwise reserve addresses that it does not use, and that are limited here.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MALLOC_ARENA_MAX", "1")
        with Zygote(folder) as zygote:
            yield zygote


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path / "p")


def make_project(root, count=900):
    (root / "data" / "raw").mkdir(parents=True)
    (root / "data" / "raw" / "text.txt").write_text(sentences(count))
    (root / "llm.toml").write_text(TOML)
    return root


def train(zygote, root, *arguments, plugin="", room=0, code=0, **settings):
    """Train in a process of its own; returns what it printed."""
    sets = [f"--set={key.replace('__', '.')}={value}" for key, value in settings.items()]
    if plugin:
        sets.append(f"--set=logging.{plugin}=true")
    child = zygote.start(root, "train", *arguments, *sets, env={"ROOM": str(room)})
    assert child.code(timeout=280) == code, child.output
    return child.output


def runs(root):
    return sorted(path for path in (root / "logs").iterdir() if path.is_dir())


def read(path):
    return json.loads(path.read_text())


def events(run, name):
    lines = (run / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


def last_json(output):
    return json.loads(output.splitlines()[-1])


def test_a_plan_from_nothing_leaves_only_tokenizer_and_data(zygote, project):
    told = train(zygote, project, "--plan", "--json", "--max-steps", "30")
    plan = last_json(told)
    assert "Made for this plan, and kept for the run: tokenizer and data" in told
    assert {path.name for path in project.iterdir()} == {"data", "llm.toml", "tokenizer"}
    assert plan["parameters"] == 131936
    assert (plan["steps"], plan["steps_set_by"]) == (30, "max_steps")
    assert plan["tokens_per_step"] == 4 * 512
    assert plan["checkpoints"] == 15
    assert plan["disk_bytes"] < plan["disk_most_bytes"] < plan["disk_free_bytes"]
    assert 0 < plan["seconds_low"] <= plan["seconds_high"]
    assert (plan["precision"], plan["compile"]) == ("fp32", "off")


@pytest.mark.slow
def test_a_plan_says_what_sets_the_steps(zygote, project):
    told = train(zygote, project, "--plan", "--epochs", "1", training__max_steps=500)
    rows = {line.split("  ")[0]: line for line in told.splitlines()}
    assert rows["steps"].endswith("1.1 epochs; set by training.epochs")
    assert "the configuration says so" in rows["compile"]
    timed = train(zygote, project, "--plan", "--json", "--max-seconds", "1")
    assert last_json(timed)["steps_set_by"] == "max_seconds"


def test_a_run_keeps_its_plan_beside_what_came_of_it(zygote, project):
    summary = last_json(train(zygote, project, "--json", training__batch_size=2))
    planned, actual = summary["planned"], summary["actual"]
    assert actual["peak_memory_bytes"] == summary["peak_memory_bytes"]
    assert LOWEST <= planned["peak_memory_bytes"] / actual["peak_memory_bytes"] <= HIGHEST
    # Two checkpoints and the tokens; beside them lie a tokenizer and a few small files.
    assert 0.9 <= planned["disk_bytes"] / actual["disk_bytes"] <= 1.02
    assert planned == read(runs(project)[0] / "run.json")["planned"]


def test_a_disk_that_is_too_full_is_told_before_any_work(zygote, project):
    told = train(zygote, project, code=74, checkpoints__min_free_gb=1_000_000)
    assert "checkpoints.min_free_gb needs 1000000 GB" in told
    assert not (project / "tokenizer").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nano", "qwen3, bf16"])
def test_the_peak_is_predicted(name):
    (case,) = (case for case in CASES if case.name == name)
    for measured in measure((case,)):
        assert LOWEST <= measured.ratio <= HIGHEST


def growth(run):
    """Bytes from the second quarter of a run to its last."""
    used = [event["memory_bytes"] for event in events(run, "step")]
    quarter = len(used) // 4
    return max(used[-quarter:]) - max(used[quarter : 2 * quarter])


@pytest.mark.slow
@pytest.mark.parametrize("plugin", ["", "leak"], ids=["as it is", "with a leak"])
def test_two_thousand_steps_hold_no_more_memory(zygote, project, plugin):
    settings = {key.replace(".", "__"): value for key, value in MINUTE.items()}
    train(zygote, project, plugin=plugin, **settings)
    grown = growth(runs(project)[0])
    assert (grown > 15_000_000) if plugin else (grown < 4_000_000), grown


def test_too_little_memory_halves_the_batch_and_changes_nothing_else(zygote, project, tmp_path):
    train(zygote, project, plugin="room", room=ROOM_OF_HALF)
    (run,) = runs(project)
    divided = read(run / "run.json")["divided"]
    (warning,) = (event for event in events(run, "warning") if "memory" in event["message"])
    assert divided == 2
    assert "training.batch_size = 2" in warning["suggestion"]
    assert "training.gradient_accumulation_steps = 2" in warning["suggestion"]
    other = make_project(tmp_path / "other")
    train(zygote, other, training__batch_size=2, training__gradient_accumulation_steps=2)
    (reference,) = runs(other)
    assert sha256(run) == sha256(reference)


def sha256(run):
    return read(run / "summary.json")["model_sha256"]


@pytest.mark.slow
def test_a_halved_run_goes_on_halved(zygote, project, tmp_path):
    options = {"plugin": "room", "room": ROOM_OF_HALF, "logging__halt": "true"}
    train(zygote, project, code=78, **options)
    (run,) = runs(project)
    assert read(run / "run.json")["divided"] == 2
    train(zygote, project)
    assert read(run / "run.json")["divided"] == 2
    assert read(run / "run.json")["sessions"] == 2
    other = make_project(tmp_path / "other")
    train(zygote, other, training__batch_size=2, training__gradient_accumulation_steps=2)
    assert sha256(run) == sha256(runs(other)[0])


def test_computing_blocks_again_changes_nothing(tmp_path):
    stream = shards(tmp_path / "text", [1 + (i * i) % 15 for i in range(4000)])
    kept, again = (build(tmp_path / name, stream, steps=3) for name in ("kept", "again"))
    recompute(again.parts.model.architecture.blocks(again.parts.model.module))
    for _ in range(3):
        assert kept.train_step()
        assert again.train_step()
    assert torch.equal(weights_of(kept), weights_of(again))


def test_computing_blocks_again_takes_less_memory():
    kept, again = (footprint_of(gpt_recipe(recomputed=on)) for on in (False, True))
    assert kept.unknown is again.unknown is None
    assert again.step < 0.5 * kept.step


def gpt_recipe(*, recomputed):
    config = GPTConfig(max_length=128, layers=6, heads=4, dim=64)
    return Recipe(
        GPT(),
        config,
        300,
        lambda: CausalObjective(None, AnyTokenizer(300, ())),
        config.max_length,
        StepSettings(8, 1, 1.0, 1, torch.device("cpu"), "fp32"),
        OptimizerSettings("adamw", 1e-3, 0.0, 0.9, 0.95),
        recomputed,
    )


def test_fp16_skips_what_overflows_and_goes_on(tmp_path):
    stream = shards(tmp_path / "text", [1 + (i * i) % 15 for i in range(4000)])
    trainer = build(tmp_path, stream, precision="fp16", learning_rate=1e-2)
    trainer.step.scale.load_tensors({"scale": torch.tensor(2.0**20), "good": torch.tensor(0)})
    before = weights_of(trainer)
    assert trainer.train_step()
    assert torch.equal(weights_of(trainer), before)
    assert scale_of(trainer) == 2.0**19
    for _ in range(24):
        assert trainer.train_step()
    assert 2.0**8 < scale_of(trainer) < 2.0**19
    assert loss_on(trainer, stream) < 2.0
    assert trainer.reporter.read(trainer.state) is None  # no step was lost for good


def scale_of(trainer):
    return float(trainer.step.scale.tensors()["scale"])


def test_an_fp16_run_resumes_with_its_scale(tmp_path):
    stream = shards(tmp_path / "text", [1 + (i * i) % 15 for i in range(4000)])
    whole = build(tmp_path / "whole", stream, precision="fp16")
    whole.step.scale.load_tensors({"scale": torch.tensor(2.0**18), "good": torch.tensor(0)})
    for _ in range(3):
        assert whole.train_step()
    with whole.parts.store.commit(3) as writer:
        snapshot(whole.parts, whole.step.scale, whole.state).write(writer)
    resumed = build(tmp_path / "resumed", stream, precision="fp16")
    assert scale_of(resumed) != scale_of(whole)
    path = whole.parts.store.path(3)
    resumed.restore(read_checkpoint(path, resumed.parts, resumed.step.scale), 3)
    assert scale_of(resumed) == scale_of(whole)
    for _ in range(6):
        assert whole.train_step()
        assert resumed.train_step()
    assert torch.equal(weights_of(whole), weights_of(resumed))
    assert scale_of(resumed) == scale_of(whole)


def test_where_not_one_sequence_fits_the_numbers_are_told_and_checkpoints_stay(zygote, project):
    train(zygote, project, code=78, logging__halt="true")
    (run,) = runs(project)
    told = train(zygote, project, plugin="room", room=ROOM_OF_NONE, code=71)
    assert "a micro-batch of one sequence does not fit" in told
    assert "--max-seq-length 256" in told
    assert "step-00000002" in told
    verify(project / "checkpoints" / run.name / "step-00000002")
    train(zygote, project)
    assert read(run / "summary.json")["status"] == "completed"
