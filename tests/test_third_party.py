"""A stranger's package, really installed: an architecture, a source and callbacks, in a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.journey import SETTINGS, sentences

PLUGIN = '''
from create_llm import hookimpl

HERE = __name__

@hookimpl
def register_architectures(register):
    register("bigram", f"{HERE}:Bigram", summary="Each token from the one before.",
             config=f"{HERE}:BigramConfig")

@hookimpl
def register_data_sources(register):
    register("numbers", f"{HERE}:Numbers", summary="Counting, in words.")

@hookimpl
def register_callbacks(register):
    for name in ("stopper", "pauser", "saver", "breaker", "counter"):
        register(name, f"{HERE}:{name.title()}", summary=f"A {name}.")

def __getattr__(name):
    """The parts live here too, but torch and pydantic are only imported when one is used."""
    import create_llm_stranger_parts as parts
    return getattr(parts, name)
'''

PARTS = """
import hashlib
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from create_llm.data.documents import Document, Origin
from create_llm.models.architecture import CausalLM, ModelOutput
from create_llm.training.callbacks import Callback, Signal


class BigramConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    max_length: int = Field(32, description="Tokens at once.")
    dim: int = Field(16, description="Width.")


class BigramModel(nn.Module):
    def __init__(self, config, vocab_size):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.dim)
        self.layers = nn.ModuleList([nn.Linear(config.dim, config.dim)])
        self.head = nn.Linear(config.dim, vocab_size)

    def forward(self, tokens):
        x = self.embedding(tokens)
        for layer in self.layers:
            x = x + layer(x).tanh()
        return ModelOutput(x, self.head)


class Bigram(CausalLM):
    config_class = BigramConfig

    def build(self, config, vocab_size):
        return BigramModel(config, vocab_size)


class Numbers:
    def __init__(self, config, root):
        self.words = "zero one two three four five six seven eight nine".split()

    def documents(self):
        for n in range(400):
            text = " ".join(self.words[int(digit)] for digit in str(n * 7919)) + "\\n"
            yield Document.plain(text, Origin("numbers", n + 1))

    def fingerprint(self):
        return hashlib.sha256(b"numbers-1").hexdigest()

    def total_bytes(self):
        return None


class Stopper(Callback):
    def __init__(self, config=None):
        pass

    def on_step_end(self, event):
        return Signal.STOP if event.step >= 4 else None


class Pauser(Stopper):
    def on_step_end(self, event):
        return Signal.PAUSE if event.step >= 4 else None


class Saver(Stopper):
    def on_step_end(self, event):
        return Signal.CHECKPOINT if event.step == 4 else None


class Breaker(Stopper):
    def on_step_end(self, event):
        raise RuntimeError("out of order")


class Counter(Stopper):
    every_step = True
    on_step_end = Callback.on_step_end
"""


@pytest.fixture(scope="module")
def stranger(write_distribution, install_apart):
    """The overlay folder with the stranger's package in it."""
    source = write_distribution("x-stranger", "stranger", PLUGIN)
    pyproject = source / "pyproject.toml"
    pyproject.write_text(
        pyproject.read_text().replace(
            'only-include = ["x_stranger_module.py"]',
            'only-include = ["x_stranger_module.py", "create_llm_stranger_parts.py"]',
        )
    )
    (source / "create_llm_stranger_parts.py").write_text(PARTS)
    return install_apart([source])


KEPT = {k: v for k, v in SETTINGS.items() if not k.startswith("model.") or k.endswith("_length")}
LONG = {"training.eval_interval": 50, "training.save_interval": 50}


@pytest.fixture
def run(llm, stranger, tmp_path):
    """Train in a fresh project with settings on top of the small ones."""

    def train(settings, steps, code=0):
        made = llm("new", "p", "--template", "nano", "--yes", cwd=tmp_path)
        assert made.returncode == 0, made.stderr
        (tmp_path / "p" / "data" / "raw" / "a.txt").write_text(sentences(800))
        words = [w for k, v in settings.items() for w in ("--set", f"{k}={v}")]
        arguments = ("train", "--max-steps", str(steps), "--json", *words)
        done = llm(
            *arguments, cwd=tmp_path / "p", overlays=[stranger], env={"OMP_NUM_THREADS": "1"}
        )
        assert done.returncode == code, done.stderr
        return done

    return train


def logged(root: Path, name: str) -> list[dict]:
    (path,) = (root / "p" / "logs").glob("*/events.jsonl")
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return [event for event in events if event["event"] == name]


def test_a_stranger_architecture_learns_from_a_stranger_source(run, llm, stranger, tmp_path):
    settings = {**KEPT, "model.name": "bigram", "data.source": "numbers"}
    first = json.loads(run(settings, 40).stdout)
    steps = logged(tmp_path, "step")
    assert steps[-1]["loss"] < steps[0]["loss"]
    written = llm(
        "generate", first["model"], "--prompt", "one", "--json", cwd=tmp_path, overlays=[stranger]
    )
    assert json.loads(written.stdout)["results"][0]["tokens"] > 0
    missing = llm("generate", first["model"], "--prompt", "one", cwd=tmp_path)
    assert missing.returncode in (2, 70)
    assert "bigram" in missing.stderr


def only(name):
    """One of the stranger's callbacks, switched on by itself."""
    small = {"model.dim": 32, "model.heads": 2, "model.layers": 1, "model.ffn_dim": 64}
    return {**KEPT, **LONG, **small, "plugins": "[]", f"logging.{name}": "true"}


def test_a_callback_can_stop_a_run_which_then_is_complete(run):
    summary = json.loads(run(only("stopper"), 50).stdout)
    assert (summary["status"], summary["steps"], summary["stopped_by"]) == (
        "completed", 4, "callback",
    )  # fmt: skip
    assert Path(summary["model"], "model.safetensors").is_file()


def test_a_callback_can_pause_a_run(run, tmp_path):
    run(only("pauser"), 50, code=78)
    assert logged(tmp_path, "train_end")[0]["status"] == "paused"


def test_a_callback_can_ask_for_a_checkpoint(run, tmp_path):
    run(only("saver"), 8)
    assert [e["step"] for e in logged(tmp_path, "checkpoint") if e["reason"] == "request"] == [4]


def test_a_callback_that_fails_is_dropped_and_named(run, tmp_path):
    summary = json.loads(run(only("breaker"), 8).stdout)
    assert summary["steps"] == 8
    (warning,) = (w for w in logged(tmp_path, "warning") if "breaker" in w["message"])
    assert "RuntimeError: out of order" in warning["message"]


def test_a_callback_can_have_every_step_at_its_price(run, tmp_path):
    run(only("counter"), 5)
    assert [event["step"] for event in logged(tmp_path, "step")] == [1, 2, 3, 4, 5]
    assert any("counter" in event["message"] for event in logged(tmp_path, "warning"))


def test_a_loss_that_is_not_a_number_ends_the_run_with_its_own_code(run, tmp_path):
    wild = {"training.optimizer": "sgd", "training.learning_rate": 100}
    settings = {**KEPT, **LONG, "model.name": "bigram", "training.gradient_clip": 1000, **wild}
    done = run(settings, 50, code=76)
    assert "Traceback" not in done.stderr
    assert "--learning-rate" in done.stderr
    assert logged(tmp_path, "train_end")[0]["status"] == "diverged"
