"""Intervals in steps and in epochs: how they are written, and when they are due."""

from __future__ import annotations

import json
import tomllib

import pytest

from create_llm.config.explain import find_keys
from create_llm.config.intervals import Interval
from create_llm.config.json_schema import json_schema
from create_llm.errors import ConfigError
from create_llm.project.config_text import config_text

KEY = "training.save_interval"
NOT_INTERVALS: list[object] = [0, -1, True, 10**12, "9" * 5000, "-1", "", "1.5ep"]
NOT_INTERVALS += ["ep", "0ep", "05ep", "5 ep", "5EP", "5epochs", "5ep\n", "\u0665ep"]


class TestParse:
    @pytest.mark.parametrize(
        ("written", "count", "unit"),
        [(1, 1, "steps"), (500, 500, "steps"), ("500", 500, "steps"), ("5ep", 5, "epochs")],
    )
    def test_steps_and_epochs(self, written, count, unit):
        assert Interval.parse(written) == Interval(count, unit)

    @pytest.mark.parametrize("interval", [Interval(7), Interval(7, "epochs")])
    def test_what_it_says_of_itself_gives_itself_again(self, interval):
        assert Interval.parse(str(interval)) == interval
        assert Interval.parse(interval.written) == interval

    @pytest.mark.parametrize(
        "written",
        NOT_INTERVALS,
    )
    def test_anything_else_is_refused(self, written):
        with pytest.raises(ValueError, match='like "5ep"'):
            Interval.parse(written)


class TestDue:
    @staticmethod
    def every(interval: Interval, steps: int, per_epoch: float) -> list[int]:
        """The steps at which it is due, in a run whose epochs have so many steps."""

        def epochs_done(step: int) -> int:
            return int(step / per_epoch)

        return [step for step in range(1, steps + 1) if interval.due(step, epochs_done)]

    def test_steps(self):
        assert self.every(Interval(3), 10, 4) == [3, 6, 9]

    def test_epochs(self):
        assert self.every(Interval(1, "epochs"), 12, 4) == [4, 8, 12]
        assert self.every(Interval(2, "epochs"), 20, 4) == [8, 16]

    def test_an_epoch_that_ends_within_a_step_is_due_at_its_end(self):
        assert self.every(Interval(1, "epochs"), 10, 2.5) == [3, 5, 8, 10]

    def test_several_epochs_within_one_step_are_due_once(self):
        assert self.every(Interval(1, "epochs"), 4, 0.4) == [1, 2, 3, 4]
        assert self.every(Interval(5, "epochs"), 8, 0.5) == [3, 5, 8]


class TestKey:
    @pytest.mark.parametrize(("toml", "value"), [("500", 500), ('"5ep"', "5ep"), ('"500"', 500)])
    def test_in_the_file(self, load, toml, value):
        config = load(f"[training]\nsave_interval = {toml}")
        assert config.training.save_interval == Interval.parse(value)
        assert config.settings[KEY].value == value
        assert config.as_dict()["training"]["save_interval"] == value

    def test_on_the_command_line_and_in_the_environment(self, load):
        assert load("", overrides=[f"{KEY}=5ep"]).settings[KEY].value == "5ep"
        assert load("", overrides=[f"{KEY}=5"]).settings[KEY].value == 5
        environ = {"CREATE_LLM_TRAINING__SAVE_INTERVAL": "5ep"}
        assert load("", environ=environ).settings[KEY].value == "5ep"
        assert load("", flags={KEY: ("5ep", "--save")}).settings[KEY].value == "5ep"

    @pytest.mark.parametrize(
        "toml", ['"5 ep"', '"5epochs"', '"0ep"', "-1", "0", '"ep"', "1.5", "true", "[5]", "{}"]
    )
    def test_what_it_is_not(self, load, toml):
        with pytest.raises(ConfigError) as caught:
            load(f"[training]\n\nsave_interval = {toml}")
        assert caught.value.where == "llm.toml:3"
        assert (
            f'{KEY} must be a whole number of steps from 1 on, or of epochs, like "5ep", got'
            in (caught.value.what)
        )
        assert f"for example: {KEY} = 5000" in caught.value.fixes

    def test_samples_follow_scores_in_the_same_unit(self, load):
        config = load("[training]\neval_interval = '2ep'")
        assert config.training.sample_interval == Interval(2, "epochs")
        setting = config.settings["training.sample_interval"]
        assert (setting.value, setting.source.label) == ("2ep", "as training.eval_interval")

    def test_a_file_written_from_it_gives_it_again(self, load):
        written = load("[training]\nsave_interval = '5ep'\neval_interval = 9").as_dict()["training"]
        chosen = {key: written[key] for key in ("save_interval", "eval_interval")}
        text = config_text({"training": chosen}, lambda path: "", "x")
        assert tomllib.loads(text)["training"] == {"save_interval": "5ep", "eval_interval": 9}
        assert load(text).training.save_interval == Interval(5, "epochs")

    def test_the_schema_for_editors(self, plugins):
        schema = json_schema(plugins.registry)["properties"]["training"]["properties"]
        steps, epochs = schema["save_interval"]["anyOf"]
        assert (steps["type"], steps["minimum"]) == ("integer", 1)
        assert (epochs["type"], epochs["examples"]) == ("string", ["5ep"])
        assert schema["save_interval"]["default"] == 5000
        json.dumps(schema)

    def test_it_is_explained(self, load, plugins):
        config = load("[training]\nsave_interval = '5ep'")
        (found,) = find_keys(plugins.registry, config, KEY).keys
        assert found.takes == 'a whole number, at least 1, or text, like "5ep"'
        assert found.default == 5000
        assert found.as_dict()["value"] == "5ep"
        (sample,) = find_keys(plugins.registry, config, "training.sample_interval").keys
        assert sample.takes == 'a whole number, at least 1, or text, like "5ep", or unset'
