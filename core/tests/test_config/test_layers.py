"""Where values come from, and which one wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from create_llm.config import load_config
from create_llm.config.hardware import Hardware
from create_llm.errors import ConfigError, PluginError

KEY = "training.batch_size"
ENVIRONMENT = {"CREATE_LLM_TRAINING__BATCH_SIZE": "5"}
DOTENV = "# a comment\n\nCREATE_LLM_TRAINING__BATCH_SIZE=4\n"
FILE = "[training]\n# how much at once\nbatch_size = 3\n"


def test_each_layer_wins_over_the_next(load):
    flags = {KEY: (7, "--batch-size")}
    everything = {"dotenv": DOTENV, "environ": ENVIRONMENT, "overrides": [f"{KEY}=6"]}
    seen = [
        load(FILE, flags=flags, **everything).settings[KEY],
        load(FILE, **everything).settings[KEY],
        load(FILE, dotenv=DOTENV, environ=ENVIRONMENT).settings[KEY],
        load(FILE, dotenv=DOTENV).settings[KEY],
        load(FILE, dotenv="").settings[KEY],
        load("").settings[KEY],
        load("[project]\ntemplate = 'large'").settings[KEY],
    ]
    assert [(s.value, s.source.label) for s in seen] == [
        (7, "--batch-size"),
        (6, "--set"),
        (5, "environment CREATE_LLM_TRAINING__BATCH_SIZE"),
        (4, ".env:3"),
        (3, "llm.toml:3"),
        (16, "template small"),
        (64, "template large"),
    ]


def test_the_model_itself_follows_the_settings(load):
    assert load(FILE).training.batch_size == 3
    assert load(FILE, environ=ENVIRONMENT).training.batch_size == 5


CHOSEN = '[model]\nname="net"\n[tokenizer]\nname="pieces"\n[data]\nsource="files"\n'


class TestHardwareLayer:
    small = Hardware(cores=2, ram_bytes=3_800_000_000, available_ram_bytes=10**9)

    def test_short_memory_shrinks_the_micro_batch_and_not_the_effective_one(self, load, bare):
        config = load(CHOSEN, plugins=bare, hardware=self.small)
        assert config.training.batch_size == 8
        assert config.training.gradient_accumulation_steps == 4
        assert config.settings[KEY].source.label == "hardware: 3.8 GB of memory"

    def test_any_other_layer_is_stronger_for_both_keys_together(self, load, bare):
        config = load(CHOSEN + FILE, plugins=bare, hardware=self.small)
        assert config.training.batch_size == 3
        assert config.training.gradient_accumulation_steps == 1

    def test_enough_memory_leaves_the_default(self, load, bare):
        assert load(CHOSEN, plugins=bare).settings[KEY].source.label == "default"


class TestEnvironment:
    def test_names_without_a_section_are_not_keys(self, load):
        environ = {"CREATE_LLM_PLUGINS": "a,b", "CREATE_LLM_STRICT": "1", "PATH": "/bin"}
        assert load("", environ=environ).as_dict() == load("").as_dict()

    @pytest.mark.parametrize(
        ("text", "key", "value"),
        [
            ("8", "training.max_steps", 8),
            ("2e-4", "training.learning_rate", 2e-4),
            ("false", "data.shuffle", False),
            ("sgd", "training.optimizer", "sgd"),
            ('"sgd"', "training.optimizer", "sgd"),
            ('["<a>", "<b>"]', "tokenizer.special_tokens", ["<a>", "<b>"]),
            ("2024", "data.train_path", "2024"),
            ("1\nbatch_size = 2", "data.train_path", "1\nbatch_size = 2"),
        ],
    )
    def test_text_is_what_toml_makes_of_it_or_text(self, load, text, key, value):
        name = "CREATE_LLM_" + key.upper().replace(".", "__")
        assert load("", environ={name: text}).settings[key].value == value
        assert load("", overrides=[f"{key}={text}"]).settings[key].value == value

    def test_options_of_callbacks(self, load):
        environ = {"CREATE_LLM_LOGGING__BOARD": "true", "CREATE_LLM_CALLBACKS__BOARD__PORT": "1"}
        assert load("", environ=environ).settings["callbacks.board.port"].value == 1

    def test_an_unknown_name_is_an_error(self, load):
        with pytest.raises(ConfigError) as caught:
            load("", environ={"CREATE_LLM_TRAINING__BATCHSIZE": "1"})
        assert caught.value.where == "environment CREATE_LLM_TRAINING__BATCHSIZE"
        assert "training.batch_size" in caught.value.render()

    def test_bytes_that_are_no_text(self, load):
        with pytest.raises(ConfigError, match="UTF-8"):
            load("", environ={"CREATE_LLM_DATA__TRAIN_PATH": "\udcff"})
        with pytest.raises(ConfigError) as caught:
            load("", environ={"CREATE_LLM_DATA__\udcff": "1"})
        caught.value.render().encode()


class TestDotenv:
    @pytest.mark.parametrize(
        ("line", "value"),
        [
            ("CREATE_LLM_DATA__TRAIN_PATH=a b # rest", "a b"),
            ("export CREATE_LLM_DATA__TRAIN_PATH = a#b", "a#b"),
            ("CREATE_LLM_DATA__TRAIN_PATH='a # b' # rest", "a # b"),
            ('CREATE_LLM_DATA__TRAIN_PATH="a"', "a"),
            ("CREATE_LLM_DATA__TRAIN_PATH=$HOME", "$HOME"),
            ("CREATE_LLM_DATA__TRAIN_PATH=a\r", "a"),
        ],
    )
    def test_spellings(self, load, line, value):
        assert load("", dotenv=line + "\nnot a variable\n").source.options.train_path == value

    def test_a_folder_called_dotenv_is_no_file(self, tmp_path, load):
        (tmp_path / ".env").mkdir()
        assert load("").training.batch_size == 16

    def test_secrets_never_leave_it(self, tmp_path, load):
        secret = "hf_canary_1234567890"
        dotenv = f"HF_TOKEN={secret}\nCREATE_LLM_TOKEN={secret}\n{secret}\n"
        config = load("", dotenv=dotenv, environ={"GROQ_API_KEY": secret})
        assert secret not in repr(config)
        assert secret not in str(config.as_dict())
        with pytest.raises(ConfigError) as caught:
            load("[trainig]\nx = 1", dotenv=dotenv)
        assert secret not in caught.value.render()

    def test_a_secret_option_is_masked(self, load):
        toml = "[logging]\nboard = true\n[callbacks.board]\npassword = 'canary'"
        config = load(toml)
        assert config.callbacks[1].options.password.get_secret_value() == "canary"
        assert "canary" not in repr(config)
        assert "canary" not in str(config.as_dict())


class TestSet:
    def test_the_last_one_counts(self, load):
        assert load("", overrides=[f"{KEY}=1", f"{KEY}=2"]).training.batch_size == 2

    @pytest.mark.parametrize("override", ["training", "=3", ""])
    def test_not_a_setting(self, load, override):
        with pytest.raises(ConfigError, match=r"section\.key=value"):
            load("", overrides=[override])

    def test_unknown_key_names_the_nearest(self, load):
        with pytest.raises(ConfigError) as caught:
            load("", overrides=["training.learning_rat=1"])
        assert caught.value.where == "--set"
        assert "did you mean 'training.learning_rate'?" in caught.value.fixes

    def test_one_key_of_a_table_leaves_the_others(self, load):
        toml = "[data.weights]\na = 1.0\nb = 2.0"
        config = load(toml, overrides=["data.weights.b=3.0"])
        assert config.source.options.weights == {"a": 1.0, "b": 3.0}
        assert config.settings["data.weights"].source.label == "--set"

    def test_a_flag_that_was_not_given_is_none(self, load):
        assert load("", flags={KEY: (None, "--batch-size")}).training.batch_size == 16


class TestTemplates:
    def test_the_default_template_is_named(self, load):
        setting = load("").settings["project.template"]
        assert (setting.value, setting.source.label) == ("small", "default")

    def test_a_flag_may_choose_it(self, load):
        config = load("", flags={"project.template": ("large", "--template")})
        assert config.training.batch_size == 64
        assert config.training.learning_rate == 3e-4

    def test_unknown(self, load):
        with pytest.raises(ConfigError) as caught:
            load("[project]\ntemplate = 'smal'")
        assert caught.value.where == "llm.toml:2"
        assert "did you mean 'small'?" in caught.value.fixes

    def test_a_part_that_is_no_template_is_the_plugins_fault(self, load):
        with pytest.raises(PluginError, match="not a Template"):
            load("[project]\ntemplate = 'wrong'")

    def test_what_it_names_and_nobody_installed_is_left_out(self, load):
        config = load("")
        assert [c.part.name for c in config.callbacks] == ["console"]

    def test_a_bare_section_of_the_file_hides_nothing(self, load):
        assert load("[training]\n[model]\n").settings[KEY].source.label == "template small"

    def test_without_any_the_parts_must_be_chosen(self, load, bare):
        with pytest.raises(ConfigError) as caught:
            load("[model]\nlayers = 2", plugins=bare)
        text = caught.value.render()
        assert "no architecture is chosen: model.name is not set" in text
        assert "llm.toml:1" in text
        assert "choose one of: broken, net, other" in text


class TestAliases:
    @pytest.mark.parametrize(
        ("toml", "key", "value"),
        [
            ("[training]\ngradient_accumulation = 3", "training.gradient_accumulation_steps", 3),
            ("[model]\ntype = 'other'", "model.name", "other"),
            ("[tokenizer]\ntype = 'letters'", "tokenizer.name", "letters"),
            ("[model]\nsize = 'large'", "project.template", "large"),
        ],
    )
    def test_other_names(self, load, toml, key, value):
        setting = load(toml).settings[key]
        assert (setting.value, setting.source.label) == (value, "llm.toml:2")

    def test_the_same_value_twice_is_fine(self, load):
        assert load("[model]\ntype='net'\nname='net'").model.part.name == "net"

    def test_two_values_are_a_contradiction(self, load):
        with pytest.raises(ConfigError) as caught:
            load("[training]\ngradient_accumulation = 2\ngradient_accumulation_steps = 4")
        assert "gradient_accumulation_steps are the same key" in caught.value.what
        assert caught.value.where == "llm.toml:2 and llm.toml:3"

    def test_across_layers_the_stronger_wins(self, load):
        toml = "[training]\ngradient_accumulation_steps = 2"
        config = load(toml, overrides=["training.gradient_accumulation=4"])
        assert config.training.gradient_accumulation_steps == 4


def test_no_file_is_no_error(tmp_path: Path, plugins, hardware):
    config = load_config(tmp_path, plugins, environ={}, hardware=hardware)
    assert config.training.batch_size == 16
