"""What makes another run, what the configuration looks like as data, and that it round-trips."""

from __future__ import annotations

import json

import pytest

from create_llm.config.layers import leaves
from create_llm.config.schema import SECTIONS

RUNTIME = [
    "training.max_steps=7",
    "training.epochs=7",
    "training.eval_interval=7",
    "training.save_interval=7",
    "training.sample_interval=7",
    "training.save_interval=5ep",
    'training.device="cpu"',
    "training.compile=off",
    "training.max_seconds=60",
    "training.gradient_checkpointing=true",
    "training.init=v1",  # of which the weights count, not the name
    "checkpoints.min_free_gb=2",
    "checkpoints.save_total_limit=7",
    "data.workers=3",
    "logging.log_interval=7",
    "logging.board=true",
    "generation.temperature=0.5",
    'plugins=["board"]',
    'deployment.hub.repo_name="x"',
    'project.template="small"',
    'project.preset="same"',
    "model.fused=false",
]
IDENTITY = [
    "model.layers=6",
    "model.name=other",
    "model.vocab_size=999",
    "model.max_length=16",
    "tokenizer.name=letters",
    "tokenizer.vocab_size=333",
    "data.source=stories",
    "data.train_path=elsewhere",
    "data.val_split=0.2",
    "data.max_length=16",
    "data.stride=16",
    "data.deduplicate=true",
    "data.chat_template=chatml",
    "data.packing=isolated",
    "data.shuffle=false",
    "objective.name=next",
    "training.batch_size=7",
    "training.gradient_accumulation_steps=7",
    "training.learning_rate=0.5",
    "training.min_learning_rate_ratio=0.5",
    "training.warmup_steps=7",
    "training.optimizer=sgd",
    "training.optimizer=muon",
    "training.schedule=wsd",
    "training.decay_ratio=0.5",
    "training.weight_decay=0.5",
    "training.beta1=0.5",
    "training.beta2=0.5",
    "training.gradient_clip=0.5",
    "training.mixed_precision=false",
    "training.precision=fp32",
    "training.precision=fp16",
    "training.seed=7",
]


@pytest.mark.parametrize("override", RUNTIME)
def test_runtime_keys_leave_the_run_what_it_is(load, override):
    changed = load("", overrides=[override])
    assert changed.identity() == load("").identity()
    assert override.startswith("project") or changed.as_dict() != load("").as_dict()


@pytest.mark.parametrize("override", IDENTITY)
def test_identity_keys_make_another_run(load, override):
    extra = ["data.size_mb=1"] if "stories" in override else []
    assert load("", overrides=[override, *extra]).identity() != load("").identity()


def test_every_core_key_is_one_or_the_other():
    tested = {override.partition("=")[0] for override in RUNTIME + IDENTITY}
    keys = {f"{name}.{key}" for name, s in SECTIONS.items() for key in s.model.model_fields}
    unchecked = {key for key in keys - tested if not key.startswith(("checkpoints", "generation"))}
    assert unchecked == {"logging.log_dir", "data.mix"}  # test_mixture.py has the mixture


def test_where_a_value_comes_from_does_not_matter(load):
    explicit = load(
        "[model]\nname = 'net'\nlayers = 4\n[data]\nmax_length = 64\n[training]\nseed = 42"
    )
    assert explicit.identity() == load("").identity()


def test_the_settings_and_the_dictionary_agree(load):
    config = load(
        "[data.weights]\na = 1.0\n[logging]\nboard = true\n[deployment.hub]\nprivate = true"
    )
    assert json.loads(json.dumps(config.as_dict())) == config.as_dict()
    flat = {".".join(path): value for path, value in leaves(config.as_dict())}
    settings = {key: setting.value for key, setting in config.settings.items()}
    assert settings.pop("data.weights") == {"a": flat.pop("data.weights.a")}
    assert {**settings, "callbacks.console": {}} == flat | {"callbacks.console": {}}


def test_what_it_says_of_itself_gives_itself_again(load):
    config = load("[model]\nlayers = 6\n[logging]\nboard = true\n[deployment.elsewhere]\nx = 1")
    flags = {
        ".".join(path): (value, "run.json")
        for path, value in leaves(config.as_dict())
        if value is not None and value != {}
    }
    assert load("", flags=flags).as_dict() == config.as_dict()


def test_settings_come_with_their_source(load):
    config = load("[model]\n\nlayers = 6")
    assert config.settings["model.layers"].source.label == "llm.toml:3"
    assert config.settings["model.max_length"].source.label == "default"
    assert config.settings["model.name"].source.label == "template small"
    assert config.settings["training.seed"].value == 42
