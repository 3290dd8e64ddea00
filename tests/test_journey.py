"""The whole system, as a person uses it: the installed command, in processes of its own."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.journey import SETTINGS, SMALL, flags, llm, sentences, start_llm, with_signals


@pytest.fixture(scope="session")
def text():
    return sentences(1500)


@pytest.fixture
def project(tmp_path, text):
    llm(tmp_path, "new", "p", "--template", "nano", "--yes")
    (tmp_path / "p" / "data" / "raw" / "days.txt").write_text(text)
    return tmp_path / "p"


@pytest.fixture(scope="session")
def trained(tmp_path_factory, text):
    root = tmp_path_factory.mktemp("trained")
    llm(root, "new", "p", "--template", "nano", "--yes")
    (root / "p" / "data" / "raw" / "days.txt").write_text(text)
    summary = json.loads(llm(root / "p", "train", "--max-steps", 12, "--json", *SMALL).stdout)
    return root / "p", summary


def events(project):
    (path,) = (project / "logs").glob("*/events.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_training_leaves_what_scripts_rely_on(trained):
    project, summary = trained
    (run,) = (project / "logs").glob("*/summary.json")
    assert json.loads(run.read_text()) == summary
    assert summary["status"] == "completed"
    assert summary["steps"] == 12
    assert summary["schema"] == 1
    assert (summary["stopped_by"], summary["seed"]) == ("max_steps", 42)
    assert 0 < summary["val_bits_per_byte"] < 8
    names = [event["event"] for event in events(project)]
    for name in ("train_start", "step", "eval", "sample", "checkpoint", "epoch_start", "train_end"):
        assert name in names
    assert names[0] == "train_start"
    assert names[-1] == "train_end"
    assert names.index("checkpoint") < names.index("eval")


def test_the_bundle_alone_generates_after_the_checkpoints_are_gone(trained, tmp_path):
    project, _ = trained
    bundle = tmp_path / "bundle"
    shutil.copytree(project / "models" / "v1", bundle)
    done = llm(tmp_path, "generate", bundle, "--prompt", "Ada", "--seed", 1, "--json")
    (result,) = json.loads(done.stdout)["results"]
    assert result["prompt"] == "Ada"
    assert result["finish_reason"] in ("eos", "length")
    again = llm(tmp_path, "generate", bundle, "--prompt", "Ada", "--seed", 1, "--json")
    assert json.loads(again.stdout)["results"][0]["text"] == result["text"]


def test_python_gives_the_same_text_as_the_command(trained):
    import create_llm

    project, _ = trained
    model = create_llm.load(project / "models" / "v1")
    done = llm(project, "generate", "--prompt", "Bo", "--temperature", 0, "--json")
    (result,) = json.loads(done.stdout)["results"]
    assert model.generate("Bo", temperature=0) == result["text"]


def test_transformers_gives_equal_logits_and_token_ids(trained):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    import create_llm

    folder = trained[0] / "models" / "v1"
    ours = create_llm.load(folder)
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    text = "Ada sees a boat on day 7.\nñandú — 🙂"
    (ids,) = ours.loaded.tokenizer.encode_batch([text])
    assert AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False).input_ids == ids
    tokens = torch.tensor([ids[:32]])
    with torch.no_grad():
        logits = ours.loaded.module(tokens).logits()
        torch.testing.assert_close(logits, theirs(tokens).logits, atol=1e-4, rtol=1e-4)
        theirs.lm_head.weight += 0.1  # the comparison can fail
        assert (logits - theirs(tokens).logits).abs().max() > 1e-3


def test_evaluate_gives_the_figure_of_the_trainer(trained):
    project, summary = trained
    done = llm(project, "evaluate", "--json", *SMALL)
    figures = json.loads(done.stdout)
    assert figures.keys() >= {"loss", "perplexity", "bits_per_byte", "tokens", "tokens_per_second"}
    assert figures["bits_per_byte"] == pytest.approx(summary["val_bits_per_byte"], rel=5e-3)


def test_compare_scores_each_model_on_the_same_text(trained):
    project, summary = trained
    arguments = ("compare", "v1", "models/v1", "--prompt", "Ada", "--json", *SMALL)
    first, second = json.loads(llm(project, *arguments).stdout)["models"]
    assert first["bits_per_byte"] == second["bits_per_byte"]
    assert first["bits_per_byte"] == pytest.approx(summary["val_bits_per_byte"], rel=5e-3)
    assert first["samples"] == second["samples"]
    assert first["samples"]["Ada"]


def test_python_trains_prepares_and_scores(project, tmp_path, text):
    import create_llm

    keys = {name.replace(".", "__"): value for name, value in SETTINGS.items()}
    prepared = create_llm.prepare(project, **keys)
    assert prepared.train.tokens > prepared.val.tokens > 0
    summary = create_llm.train(project, max_steps=2, **keys)
    assert summary["status"] == "completed"
    (tmp_path / "score.txt").write_text(text[:2000])
    figures = create_llm.evaluate(summary["model"], tmp_path / "score.txt")
    assert 0 < figures["bits_per_byte"] < 12


def test_another_tokenizer_than_the_data_was_made_with_is_no_score(trained, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(trained[0], copy)
    llm(copy, "tokenizer", "train", *SMALL, "--set", "tokenizer.vocab_size=280")
    done = llm(copy, "evaluate", *SMALL, code=65)
    assert "another tokenizer" in done.stderr


def test_evaluate_says_when_the_data_was_divided_anew_since(project):
    sizes = {key: value for key, value in SETTINGS.items() if key != "tokenizer.vocab_size"}
    settings = flags({**sizes, "tokenizer.name": "byte"})
    llm(project, "train", "--max-steps", 2, *settings)
    note = "it may know parts of the text that it is scored on"
    assert note not in llm(project, "evaluate", *settings).stderr
    (project / "data" / "raw" / "more.txt").write_text(sentences(1600))
    llm(project, "data", "prepare", *settings)
    done = llm(project, "evaluate", "--json", *settings)
    assert note in done.stderr
    assert json.loads(done.stdout)["bits_per_byte"] > 0


def test_a_folder_in_the_place_of_a_version_is_not_touched(project):
    (project / "models" / "v1").mkdir()
    (project / "models" / "v1" / "notes.txt").write_text("precious")
    summary = json.loads(llm(project, "train", "--max-steps", 2, "--json", *SMALL).stdout)
    assert summary["model"].endswith("v2")
    assert (project / "models" / "v1" / "notes.txt").read_text() == "precious"


def test_a_damaged_bundle_is_refused_by_name(trained, tmp_path):
    bundle = tmp_path / "b"
    shutil.copytree(trained[0] / "models" / "v1", bundle)
    weights = bytearray((bundle / "model.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (bundle / "model.safetensors").write_bytes(weights)
    done = llm(tmp_path, "generate", bundle, "--prompt", "a", code=65)
    assert "model.safetensors" in done.stderr


def weights_of(project):
    (path,) = (project / "models").glob("v*/model.safetensors")
    return path.read_bytes()


def interrupt_at(project, step, number, *arguments):
    """Start training, send a signal once the events show a step, and return the exit code."""
    process = start_llm(project, "train", *arguments)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        paths = list((project / "logs").glob("*/events.jsonl"))
        if paths and f'"step": {step},' in paths[0].read_text():
            break
        time.sleep(0.02)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    return process.returncode, stderr


@with_signals
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, id="int"),
        pytest.param(signal.SIGTERM, id="term", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_bytes(project, tmp_path, number):
    whole = tmp_path / "whole"
    shutil.copytree(project, whole)
    steps = ["--max-steps", "150", *SMALL, "--set", "training.eval_interval=60"]
    llm(whole, "train", *steps)
    code, stderr = interrupt_at(project, 4, number, *steps)
    assert code == 128 + number, stderr
    assert "llm train" in stderr
    (run,) = (project / "logs").glob("*/summary.json")
    stopped = json.loads(run.read_text())
    assert stopped["status"] == "interrupted"
    assert 0 < stopped["steps"] < 150
    llm(project, "train", *steps)
    assert weights_of(project) == weights_of(whole)
    sessions = {event["session"] for event in events(project)}
    assert sessions == {1, 2}


def test_another_seed_gives_other_bytes(project, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(project, other)
    llm(project, "train", "--max-steps", 3, *SMALL)
    llm(other, "train", "--max-steps", 3, "--seed", 7, *SMALL)
    assert weights_of(project) != weights_of(other)


@with_signals
def test_a_changed_configuration_is_refused_with_the_flag(project):
    steps = ["--max-steps", "4000", *SMALL]
    code, stderr = interrupt_at(project, 4, signal.SIGINT, *steps)
    assert code == 130, stderr
    done = llm(project, "train", *steps, "--learning-rate", 0.01, code=2)
    assert "training.learning_rate" in done.stderr
    assert "--resume never" in done.stderr


def test_pause_from_outside_saves_and_says_so(project):
    process = start_llm(project, "train", "--max-steps", 100_000, *SMALL)
    deadline = time.monotonic() + 120
    while not list((project / "checkpoints").glob("*/step-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    (run,) = (path.name for path in (project / "logs").iterdir() if path.is_dir())
    llm(project, "runs", "pause", run)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 78, stderr
    shown = json.loads(llm(project, "runs", "show", run, "--json").stdout)
    assert shown["status"] == "paused"
    again = llm(project, "runs", "pause", run, code=2)
    assert "not live" in again.stderr


def test_a_corpus_from_the_command_line(tmp_path, project, text):
    path = Path(tmp_path) / "other.txt"
    path.write_text(text.replace("day", "night"))
    (project / "data" / "raw" / "days.txt").unlink()
    done = llm(project, "train", "--corpus-path", path, "--max-steps", 2, "--json", *SMALL)
    assert json.loads(done.stdout)["status"] == "completed"


def test_quickstart_tells_the_story_and_ends_with_a_figure(tmp_path):
    small = ["--set", "data.size_mb=0.05", *SMALL]
    done = llm(tmp_path, "quickstart", "demo", "--max-steps", 4, *small)
    assert "bits for each byte" in done.stdout
    assert "Once upon a time" in done.stdout
    assert "llm generate" in done.stdout
    assert (tmp_path / "demo" / "models" / "v1" / "config.json").is_file()


def test_scripts_call_the_verbs_from_anywhere(tmp_path, text):
    llm(tmp_path, "new", "s", "--template", "nano", "--yes", "--scripts")
    (tmp_path / "s" / "data" / "raw" / "days.txt").write_text(text)
    done = subprocess.run(
        [sys.executable, tmp_path / "s" / "train.py", "--max-steps", "1", "--json", *SMALL],
        cwd="/", capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 1
