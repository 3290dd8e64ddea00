"""What is refused, where it is said to be, and what is said about it."""

from __future__ import annotations

import pytest

from create_llm.config import ConfigProblems
from create_llm.errors import ConfigError, CreateLLMError, PluginError, StorageError


def problem(load, toml, **arguments) -> CreateLLMError:
    """The only problem of this llm.toml."""
    with pytest.raises(ConfigError) as caught:
        load(toml, **arguments)
    if isinstance(caught.value, ConfigProblems):
        assert len(caught.value.problems) == 1, caught.value.what
    assert caught.value.exit_code == 2
    return caught.value


class TestSyntax:
    @pytest.mark.parametrize(
        ("toml", "place"),
        [
            ("[training]\nbatch_size 3\n", "llm.toml:2"),
            ("[training]\nbatch_size = \n", "llm.toml:2"),
            ("x = [1,\n2", "llm.toml:2"),
            ("[training]\r\nbatch_size == 3\r\n", "llm.toml:2"),
        ],
    )
    def test_not_toml(self, load, toml, place):
        error = problem(load, toml)
        assert error.what.startswith("this is not TOML")
        assert error.where == place

    @pytest.mark.parametrize(
        "toml",
        ["[training]\nseed = 1\nseed = 2\n", "[training]\nseed=1\n[training]\nepochs=2\n"],
    )
    def test_given_twice(self, load, toml):
        error = problem(load, toml)
        assert "given twice" in error.what
        assert error.where == "llm.toml:3"

    def test_too_large(self, load):
        assert "larger than 1 MB" in problem(load, "#" * 1_000_001).what

    def test_too_many_keys(self, load):
        toml = "".join(f"[s{number}]\n" for number in range(10_001))
        assert "more than 10,000 keys" in problem(load, toml).what

    def test_not_utf8(self, load):
        assert problem(load, b"# ok\n# \xff\n").where == "llm.toml:2"

    def test_a_byte_order_mark_is_fine(self, load):
        assert load(b"\xef\xbb\xbf[training]\nseed = 7\n").training.seed == 7

    def test_too_deep(self, load):
        assert "nested too deeply" in problem(load, "x = " + "[" * 5000).what

    def test_too_many_digits(self, load):
        problem(load, "[training]\nseed = " + "9" * 5000)

    def test_a_folder_in_its_place(self, tmp_path, plugins, load):
        (tmp_path / "llm.toml").mkdir()
        from create_llm.config import load_config

        with pytest.raises(StorageError):
            load_config(tmp_path, plugins, environ={})


class TestUnknown:
    def test_key(self, load):
        error = problem(load, "\n[training]\nlr = 1\nbatchsize = 3\n".replace("lr = 1\n", ""))
        assert error.what == "there is no key 'training.batchsize'"
        assert error.where == "llm.toml:3"
        assert error.fixes[0] == "did you mean 'training.batch_size'?"

    def test_key_of_a_part(self, load):
        error = problem(load, "[model]\nlayrs = 3\n")
        assert error.fixes[0] == "did you mean 'model.layers'?"

    def test_key_in_the_wrong_section(self, load):
        error = problem(load, "[model]\nbatch_size = 3\n")
        assert error.fixes[0] == "it belongs to [training]: training.batch_size"

    def test_key_of_a_part_that_is_not_chosen(self, load):
        error = problem(load, "[data]\nsize_mb = 3\n")
        assert (
            error.fixes[0]
            == """it is a key of the data source 'stories': data.source = "stories\""""
        )

    def test_section(self, load):
        error = problem(load, "# a\n[trainng]\nbatch_size = 3\nseed = 1\n")
        assert error.what == "there is no section [trainng]"
        assert error.where == "llm.toml:2"
        assert error.fixes[0] == "did you mean 'training'?"

    def test_empty_section(self, load):
        assert problem(load, "[trainng]\n").where == "llm.toml:1"

    def test_key_outside_any_section(self, load):
        error = problem(load, "batch_size = 3\n")
        assert error.what == "'batch_size' stands outside any section"
        assert error.fixes[0] == "it belongs to [training]: training.batch_size"

    def test_plugins_below_a_section(self, load):
        error = problem(load, "[training]\nplugins = ['watch']\n")
        assert (
            error.fixes[0] == "'plugins' stands at the top of llm.toml, before the first [section]"
        )

    @pytest.mark.parametrize(
        "toml", ["training = 3", "[[training]]\nseed = 1", "callbacks.watch = 1"]
    )
    def test_a_value_where_a_section_belongs(self, load, toml):
        error = problem(load, toml)
        assert "is a section, got" in error.what
        assert error.where == "llm.toml:1"

    def test_option_of_an_objective_that_is_not_named(self, load):
        assert (
            problem(load, "[objective]\nmargin = 1\n").what == "there is no key 'objective.margin'"
        )

    def test_option_of_a_part_without_options(self, load):
        assert "objective.margin" in problem(load, "[objective]\nname='next'\nmargin = 1\n").what

    @pytest.mark.parametrize(
        ("toml", "near"),
        [
            ("[model]\nname = 'ner'", "did you mean 'net'?"),
            ("[tokenizer]\nname = 'piece'", "did you mean 'pieces'?"),
            ("[data]\nsource = 'file'", "did you mean 'files'?"),
            ("[objective]\nname = 'text'", "did you mean 'next'?"),
        ],
    )
    def test_part(self, load, toml, near):
        error = problem(load, toml)
        assert error.where == "llm.toml:2"
        assert error.fixes[0] == near


class TestTypes:
    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ('batch_size = "lots"', 'training.batch_size must be a whole number, got "lots"'),
            ('batch_size = "8"', 'training.batch_size must be a whole number, got "8"'),
            ("batch_size = 8.0", "training.batch_size must be a whole number, got 8.0"),
            ("batch_size = true", "training.batch_size must be a whole number, got true"),
            ("batch_size = [8]", "training.batch_size must be a whole number, got [8]"),
            ("batch_size = 1979-05-27", 'must be a whole number, got "1979-05-27"'),
            ("batch_size = 0", "training.batch_size must be at least 1, got 0"),
            ("batch_size.a = 1", 'training.batch_size must be a whole number, got {"a": 1}'),
            ('learning_rate = "high"', 'training.learning_rate must be a number, got "high"'),
            ("learning_rate = 0", "training.learning_rate must be greater than 0, got 0"),
            ("learning_rate = nan", "training.learning_rate must be a finite number, got nan"),
            ("learning_rate = -inf", "training.learning_rate must be a finite number, got -inf"),
            ("seed = 9223372036854775808", "training.seed is too large a number"),
            ("beta1 = 1.0", "training.beta1 must be less than 1, got 1.0"),
            ("mixed_precision = 1", "training.mixed_precision must be true or false, got 1"),
            (
                "optimizer = 3",
                "training.optimizer must be one of 'adamw', 'adam', 'sgd' or 'muon', got 3",
            ),
        ],
    )
    def test_of_core_keys(self, load, line, says):
        error = problem(load, f"[training]\n{line}\n")
        assert says in error.what
        assert error.where == "llm.toml:2"
        assert error.fixes

    def test_two_or_three_fixes_with_real_values(self, load):
        error = problem(load, '[training]\nbatch_size = "lots"')
        assert error.fixes == (
            "for example: training.batch_size = 32",
            "leave it out: the default is 32",
            "what it does, and which values it takes: llm config explain training.batch_size",
        )

    def test_misspelt_choice(self, load):
        error = problem(load, '[training]\noptimizer = "sdg"')
        assert error.fixes[0] == "did you mean 'sgd'?"

    @pytest.mark.parametrize(
        ("toml", "says"),
        [
            ("[tokenizer]\nspecial_tokens = 'a'", "special_tokens must be a list"),
            (
                "[tokenizer]\nspecial_tokens = ['a', 3]",
                "special_tokens.1 must be text in quotes, got 3",
            ),
            ("[data]\ntrain_path = 3", "data.train_path must be text in quotes, got 3"),
            ("[data]\nweights = 3", "data.weights must be a table, got 3"),
            ("[data]\nweights.a = 'x'", "data.weights.a must be a number"),
            ("[data]\nweights.a = nan", "data.weights.a must be a finite number"),
            ("[tokenizer]\nspecial_tokens = ['a', inf]", "must be a finite number"),
            ("[model]\nlayers = 3", "model cannot be used: layers 3 is odd"),
        ],
    )
    def test_of_part_keys(self, load, toml, says):
        error = problem(load, toml)
        assert says in error.what
        assert error.where in ("llm.toml:2", "llm.toml:1")

    def test_a_required_option(self, load):
        error = problem(load, "# a\n[data]\nsource = 'stories'")
        assert error.what == "data.size_mb is not set, and has no default"
        assert error.where == "llm.toml:2"

    def test_the_place_in_other_layers(self, load):
        assert problem(load, "", overrides=["training.seed=x"]).where == "--set"
        assert problem(load, "", flags={"training.seed": ("x", "--seed")}).where == "--seed"
        assert problem(load, "", dotenv="\nCREATE_LLM_TRAINING__SEED=x").where == ".env:2"


class TestTogether:
    @pytest.mark.parametrize(
        ("toml", "says"),
        [
            ("[data]\nmax_length = 65", "more than the model can read: model.max_length is 64"),
            ("[data]\nstride = 65", "more than data.max_length, which is 64"),
            ("[data]\nstride = 17\nmax_length = 16", "more than data.max_length, which is 16"),
            ("[model]\nvocab_size = 299", "fewer than the 300 tokens"),
            ("[training]\nprecision = 'bf16'\nmixed_precision = false", "mixed_precision is false"),
            ("[training]\nprecision = 'fp16'\nmixed_precision = false", "mixed_precision is false"),
        ],
    )
    def test_contradictions(self, load, toml, says):
        error = problem(load, toml)
        assert says in error.what
        assert error.where == "llm.toml:2"
        assert len(error.fixes) == 2

    def test_keys_that_follow_others(self, load):
        config = load("[model]\nmax_length = 48\n[training]\neval_interval = 7")
        assert (config.data.max_length, config.data.stride) == (48, 48)
        assert str(config.training.sample_interval) == "7"
        assert config.settings["data.stride"].source.label == "as data.max_length"
        shorter = load("[data]\nmax_length = 32")
        assert (shorter.data.max_length, shorter.data.stride) == (32, 32)


class TestAllAtOnce:
    toml = """
[training]
batch_size = "lots"
learning_rat = 1
[model]
layers = 2.5
[trainig]
x = 1
[tokenizer]
name = "piece"
"""

    def test_every_problem_is_listed_in_the_order_of_the_file(self, load):
        with pytest.raises(ConfigProblems) as caught:
            load(self.toml)
        places = [problem.where for problem in caught.value.problems]
        assert places == [f"llm.toml:{line}" for line in (3, 4, 6, 7, 10)]
        assert caught.value.exit_code == 2
        for problem in caught.value.problems:
            assert f"{problem.where}: {problem.what}" in caught.value.render()
            assert problem.fixes[0] in caught.value.render()

    def test_a_flood_is_cut_short(self, load):
        with pytest.raises(ConfigProblems) as caught:
            load("[training]\n" + "".join(f"x{number} = 1\n" for number in range(50)))
        assert len(caught.value.problems) == 50
        assert caught.value.render().count("there is no key") == 20
        assert "… and 30 more" in caught.value.render()


class TestParts:
    def test_a_part_that_cannot_be_imported_is_a_plugin_error(self, load):
        with pytest.raises(PluginError) as caught:
            load("[model]\nname = 'broken'")
        assert caught.value.exit_code == 70

    def test_options_meant_for_a_replaced_part_are_left_out(self, load):
        toml = "[tokenizer]\nname = 'pieces'\nmin_frequency = 9\nvocab_size = 400\n"
        config = load(toml, overrides=["tokenizer.name=letters"])
        assert config.tokenizer.as_dict() == {"vocab_size": 400}

    def test_but_not_those_beside_the_name(self, load):
        assert "min_frequency" in problem(load, "[tokenizer]\nname='letters'\nmin_frequency=9").what

    def test_nor_misspelt_ones_where_the_part_stays(self, load):
        toml = "[tokenizer]\nmin_frequenc = 9"
        assert "min_frequenc" in problem(load, toml, overrides=["tokenizer.name=pieces"]).what

    def test_a_qualified_name(self, load):
        config = load("[model]\nname = 'x-nets/net'")
        assert config.model.part.name == "net"
        assert config.identity()["model.name"] == "x-nets/net"


class TestCallbacks:
    def names(self, config) -> list[str]:
        return [callback.part.name for callback in config.callbacks]

    def test_plugins_then_switches(self, load):
        config = load("plugins = ['watch']\n[logging]\nboard = true")
        assert self.names(config) == ["console", "board"]
        assert config.callbacks[1].options.port == 6006
        assert config.plugins == ("watch",)
        assert config.settings["logging.board"].value is True

    def test_each_is_attached_once(self, load):
        assert self.names(load("plugins = ['board', 'x-board']\n[logging]\nboard = true")) == [
            "board"
        ]

    def test_a_switch_takes_a_callback_off(self, load):
        assert self.names(load("[logging]\nconsole = false")) == []

    def test_also_where_the_same_file_names_its_plugin(self, load):
        assert self.names(load("plugins = ['watch']\n[logging]\nconsole = false")) == []

    def test_but_not_one_that_a_stronger_layer_asks_for(self, load):
        toml = "[logging]\nboard = false"
        assert self.names(load(toml, overrides=['plugins=["board"]'])) == ["board"]

    def test_options(self, load):
        config = load("[logging]\nboard = true\n[callbacks.board]\nport = 1")
        assert config.callbacks[1].options.port == 1

    def test_a_mistake_in_options_shows_while_the_callback_is_off(self, load):
        assert "callbacks.board.prt" in problem(load, "[callbacks.board]\nprt = 1").what

    def test_a_named_plugin_must_be_there(self, load):
        with pytest.raises(PluginError) as caught:
            load("plugins = ['wach']")
        assert caught.value.where == "llm.toml:1"
        assert "did you mean 'watch'?" in caught.value.fixes

    def test_a_failed_plugin_that_is_named_is_an_error(self, load):
        with pytest.raises(PluginError, match="failed to load"):
            load("plugins = ['crashed']")

    @pytest.mark.parametrize("value", ["'watch'", "3", "[1]", "{a = 1}", "true"])
    def test_plugins_is_a_list_of_names(self, load, value):
        assert "plugins must be a list of names" in problem(load, f"plugins = {value}").what

    def test_a_switch_is_true_or_false(self, load):
        assert (
            "logging.board must be true or false" in problem(load, "[logging]\nboard = 'on'").what
        )

    def test_a_misspelt_switch(self, load):
        assert problem(load, "[logging]\nbord = true").fixes[0] == "did you mean 'logging.board'?"

    def test_options_of_no_callback(self, load):
        error = problem(load, "[callbacks.bord]\nport = 1")
        assert error.where == "llm.toml:1"
        assert error.fixes[0] == "did you mean 'board'?"


class TestFirstPartyPackagesThatAreNotInstalled:
    @pytest.fixture(autouse=True)
    def known_packages(self, monkeypatch):
        from create_llm.kernel import catalogue

        packages = {"create-llm-graphs": {"callbacks": ["graphs"], "deploy_targets": ["cloud"]}}
        monkeypatch.setattr(catalogue, "catalogue", lambda: packages)

    def test_a_switch_that_a_person_turns_on_names_the_package(self, load):
        with pytest.raises(PluginError) as caught:
            load("[logging]\ngraphs = true")
        assert "create-llm-graphs" in caught.value.what
        assert caught.value.where == "llm.toml:2"

    def test_one_that_is_off_costs_nothing(self, load):
        assert load("[logging]\ngraphs = false").switches == {"graphs": False}

    def test_options_wait_for_it(self, load):
        load("[callbacks.graphs]\nanything = 1")


class TestDeployment:
    def test_an_installed_target_is_validated(self, load):
        config = load("[deployment.hub]\nrepo_name = 'me/model'")
        assert config.tables["deployment"] == {"hub": {"repo_name": "me/model"}}
        assert "did you mean" in problem(load, "[deployment.hub]\nrepo_nam = 'x'").render()
        assert "must be true or false" in problem(load, "[deployment.hub]\nprivate = 1").what

    def test_what_is_missing_can_come_with_the_command(self, load):
        assert load("[deployment.hub]\nprivate = true").tables["deployment"]["hub"] == {
            "private": True
        }

    def test_other_targets_are_kept(self, load):
        toml = "[deployment.elsewhere]\nname = 'x'\ndeep.er = 1"
        assert load(toml).tables["deployment"]["elsewhere"] == {"name": "x", "deep": {"er": 1}}

    def test_unless_the_name_is_a_slip(self, load):
        assert problem(load, "[deployment.hubb]\nrepo_name = 'x'").fixes[0] == "did you mean 'hub'?"

    def test_secrets_do_not_belong_there(self, load):
        error = problem(load, "[deployment.elsewhere]\napi_token = 'canary'")
        assert "secret" in error.what
        assert "canary" not in error.render()
        hub = problem(load, "[deployment.hub]\ntoken = 'canary'")
        assert "canary" not in hub.render()
