"""Presets: where they come from, which layer they are, and what they may not say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from create_llm.config.explain import find_keys
from create_llm.errors import ConfigError, PluginError
from create_llm.project.recipe import Choices, chosen_values, make_recipe

KEY = "training.batch_size"
CALLED = {"project.preset": ("quick", "--preset")}
NAMED = "[project]\npreset = 'quick'\n"


def save(root: Path, name: str, text: str) -> None:
    file = root / "training" / "presets" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def problem(load, toml: str = "", **arguments: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(toml, **arguments)
    return caught.value


class TestPrecedence:
    """quick has a batch of 2, the template small one of 16."""

    FILE = "[training]\nbatch_size = 3\n"
    DOTENV = "CREATE_LLM_TRAINING__BATCH_SIZE=4"
    ENVIRON = {"CREATE_LLM_TRAINING__BATCH_SIZE": "5"}  # noqa: RUF012

    def test_on_the_command_line_it_is_below_flags_and_set_alone(self, load):
        layers = {"dotenv": self.DOTENV, "environ": self.ENVIRON}
        seen = [
            load(self.FILE, flags={**CALLED, KEY: (7, "--batch-size")}, **layers),
            load(self.FILE, flags=CALLED, overrides=[f"{KEY}=6"], **layers),
            load(self.FILE, flags=CALLED, **layers),
            load(self.FILE, overrides=["project.preset=quick"], **layers),
            load(self.FILE, **layers),
        ]
        found = [config.settings[KEY] for config in seen]
        assert [(s.value, s.source.label) for s in found] == [
            (7, "--batch-size"),
            (6, "--set"),
            (2, "preset quick"),
            (2, "preset quick"),
            (5, "environment CREATE_LLM_TRAINING__BATCH_SIZE"),
        ]

    def test_named_by_the_project_it_is_above_the_template_alone(self, load):
        assert load(NAMED).training.batch_size == 2
        assert load(NAMED + self.FILE).training.batch_size == 3
        assert load(NAMED, dotenv=self.DOTENV).training.batch_size == 4
        assert load(NAMED, dotenv="", environ=self.ENVIRON).training.batch_size == 5

    @pytest.mark.parametrize("where", ["dotenv", "environ"])
    def test_named_by_the_environment_it_is_no_stronger(self, load, where):
        named = {"CREATE_LLM_PROJECT__PRESET": "quick"}
        text = "CREATE_LLM_PROJECT__PRESET=quick"
        arguments = {where: named if where == "environ" else text}
        assert load("", **arguments).training.batch_size == 2
        assert load(self.FILE, **arguments).training.batch_size == 3

    def test_the_commands_is_added_to_the_projects(self, load):
        config = load("[project]\npreset = 'wide'", flags=CALLED)
        assert config.project.preset == "quick"
        assert config.settings["model.layers"].source.label == "preset wide"
        assert config.settings[KEY].source.label == "preset quick"

    def test_it_counts_as_said_where_the_machine_would_decide(self, load, bare):
        from create_llm.config.hardware import Hardware

        small = Hardware(cores=2, ram_bytes=3_800_000_000, available_ram_bytes=10**9)
        parts = "[model]\nname='net'\n[data]\nsource='files'\n"
        config = load(parts + NAMED, plugins=bare, hardware=small)
        assert (config.training.batch_size, config.training.gradient_accumulation_steps) == (2, 1)

    def test_names_of_the_schema_are_used_for_other_names(self, load):
        assert load(NAMED).settings["tokenizer.name"].value == "letters"

    def test_options_for_a_part_that_it_replaces_are_left_out(self, load):
        toml = "[tokenizer]\nname = 'pieces'\nmin_frequency = 9\n"
        assert load(toml, flags=CALLED).tokenizer.name == "letters"

    def test_none_leaves_a_key_unset(self, load):
        toml = "[training]\nepochs = 3"
        assert load(toml).training.epochs == 3
        setting = load(toml, flags=CALLED).settings["training.epochs"]
        assert (setting.value, setting.source.label) == (None, "preset quick")

    def test_explain_names_it(self, load, plugins):
        (found,) = find_keys(plugins.registry, load(NAMED), "training.save_interval").keys
        assert found.as_dict()["value"] == "5ep"
        assert found.as_dict()["from"] == "preset quick"

    def test_a_new_project_keeps_its_values(self, tmp_path, plugins):
        choices = Choices(template="small", overrides=("project.preset=quick",))
        written = chosen_values(make_recipe(tmp_path / "new", plugins, choices).config)
        assert written["training"]["batch_size"] == 2
        assert written["training"]["learning_rate"] == 1e-3
        assert "epochs" not in written["training"]
        assert written["project"] == {"template": "small", "preset": "quick"}


class TestInstalled:
    def test_unknown(self, load):
        error = problem(load, "[project]\npreset = 'qick'")
        assert error.what == "there is no preset called 'qick'"
        assert error.where == "llm.toml:2"
        assert error.fixes[0] == "did you mean 'quick'?"
        assert "installed are: odd, owner, quick, same, wide, wrong" in error.fixes

    def test_without_it_missing_parts_are_not_told_as_well(self, load, bare):
        error = problem(load, "[project]\npreset = 'qick'", plugins=bare)
        assert error.what == "there is no preset called 'qick'"

    def test_of_a_package_that_is_not_installed(self, load, monkeypatch):
        from create_llm.kernel import catalogue

        packages = {"create-llm-more": {"presets": ["slow"]}}
        monkeypatch.setattr(catalogue, "catalogue", lambda: packages)
        with pytest.raises(PluginError) as caught:
            load("", flags={"project.preset": ("slow", "--preset")})
        assert "create-llm-more" in caught.value.what
        assert caught.value.where == "--preset"

    def test_a_part_that_is_no_preset_is_the_plugins_fault(self, load):
        with pytest.raises(PluginError, match="not a Preset"):
            load("[project]\npreset = 'wrong'")

    def test_it_says_nothing_about_the_project(self, load):
        error = problem(load, "[project]\npreset = 'owner'")
        assert error.what == "a preset cannot set project.template"
        assert error.where == "preset owner"

    @pytest.mark.parametrize("value", ["3", "true", "['quick']", "''", "{a = 1}"])
    def test_the_key_is_text(self, load, value):
        assert problem(load, f"[project]\npreset = {value}").where == "llm.toml:2"


class TestClashes:
    def test_keys_that_do_not_go_together_come_with_who_set_them(self, load):
        error = problem(load, flags={"project.preset": ("odd", "--preset")})
        assert error.what == "model cannot be used: layers 3 is odd"
        assert error.where == "preset odd"
        assert error.fixes[0] == "change model.layers = 3 (preset odd)"

    def test_a_length_that_the_model_cannot_read(self, load, tmp_path):
        save(tmp_path, "short.toml", "[model]\nmax_length = 16\n")
        flags = {"project.preset": ("short", "--preset")}
        error = problem(load, "[data]\nmax_length = 32", flags=flags)
        assert error.where == "llm.toml:2"
        assert "model.max_length is 16 (preset short (training/presets/short.toml:2))" in error.what


class TestSaved:
    FLAGS = {"project.preset": ("mine", "--preset")}  # noqa: RUF012
    TOML = 'title = "Mine"\nuse_cases = ["a", "b"]\n[training]\nbatch_size = 9\n'

    def test_toml(self, load, tmp_path):
        save(tmp_path, "mine.toml", self.TOML)
        setting = load("[training]\nbatch_size = 3", flags=self.FLAGS).settings[KEY]
        assert setting.value == 9
        assert setting.source.label == "preset mine (training/presets/mine.toml:4)"

    def test_json(self, load, tmp_path):
        data = {"description": "Mine.", "training": {"batch_size": 9, "epochs": None}}
        save(tmp_path, "mine.json", json.dumps(data, indent=1))
        config = load("[project]\npreset = 'mine'\n[training]\nepochs = 2")
        setting = config.settings[KEY]
        assert setting.value == 9
        assert setting.source.label == "preset mine (training/presets/mine.json:4)"
        assert config.training.epochs == 2

    def test_by_its_path(self, load, tmp_path):
        (tmp_path / "other.toml").write_text(self.TOML)
        path = str(tmp_path / "other.toml")
        for name in ("other.toml", path):
            config = load("", flags={"project.preset": (name, "--preset")})
            assert config.settings[KEY].source.label == f"preset other ({name}:4)"

    @pytest.mark.parametrize("name", ["no.toml", "../no.json", "x" * 5000 + ".toml", "\0.toml"])
    def test_a_path_with_no_file(self, load, tmp_path, name):
        save(tmp_path, "mine.toml", self.TOML)
        error = problem(load, flags={"project.preset": (name, "--preset")})
        assert "there is no preset file" in error.what
        assert error.where == "--preset"
        assert "saved are: training/presets/mine.toml" in error.fixes

    def test_unknown_names_list_it(self, load, tmp_path):
        save(tmp_path, "mine.toml", self.TOML)
        error = problem(load, flags={"project.preset": ("mien", "--preset")})
        assert error.fixes[0] == "did you mean 'mine'?"
        assert "saved are: training/presets/mine.toml" in error.fixes

    @pytest.mark.parametrize(
        ("name", "others", "choices"),
        [
            ("mine", ["mine.json"], "training/presets/mine.json, training/presets/mine.toml"),
            ("quick", [], "training/presets/quick.toml, x-recipes/quick"),
        ],
    )
    def test_of_two_with_one_name_none_is_chosen(self, load, tmp_path, name, others, choices):
        for file in (f"{name}.toml", *others):
            save(tmp_path, file, self.TOML if file.endswith("toml") else "{}")
        error = problem(load, flags={"project.preset": (name, "--preset")})
        assert error.what == f"several presets are called '{name}'"
        assert f"write one of: {choices}" in error.fixes
        for written in choices.split(", "):
            load("", flags={"project.preset": (written, "--preset")})

    @pytest.mark.parametrize(
        ("text", "line", "what", "fix"),
        [
            (
                "[training]\nbatchsize = 1",
                2,
                "there is no key 'training.batchsize'",
                "did you mean 'training.batch_size'?",
            ),
            (
                "[trainig]\nseed = 1",
                2,
                "there is no section [trainig]",
                "did you mean 'training'?",
            ),
            (
                "[model]\nlayer = 1",
                2,
                "there is no key 'model.layer'",
                "did you mean 'model.layers'?",
            ),
            (
                "titel = 'x'",
                1,
                "'titel' stands outside any section of the preset",
                "did you mean 'title'?",
            ),
            (
                "title = 3",
                1,
                "title must be text, or for use_cases a list of texts, got 3",
                "or leave it out",
            ),
            (
                "[training]\nseed = 'x'",
                2,
                'training.seed must be a whole number, got "x"',
                "leave it out: the default is 42",
            ),
            (
                "[project]\npreset = 'mine'",
                2,
                "a preset cannot set project.preset",
                "take it out",
            ),
            (
                "[model]\nsize = 'large'",
                2,
                "a preset cannot set project.template",
                "take it out",
            ),
        ],
    )
    def test_mistakes_in_it(self, load, tmp_path, text, line, what, fix):
        save(tmp_path, "mine.toml", text)
        error = problem(load, flags=self.FLAGS)
        assert error.what == what
        assert error.where == f"preset mine (training/presets/mine.toml:{line})"
        assert fix in error.fixes

    @pytest.mark.parametrize(
        ("file", "text", "where"),
        [
            ("mine.toml", "[training\n", "mine.toml:1"),
            ("mine.json", "[1]", "mine.json:1:1"),
            ("mine.json", '{"training":\n {"seed": process.env.SEED}}', "mine.json:2"),
            ("mine.json", '{"training": {"seed": 1, "seed": 2}}', "mine.json:1:26"),
        ],
    )
    def test_what_is_not_data(self, load, tmp_path, file, text, where):
        save(tmp_path, file, text)
        assert problem(load, flags=self.FLAGS).where == where

    def test_plugins_may_stand_above_its_sections(self, load, tmp_path):
        save(tmp_path, "mine.toml", "plugins = ['board']\n")
        assert load("plugins = ['watch']", flags=self.FLAGS).plugins == ("board",)

    @pytest.mark.parametrize("flags", [FLAGS, {}])
    def test_what_it_names_must_be_there(self, load, tmp_path, flags):
        save(tmp_path, "mine.toml", "plugins = ['absent']\n")
        with pytest.raises(PluginError) as caught:
            load("", flags=flags) if flags else load("[project]\npreset = 'mine'")
        assert caught.value.where == "preset mine (training/presets/mine.toml:1)"
