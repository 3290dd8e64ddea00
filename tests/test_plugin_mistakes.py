"""Mistakes that authors of plugins make, and what they are told: where it is, and what to do."""

from __future__ import annotations

import json

import pytest

from tests.journey import SETTINGS, flags, llm, sentences

PLUGIN = """
from create_llm import hookimpl

@hookimpl
def register_architectures(register):
    for name in ("Sound", "Bare", "Nameless", "Raises"):
        register(name.lower(), f"author_parts:{name}", summary="A model.",
                 config="author_parts:Config")
    register("boundless", "author_parts:Sound", summary="A model.", config="author_parts:Boundless")

@hookimpl
def register_data_sources(register):
    register("strings", "author_parts:Strings", summary="Strings.")

@hookimpl
def register_callbacks(register):
    register("stillborn", "author_parts:Stillborn", summary="Fails at once.")
    register("pauser", "author_parts:Pauser", summary="Pauses.")
"""

PARTS = """
from pydantic import BaseModel, ConfigDict
from torch import nn
from create_llm.models.architecture import CausalLM, ModelOutput
from create_llm.training.callbacks import Callback, Signal


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")
    max_length: int = 32
    dim: int = 16


class Boundless(BaseModel):
    dim: int = 16


class Net(nn.Module):
    name = "layers"

    def __init__(self, config, vocab_size):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.dim)
        setattr(self, self.name, nn.ModuleList([nn.Linear(config.dim, config.dim, bias=BIAS)]))
        self.head = nn.Linear(config.dim, vocab_size)

    def forward(self, tokens):
        x = self.embedding(tokens)
        return ModelOutput(x + ACTIVATION(getattr(self, self.name)[0](x)), self.head)


class BareNet(Net):
    def forward(self, tokens):
        return super().forward(tokens).logits()


class NamelessNet(Net):
    name = "blocks"


class RaisesNet(Net):
    def forward(self, tokens):
        return self.embedding(tokens)["hidden"]


class Sound(CausalLM):
    config_class, net = Config, Net

    def build(self, config, vocab_size):
        return self.net(config, vocab_size)


class Bare(Sound):
    net = BareNet


class Nameless(Sound):
    net = NamelessNet


class Raises(Sound):
    net = RaisesNet


class Strings:
    def __init__(self, config, root):
        pass

    def documents(self):
        yield "a text, but no document"

    def fingerprint(self):
        return "0" * 64

    def total_bytes(self):
        return None


class Pauser(Callback):
    def __init__(self, config):
        pass

    def on_step_end(self, event):
        return Signal.PAUSE


class Stillborn(Callback):
    def __init__(self, config):
        self.path = config.path
"""

KEPT = {
    **{k: v for k, v in SETTINGS.items() if not k.startswith("model.")},
    "training.eval_interval": 4,
    "model.name": "sound",
}
CODE = "BIAS, ACTIVATION = True, nn.functional.gelu\n"


@pytest.fixture(scope="module")
def package(write_distribution, install_apart):
    """The folder with the author's package, whose parts a test can rewrite."""
    source = write_distribution("x-author", "author", PLUGIN)
    pyproject = source / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    module = 'only-include = ["x_author_module.py"'
    assert module in text
    pyproject.write_text(text.replace(module, module + ', "author_parts.py"'), encoding="utf-8")
    (source / "author_parts.py").write_text(PARTS + CODE, encoding="utf-8")
    return install_apart([source])


@pytest.fixture
def project(tmp_path, package):
    (package / "author_parts.py").write_text(PARTS + CODE, encoding="utf-8")
    llm(tmp_path, "new", "p", "--template", "nano", "--yes")
    text = sentences(300)
    (tmp_path / "p" / "data" / "raw" / "a.txt").write_text(text, encoding="utf-8")
    return tmp_path / "p"


@pytest.fixture
def train(package, project):
    def run(code=0, steps=4, **settings):
        changed = {name.replace("__", "."): value for name, value in settings.items()}
        words = flags({**KEPT, **changed})
        return llm(project, "train", "--max-steps", steps, *words, overlays=[package], code=code)

    return run


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("bare", "the forward of BareNet returns a Tensor"),
        ("nameless", "NamelessNet keeps no ModuleList called 'layers'"),
        ("raises", "plugin 'author' (x-author) failed"),
    ],
)
def test_a_model_that_is_not_one_is_told_what_it_lacks(train, name, told):
    done = train(code=70, model__name=name)
    assert told in done.stderr
    assert "bug in create-llm" not in done.stderr


def test_an_error_in_somebodys_code_is_told_with_its_place(train, package):
    done = train(code=70, model__name="raises")
    assert f"{package / 'author_parts.py'}:" in done.stderr
    assert "llm plugins test author" in done.stderr


def test_a_config_without_a_limit_is_told_before_anything_starts(train, project):
    done = train(code=2, model__name="boundless", data__max_length=16)
    assert "architecture 'boundless' of x-author has no key max_length" in done.stderr
    assert not list((project / "logs").glob("*/run.json"))


def test_a_source_of_strings_is_told_to_yield_documents(train):
    done = train(code=70, data__source="strings")
    assert "Strings yields a str" in done.stderr


def test_a_callback_that_cannot_be_made_is_told_with_its_place(train, package):
    done = train(code=70, logging__stillborn="true")
    assert f"{package / 'author_parts.py'}:" in done.stderr


def rewrite(package, code):
    (package / "author_parts.py").write_text(PARTS + code, encoding="utf-8")


def test_other_code_with_the_same_weights_is_told_at_a_resume(train, package, project):
    train(steps=8, code=78, logging__pauser="true")
    rewrite(package, "BIAS, ACTIVATION = True, nn.functional.relu\n")
    words = ("train", "--max-steps", 8, *flags(KEPT))
    resumed = llm(project, *words, overlays=[package])
    assert "the code of x-author has changed since this run began" in resumed.stderr
    assert len(list((project / "logs").glob("*/run.json"))) == 1


def test_the_same_code_is_no_news_at_a_resume(train):
    train(steps=8, code=78, logging__pauser="true")
    assert "the code of" not in train(steps=8).stderr


def test_weights_that_no_longer_fit_are_no_stack_trace(train, package, project):
    train(steps=4, training__seed=3)
    train(steps=8, code=78, logging__pauser="true")
    rewrite(package, "BIAS, ACTIVATION = False, nn.functional.gelu\n")
    words = ("train", "--max-steps", 8, *flags(KEPT))
    resumed = llm(project, *words, overlays=[package], code=65)
    assert "layers.0.bias has no place" in resumed.stderr
    assert "--resume never" in resumed.stderr
    opened = llm(project, "generate", "v1", "--prompt", "Ada", overlays=[package], code=65)
    assert "do not fit the architecture as it is now" in opened.stderr


def test_two_packages_with_one_name_leave_a_finished_model_alone(
    train, package, project, write_distribution, install_apart
):
    train(steps=4)
    other = install_apart([write_distribution("x-other", "other", PLUGIN)])
    both = [package, other]
    made = llm(project, "generate", "v1", "--prompt", "Ada", "--json", overlays=both)
    assert json.loads(made.stdout)["results"][0]["tokens"] > 0
