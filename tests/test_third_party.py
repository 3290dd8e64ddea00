"""A stranger's package, really installed: an architecture, a source and callbacks, in a run."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.journey import SETTINGS, flags, llm, sentences, start_llm, with_signals

PLUGIN = '''
from create_llm import hookimpl

HERE = __name__

@hookimpl
def register_architectures(register):
    for name in ("bigram", "glutton"):
        register(name, f"{HERE}:{name.title()}", summary="Each token from the one before.",
                 config=f"{HERE}:BigramConfig")

@hookimpl
def register_data_sources(register):
    register("numbers", f"{HERE}:Numbers", summary="Counting, in words.")
    register("endless", f"{HERE}:Endless", summary="Counting without an end.")

@hookimpl
def register_callbacks(register):
    for name in ("stopper", "pauser", "saver", "breaker", "counter", "refuser"):
        register(name, f"{HERE}:{name.title()}", summary=f"A {name}.")
    register("teller", f"{HERE}:Teller", summary="A teller.", config=f"{HERE}:TellerConfig")

def __getattr__(name):
    """The parts live here too, but torch and pydantic are only imported when one is used."""
    import create_llm_stranger_parts as parts
    return getattr(parts, name)
'''

PARTS = """
import hashlib
import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode
from pydantic import BaseModel, ConfigDict, Field, SecretStr
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


class GluttonModel(BigramModel):
    def forward(self, tokens):
        if _get_current_dispatch_mode() is None:  # not where memory is only counted
            torch.empty(1 << 50, dtype=torch.uint8)  # a million gigabytes
        return super().forward(tokens)


class Glutton(Bigram):
    def build(self, config, vocab_size):
        return GluttonModel(config, vocab_size)


class Numbers:
    def __init__(self, config, root):
        self.root = root
        self.words = "zero one two three four five six seven eight nine".split()

    def documents(self):
        for n in range(400):
            text = " ".join(self.words[int(digit)] for digit in str(n * 7919)) + "\\n"
            yield Document.plain(text, Origin("numbers", n + 1))

    def fingerprint(self):
        return hashlib.sha256(b"numbers-1").hexdigest()

    def total_bytes(self):
        return None


class Endless(Numbers):
    def documents(self):
        while True:
            yield from super().documents()
            (self.root / "reading").touch()


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


class Refuser(Stopper):
    def on_train_start(self, event):
        return Signal.STOP

    on_step_end = Callback.on_step_end


class TellerConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    api_token: SecretStr = Field(description="Opens the teller's window.")


class Teller(Refuser):
    on_train_start = Callback.on_train_start


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
def project(tmp_path):
    llm(tmp_path, "new", "p", "--template", "nano", "--yes")
    (tmp_path / "p" / "data" / "raw" / "a.txt").write_text(sentences(800))
    return tmp_path / "p"


@pytest.fixture
def run(stranger, project):
    """Train in a fresh project with settings on top of the small ones."""

    def train(settings, steps, code=0):
        arguments = ("train", "--max-steps", steps, "--json", *flags(settings))
        return llm(project, *arguments, overlays=[stranger], code=code)

    return train


def logged(root: Path, name: str) -> list[dict]:
    (path,) = (root / "p" / "logs").glob("*/events.jsonl")
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return [event for event in events if event["event"] == name]


def test_a_stranger_architecture_learns_from_a_stranger_source(run, stranger, tmp_path):
    settings = {**KEPT, "model.name": "bigram", "data.source": "numbers"}
    first = json.loads(run(settings, 40).stdout)
    steps = logged(tmp_path, "step")
    assert steps[-1]["loss"] < steps[0]["loss"]
    command = ("generate", first["model"], "--prompt", "one")
    written = llm(tmp_path, *command, "--json", overlays=[stranger])
    assert json.loads(written.stdout)["results"][0]["tokens"] > 0
    missing = llm(tmp_path, *command, code=70)
    assert "architecture 'bigram' of x-stranger" in missing.stderr
    card = Path(first["model"], "README.md").read_text(encoding="utf-8")
    assert "`bigram` of the package `x-stranger`" in card
    assert "library_name: transformers" not in card


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


def test_a_callback_that_stops_a_run_before_its_first_step_leaves_no_model(run, project, tmp_path):
    run(only("refuser"), 50, code=130)
    (end,) = logged(tmp_path, "train_end")
    assert (end["status"], end["stopped_by"], end["step"]) == ("interrupted", "callback", 0)
    assert logged(tmp_path, "step") == []
    assert not list((project / "models").glob("v*"))


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
    alone = {"logging.guard": "false"}  # who would go back, and slow down
    settings = {**KEPT, **LONG, "model.name": "bigram", "training.gradient_clip": 1000}
    settings |= wild | alone
    done = run(settings, 50, code=76)
    assert "Traceback" not in done.stderr
    assert "--learning-rate" in done.stderr
    assert logged(tmp_path, "train_end")[0]["status"] == "diverged"


def test_memory_that_torch_cannot_get_has_its_own_code(run, tmp_path):
    settings = {**KEPT, **LONG, "model.name": "glutton"}
    done = run(settings, 5, code=71)
    assert "a micro-batch of one sequence does not fit" in done.stderr
    assert "--set training.gradient_checkpointing=true" in done.stderr
    assert not list((tmp_path / "my-llm").glob("models/v*"))


def test_a_secret_on_the_command_line_is_written_nowhere(run, project):
    secret = "canary-0451"
    done = run({**only("teller"), "callbacks.teller.api_token": secret}, 3)
    (manifest,) = (project / "logs").glob("*/run.json")
    command = json.loads(manifest.read_text())["command"]
    assert "callbacks.teller.api_token=***" in command
    holders = [path for path in project.rglob("*") if path.is_file() and secret in read(path)]
    assert holders == []
    assert secret not in done.stdout + done.stderr


def read(path):
    return path.read_bytes().decode("utf-8", "replace")


@with_signals
@pytest.mark.parametrize(
    "verb",
    [pytest.param(("train", "--max-steps", 2), marks=pytest.mark.slow), ("data", "prepare")],
    ids=["train", "prepare"],
)
def test_a_termination_before_the_loop_ends_with_its_own_code(project, stranger, verb):
    settings = flags({"data.source": "endless", "tokenizer.name": "byte"})
    process = start_llm(project, *verb, *settings, overlays=[stranger])
    deadline = time.monotonic() + 60
    while not (project / "reading").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.terminate()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143, stderr
    assert "Nothing that was saved is lost" in stderr
    assert "Traceback" not in stderr
    assert not list(project.rglob(".tmp-*"))
