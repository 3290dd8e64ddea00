"""What `llm config convert` makes of an llm.config.js, and that the result is a configuration."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from copy import copy, deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from create_llm.cli.app import run
from create_llm.config import load_config
from create_llm.config.convert import Conversion, convert
from create_llm.config.schema import PART_TABLES, SECTIONS
from create_llm.errors import ConfigError, CreateLLMError, PluginError
from create_llm.kernel.plugins import Plugins, load_plugins
from create_llm.kernel.registry import Part
from create_llm.project.folder import find_project

# The keys and defaults of the files that create-llm's first version wrote.
FORMER = """\
/** @type {import('create-llm').Config} */
const width = 512;

module.exports = {
  // The network
  model: {
    type: 'gpt', size: 'small', vocab_size: 32_000, max_length: 512,
    layers: 12, heads: 8, dim: width, dropout: 0.1,
  },
  training: {
    batch_size: 32, learning_rate: 3e-4, warmup_steps: 1000, max_steps: 1e5,
    eval_interval: 1000, save_interval: 5000, optimizer: "adamw", weight_decay: 0.01,
    gradient_clip: 1.0, mixed_precision: true, gradient_accumulation: 1,
  },
  data: {
    train_path: 'data/raw/train.txt', val_path: `data/raw/val.txt`,
    max_length: 512, stride: 256, val_split: 0.1, shuffle: true,
  },
  tokenizer: {
    type: 'bpe', vocab_size: 32000, min_frequency: 2,
    special_tokens: ['<pad>', '<unk>', '<s>', '</s>'],
  },
  checkpoints: { save_total_limit: 3, save_on_interrupt: true, resume_from_checkpoint: null },
  logging: { log_interval: 100, log_dir: 'logs', tensorboard: true, wandb: false },
  plugins: [
    // 'wandb',
  ],
  deployment: {
    huggingface: { repo_name: null, private: false },
    replicate: { model_name: null },
  },
};
"""
WRITTEN = {
    "project": {"template": "small"},
    "model": {
        "name": "gpt", "vocab_size": 32000, "max_length": 512, "layers": 12, "heads": 8,
        "dim": 512, "dropout": 0.1,
    },
    "tokenizer": {
        "name": "bpe", "vocab_size": 32000, "min_frequency": 2,
        "special_tokens": ["<pad>", "<unk>", "<s>", "</s>"],
    },
    "data": {
        "train_path": "data/raw/train.txt", "val_path": "data/raw/val.txt", "max_length": 512,
        "stride": 256, "val_split": 0.1, "shuffle": True,
    },
    "training": {
        "batch_size": 32, "learning_rate": 3e-4, "warmup_steps": 1000, "max_steps": 100_000,
        "eval_interval": 1000, "save_interval": 5000, "optimizer": "adamw",
        "weight_decay": 0.01, "gradient_clip": 1, "mixed_precision": True,
        "gradient_accumulation_steps": 1,
    },
    "checkpoints": {"save_total_limit": 3, "save_on_interrupt": True},
    "logging": {"log_interval": 100, "log_dir": "logs", "tensorboard": True, "wandb": False},
    "deployment": {"huggingface": {"private": False}},
}  # fmt: skip


@pytest.fixture(scope="session")
def sound(plugins) -> Plugins:
    """The test's own plugins without the failed one, which might have had any missing part."""
    registry = copy(plugins.registry)
    loaded = tuple(record for record in plugins.records if record.status == "loaded")
    registry.explain_missing = Plugins(loaded, registry).explain_missing
    return Plugins(loaded, registry)


@pytest.fixture
def former(tmp_path, sound, hardware):
    """`former(js)`: the conversion by the test's own parts; its text is a configuration."""

    def converted(text: str, *, parts=sound) -> Conversion:
        return conversion_of(tmp_path, text, parts, hardware)

    return converted


def conversion_of(folder: Path, text: str, parts, hardware) -> Conversion:
    path = folder / "llm.config.js"
    path.write_text(text, "utf-8", newline="")
    conversion = convert(path, parts)
    project = folder / "converted"
    project.mkdir(exist_ok=True)
    (project / "llm.toml").write_text(conversion.text, "utf-8")
    load_config(project, parts, environ={}, hardware=hardware)
    return conversion


def reasons(conversion: Conversion) -> list[tuple[str, int, str]]:
    return [(left.key, left.place.line, left.reason) for left in conversion.left_out]


def test_a_former_default_file_becomes_a_configuration_of_the_first_party_plugins(
    tmp_path, hardware
):
    conversion = conversion_of(tmp_path, FORMER, load_plugins({}), hardware)
    assert tomllib.loads(conversion.text) == WRITTEN
    assert conversion.left_out == ()
    assert "project.template" in conversion.written
    assert len(conversion.written) == sum(
        1 if not isinstance(value, dict) else len(value)
        for table in WRITTEN.values()
        for value in table.values()
    )


def test_each_key_is_explained_and_what_is_missing_is_named_at_the_top(former):
    text = former("module.exports = {\n model: { layers: 6, depth: f() },\n};").text
    assert "# How many layers.\nlayers = 6" in text
    top = text.partition("\n\n")[0]
    assert "#   model.depth (line 2): it has to be computed" in top


def test_other_names_of_keys_become_their_own(former):
    conversion = former(
        "module.exports = { model: { type: 'other', size: 'large', width: 16 },\n"
        " tokenizer: { type: 'letters', name: 'pieces' }, training: { gradient_accumulation: 4 } }"
    )
    assert tomllib.loads(conversion.text) == {
        "project": {"template": "large"},
        "model": {"name": "other", "width": 16},
        "tokenizer": {"name": "letters"},
        "training": {"gradient_accumulation_steps": 4},
    }
    assert reasons(conversion) == [
        ("tokenizer.name", 2, "it is another name of tokenizer.type, set in line 2")
    ]


@pytest.mark.parametrize(
    ("settings_", "key", "words"),
    [
        ("training: { batch_size: 0 }", "training.batch_size", "must be at least 1, got 0"),
        ("training: { batch_size: '8' }", "training.batch_size", "must be a whole number"),
        ("training: { batch_size: 1.5 }", "training.batch_size", "must be a whole number"),
        ("training: { optimizer: 'lion' }", "training.optimizer", "must be one of"),
        ("training: { learning_rate: 1e999 }", "training.learning_rate", "a finite number"),
        ("training: { max_steps: 99999999999999999999 }", "training.max_steps", "too large"),
        ("training: { lr: 1 }", "training.lr", "there is no key 'training.lr'"),
        ("training: 5", "training", "it is a section, got 5"),
        ("training: { batch_size: process.env.B }", "training.batch_size", "environment variable"),
        ("training: { 'a.b': 1 }", "training.a.b", "dot"),
        ("training: { epochs: [null] }", "training.epochs", "holds null or an object"),
        ("training: { epochs: [[{ a: 1 }]] }", "training.epochs", "holds null or an object"),
        ("logging: { log_dir: 'a\\u202eb' }", "logging.log_dir", "hidden sign U+202E"),
        ("logging: { log_dir: '\\ud800' }", "logging.log_dir", "not valid UTF-8"),
        ("logging: { comet: true }", "logging.comet", "no callback called 'comet'"),
        ("logging: { wandb: true }", "logging.wandb", "create-llm-wandb"),
        ("logging: { comet: false }", "logging.comet", "there is no key"),
        ("model: { type: 'rnn' }", "model.type", "no architecture called 'rnn'"),
        ("model: { size: 'huge' }", "model.size", "no template called 'huge'"),
        ("data: { stride: 65 }", "data.stride", "more than data.max_length"),
        ("eval: { a: 1, b: { c: 2 } }", "eval", "there is no section [eval]"),
        ("seed: 1", "seed", "stands outside any section"),
        ("plugins: 'watch'", "plugins", "must be a list of names"),
        ("plugins: { watch: true }", "plugins", "there is no section"),
        ("plugins: ['comet']", "plugins", "no plugin called 'comet'"),
        ("plugins: ['quickstart']", "plugins", "no plugin called 'quickstart'"),
        ("plugins: ['wandb']", "plugins", "needs a package that is not installed"),
        ("deployment: { hub: { token: 'x' } }", "deployment.hub.token", "there is no key"),
        ("deployment: { cloud: { api_key: 'x' } }", "deployment.cloud.api_key", "a secret"),
    ],
)
def test_what_is_refused_is_left_out_with_its_reason(former, settings_, key, words):
    conversion = former(f"module.exports = {{\n {settings_},\n}};")
    ((left_key, line, reason),) = reasons(conversion)
    assert (left_key, line) == (key, 2)
    assert words in reason
    assert "'x'" not in conversion.text
    assert tomllib.loads(conversion.text) == {}


def test_null_empty_tables_and_an_empty_list_of_plugins_say_nothing(former):
    conversion = former(
        "module.exports = { model: {}, plugins: [],\n"
        " checkpoints: { resume_from_checkpoint: null, save_total_limit: undefined } }"
    )
    assert (conversion.written, conversion.left_out) == ((), ())


def test_of_values_that_disagree_the_fewest_are_left_out(former, hardware):
    conversion = former("module.exports = { model: { type: 'net', layers: 3, dropout: 0.5 } }")
    assert tomllib.loads(conversion.text)["model"] == {"name": "net", "dropout": 0.5}
    ((key, _, reason),) = reasons(conversion)
    assert key == "model.layers"
    assert reason == "it does not go together with what else is set: layers 3 is odd"


def test_a_template_that_is_only_mentioned_yields_to_the_values_that_are_given(
    former, sound, monkeypatch
):
    module = "create_llm_config_test_parts"
    small = sys.modules[module].SMALL
    odd = replace(small, name="odd", values={"model": {"name": "net", "layers": 3}}, default=False)
    monkeypatch.setattr(sys.modules[module], "ODD", odd, raising=False)
    parts = deepcopy(sound)
    parts.registry.add(
        Part("templates", "odd", f"{module}:ODD", "Odd.", None, (), "templates", "x-templates")
    )
    conversion = former("module.exports = { model: { size: 'odd', dropout: 0.5 } }", parts=parts)
    assert tomllib.loads(conversion.text) == {"model": {"dropout": 0.5}}
    ((key, _, reason),) = reasons(conversion)
    assert key == "model.size"
    assert "layers 3 is odd" in reason


def test_plugins_come_beside_those_of_the_template_under_our_names(former):
    conversion = former("module.exports = { plugins: ['board', 'hub', 'pieces', 'x-goals'] }")
    names = tomllib.loads(conversion.text)["plugins"]
    assert names == ["watch", "board", "hub", "words", "goals"]


def test_keys_of_a_target_that_is_not_installed_are_kept(former):
    conversion = former("module.exports = { deployment: { cloud: { name: 'a', size: 2 } } }")
    assert tomllib.loads(conversion.text) == {"deployment": {"cloud": {"name": "a", "size": 2}}}


def test_a_part_whose_package_is_missing_stops_the_conversion_and_names_it(tmp_path):
    path = tmp_path / "llm.config.js"
    path.write_text(FORMER)
    with pytest.raises(PluginError, match="create-llm-gpt") as caught:
        convert(path, load_plugins(enabled=False))
    assert caught.value.where == "llm.config.js:7:11"
    assert "llm plugins install gpt" in caught.value.fixes


def test_a_file_that_leaves_too_much_open_is_an_error(former, bare):
    with pytest.raises(ConfigError, match="no architecture is chosen"):
        former("module.exports = { training: { batch_size: 8 } }", parts=bare)


NAMES = st.sampled_from(
    [*SECTIONS, *PART_TABLES, "plugins", "name", "type", "size", "source", "layers", "dropout",
     "board", "hub", "cloud", "token", "repo_name", "batch_size", "max_length", "stride",
     "vocab_size", "special_tokens", "gradient_accumulation", "template", "a.b", "", "\u202e", "é"]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-3, 600) | st.floats() | st.sampled_from(
    ["net", "other", "broken", "pieces", "files", "small", "large", "wrong", "hub", "watch", "\x7f"]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=5) | VALUES, max_size=5))
def test_whatever_the_file_says_the_result_loads_and_nothing_is_lost_in_silence(
    tmp_path_factory, sound, hardware, table
):
    folder = tmp_path_factory.mktemp("former")
    try:
        conversion = conversion_of(folder, json.dumps(table), sound, hardware)
    except CreateLLMError:
        assert not (folder / "converted").exists()  # not converted, rather than not loaded
        return
    kept = len(conversion.written) + len(conversion.left_out)
    assert kept > 0 or not _says_something(table)


def _says_something(value: object) -> bool:
    if isinstance(value, dict):
        return any(_says_something(v) for v in value.values() if v != {"plugins": []})
    return value is not None and value != []


# ── the command ───────────────────────────────────────────────────────────────────────────────


def llm(folder: Path, *arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        run(["-C", str(folder), *arguments])
    return caught.value.code


def test_the_command_writes_llm_toml_beside_the_file(tmp_path, capsys):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "llm.config.js").write_text(FORMER.replace("0.1,\n", "drop(),\n", 1))
    assert llm(tmp_path, "config", "convert", "old/llm.config.js") == 0
    out, err = capsys.readouterr()
    assert f"{tmp_path / 'old' / 'llm.toml'} has 35 settings" in out
    assert "llm.config.js:8:48: model.dropout: it has to be computed" in err
    assert llm(tmp_path / "old", "config", "show") == 0
    assert "llm.toml:" in capsys.readouterr().out


def test_json_is_one_object(tmp_path, capsys):
    (tmp_path / "llm.config.json").write_text('{"training": {"batch_size": 8, "lr": 1}}')
    assert llm(tmp_path, "config", "convert", "--json", "--output", "other.toml") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["path"] == str(tmp_path / "other.toml")
    assert report["written"] == ["training.batch_size"]
    (skipped,) = report["skipped"]
    assert (skipped["key"], skipped["line"], skipped["column"]) == ("training.lr", 1, 38)
    assert skipped["reason"] == "there is no key 'training.lr'"
    assert not (tmp_path / "llm.toml").exists()


def test_an_llm_toml_that_is_there_stays_unless_forced(tmp_path, capsys):
    (tmp_path / "llm.config.js").write_text("export default { training: { batch_size: 8 } }")
    (tmp_path / "llm.toml").write_text("# mine")
    assert llm(tmp_path, "config", "convert") == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "llm.toml").read_text() == "# mine"
    assert llm(tmp_path, "config", "convert", "--output", "-") == 0
    text = capsys.readouterr().out
    assert tomllib.loads(text) == {"training": {"batch_size": 8}}
    assert (tmp_path / "llm.toml").read_text() == "# mine"
    assert llm(tmp_path, "config", "convert", "--force") == 0
    assert (tmp_path / "llm.toml").read_text() == text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "there is no llm.config.js here"),
        (("nothing.js",), "there is no file 'nothing.js'"),
        (("data.js", "--output", "-", "--json"), "both need stdout"),
        (("data.js", "--output", "data.js", "--force"), "cannot be written there"),
        (("data.js", "--output", "no/llm.toml"), "cannot be written there"),
        (("data.js",), "data.js exports no settings"),
    ],
)
def test_what_the_command_cannot_do_it_says(tmp_path, capsys, arguments, words):
    (tmp_path / "data.js").write_text("const a = 1;")
    assert llm(tmp_path, "config", "convert", *arguments) == 2
    out, err = capsys.readouterr()
    assert words in err
    assert not out
    assert [path.name for path in tmp_path.iterdir()] == ["data.js"]


def test_a_folder_with_a_former_configuration_points_to_the_command(tmp_path):
    inner = tmp_path / "my data"
    inner.mkdir()
    (tmp_path / "llm.config.js").touch()
    for folder, command in [
        (tmp_path, "llm config convert llm.config.js"),
        (inner, f"llm -C {tmp_path} config convert llm.config.js"),
    ]:
        with pytest.raises(ConfigError) as caught:
            find_project(folder)
        assert caught.value.fixes[0] == f"found llm.config.js; make llm.toml of it: {command}"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_or_a_device_is_not_replaced(tmp_path, capsys):
    (tmp_path / "llm.config.js").write_text("module.exports = { model: { layers: 2 } };")
    os.mkfifo(tmp_path / "pipe")
    assert llm(tmp_path, "config", "convert", "--output", "pipe", "--force") == 2
    assert "cannot be written there" in capsys.readouterr().err
    assert (tmp_path / "pipe").is_fifo()
