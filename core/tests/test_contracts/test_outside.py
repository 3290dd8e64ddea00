"""The contracts of deploy targets, templates, presets and commands against planted faults."""

from __future__ import annotations

import contextlib
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from pydantic import BaseModel, ConfigDict, Field

from create_llm.errors import ConfigError
from create_llm.kernel.registry import Part
from create_llm.models.bundle import ModelBundle
from create_llm.models.deploy import Plan, PlannedFile
from create_llm.project.presets import Preset
from create_llm.project.templates import Hardware, Template
from create_llm.storage.manifest import hash_file
from create_llm.testing import (
    CommandContract,
    DeployTargetContract,
    PresetContract,
    TemplateContract,
)

SHELF = "shelf"


class Shelf:
    """A sound target: a folder beside models/."""

    def __init__(self, config):
        pass

    def plan(self, bundle):
        files = []
        for path in ModelBundle.open(bundle).files():
            record = hash_file(path)
            files.append(PlannedFile(path.name, record.size, record.sha256))
        return Plan("shelf", bundle, tuple(files), ("copy",))

    def apply(self, plan):
        shelf = plan.bundle.parents[1] / SHELF / plan.bundle.name
        shelf.mkdir(parents=True, exist_ok=True)
        for file in plan.files:
            shutil.copy(plan.bundle / file.path, shelf / file.path)
        return f"file:{shelf}"


class ShelfContract(DeployTargetContract):
    @contextlib.contextmanager
    def service(self, root):
        yield lambda: sorted(str(path) for path in (root / SHELF).rglob("*"))


def test_a_sound_target_passes(failures):
    assert failures(ShelfContract, Shelf) == set()


def test_asking_the_network_while_planning_is_caught(failures):
    class Asks(Shelf):
        def plan(self, bundle):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", 9), timeout=0.1)
            return super().plan(bundle)

    assert failures(ShelfContract, Asks) == {"plan_makes_no_network_call"}


@pytest.mark.parametrize("pattern", ["*", "**/*.gguf"])
def test_sending_what_is_no_part_of_the_model_is_caught(failures, pattern):
    class Globs(Shelf):
        def plan(self, bundle):
            plan = super().plan(bundle)
            own = {file.path for file in plan.files}
            found = (path.relative_to(bundle).as_posix() for path in bundle.glob(pattern))
            others = [name for name in found if name not in own and (bundle / name).is_file()]
            records = [(name, hash_file(bundle / name)) for name in others]
            added = [PlannedFile(name, each.size, each.sha256) for name, each in records]
            return replace(plan, files=(*plan.files, *added))

        def apply(self, plan):
            (plan.bundle.parents[1] / SHELF / plan.bundle.name / "cache/engine").mkdir(
                parents=True, exist_ok=True
            )
            return super().apply(plan)

    assert failures(ShelfContract, Globs) == {"plan_sends_the_model_and_no_more"}


def test_a_wrong_hash_in_a_plan_is_caught(failures):
    class Hashes(Shelf):
        def plan(self, bundle):
            plan = super().plan(bundle)
            files = [replace(file, sha256=file.sha256[::-1]) for file in plan.files]
            return replace(plan, files=tuple(files))

    assert failures(ShelfContract, Hashes) == {"plan_names_the_files_as_they_are"}


def test_a_plan_without_the_weights_is_caught(failures):
    class Forgets(Shelf):
        def plan(self, bundle):
            plan = super().plan(bundle)
            kept = [file for file in plan.files if not file.path.endswith(".safetensors")]
            return replace(plan, files=tuple(kept))

    assert failures(ShelfContract, Forgets) == {"plan_names_the_files_as_they_are"}


def test_another_plan_each_time_is_caught(failures):
    class Counts(Shelf):
        turn = 0

        def plan(self, bundle):
            Counts.turn += 1
            return replace(super().plan(bundle), calls=(f"upload {Counts.turn}",))

    assert failures(ShelfContract, Counts) == {"plan_is_deterministic"}


def test_writing_into_the_bundle_is_caught(failures):
    class Writes(Shelf):
        def plan(self, bundle):
            plan = super().plan(bundle)
            (bundle / "README.md").write_text("published\n")
            return plan

    found = failures(ShelfContract, Writes)
    assert "plan_leaves_the_bundle_alone" in found


def test_publishing_twice_is_caught(failures):
    class Again(Shelf):
        def apply(self, plan):
            shelf = plan.bundle.parents[1] / SHELF
            number = len(list(shelf.iterdir())) if shelf.exists() else 0
            (shelf / f"{number}").mkdir(parents=True)
            return "file:shelf"

    assert failures(ShelfContract, Again) == {"apply_is_idempotent"}


def test_publishing_nothing_is_caught(failures):
    class Pretends(Shelf):
        def apply(self, plan):
            return "file:shelf"

    assert failures(ShelfContract, Pretends) == {"apply_publishes"}


class Reader(Shelf):
    """A sound target that runs what is deployed there."""

    def __init__(self, config):
        self._shelf = None

    def apply(self, plan):
        self._shelf = super().apply(plan)
        return self._shelf

    def predict(self, prompt):
        if self._shelf is None:
            raise ConfigError("nothing is deployed", fixes=("llm deploy --to shelf",))
        yield from (prompt, " and so on")


class Mute(Reader):
    def predict(self, prompt):
        yield from (piece for piece in super().predict(prompt) if not piece)


class Numbers(Reader):
    def predict(self, prompt):
        yield from map(len, super().predict(prompt))


class Replaces(Reader):
    def predict(self, prompt):
        yield from super().predict(prompt)
        (Path(self._shelf.removeprefix("file:")) / "more").touch()


class Dreams(Reader):
    def predict(self, prompt):
        yield "Once"


class Curt(Reader):
    def predict(self, prompt):
        if self._shelf is None:
            raise ConfigError("nothing is deployed")
        yield prompt


@pytest.mark.parametrize(
    ("target", "broken"),
    [
        (Reader, set()),
        (Mute, {"predict_runs_what_is_deployed"}),
        (Numbers, {"predict_runs_what_is_deployed"}),
        (Replaces, {"predict_runs_what_is_deployed"}),
        (Dreams, {"predict_says_where_nothing_is"}),
        (Curt, {"predict_says_where_nothing_is"}),
    ],
)
def test_running_what_is_deployed(target, broken, failures):
    assert failures(ShelfContract, target) == broken


class NetConfig(BaseModel):
    model_config = ConfigDict(extra="forbid")

    max_length: int = Field(64, description="The longest sequence.")


class Net:
    """An architecture of 8 parameters a vocabulary entry."""

    default_objective = "causal"

    def build(self, config, vocab_size):
        from torch import nn

        return nn.Embedding(vocab_size, 8)


class PiecesConfig(BaseModel):
    model_config = ConfigDict(extra="forbid")

    vocab_size: int = Field(300, description="Entries at most.")


TEMPLATE = Template(
    name="pocket",
    title="the smallest",
    parameters=2400,
    values={
        "model": {"name": "net", "max_length": 32},
        "tokenizer": {"name": "pieces", "vocab_size": 300},
        "data": {"source": "lines"},
        "training": {"batch_size": 2, "max_steps": 10},
    },
    hardware=Hardware(min_ram_gb=1, recommended_gpu=None, can_run_on_cpu=True),
    time="a second",
    first_changes=("Everything.", "Then the rest."),
)


class PocketContract(TemplateContract):
    name = "pocket"


def beside(kind: str, name: str, target: str, config: str | None = None) -> Part:
    where = [f"create_llm_planted:{each}" if each else None for each in (target, config)]
    return Part(kind, name, where[0], "A part.", where[1], (), "planted", "create-llm-planted")


BESIDE = (
    beside("architectures", "net", "Net", "NetConfig"),
    beside("tokenizers", "pieces", "Net", "PiecesConfig"),
    beside("data_sources", "lines", "Net"),
    beside("templates", "other", "other"),
)


@pytest.fixture
def template_failures(failures, part_module):
    """As `failures`, among the parts that the template names."""
    part_module.Net, part_module.NetConfig = Net, NetConfig
    part_module.PiecesConfig = PiecesConfig
    part_module.other = replace(TEMPLATE, name="other", default=True)
    return lambda template: failures(PocketContract, template, beside=BESIDE)


def test_a_sound_template_passes(template_failures):
    assert template_failures(TEMPLATE) == set()


def test_a_wrong_parameter_count_is_caught(template_failures):
    found = template_failures(replace(TEMPLATE, parameters=3000))
    assert found == {"parameters_are_as_claimed"}


def test_another_name_is_caught(template_failures):
    found = template_failures(replace(TEMPLATE, name="other"))
    assert found == {"is_a_template_of_its_name"}


def test_an_unknown_key_is_caught(template_failures):
    values = {**TEMPLATE.values, "model": {"name": "net", "depth": 3}}
    # A project that does not load has no parameters to count either.
    assert template_failures(replace(TEMPLATE, values=MappingProxyType(values))) == {
        "makes_a_project_that_loads",
        "parameters_are_as_claimed",
    }


def test_a_template_that_leaves_the_training_open_is_caught(template_failures):
    values = {key: value for key, value in TEMPLATE.values.items() if key != "training"}
    assert template_failures(replace(TEMPLATE, values=values)) == {"chooses_every_part"}


def test_no_word_about_time_is_caught(template_failures):
    assert template_failures(replace(TEMPLATE, time="")) == {"says_what_it_needs"}


def test_too_much_advice_is_caught(template_failures):
    found = template_failures(replace(TEMPLATE, first_changes=("One.",) * 4))
    assert found == {"says_what_to_change_first"}


def test_a_second_default_is_caught(template_failures):
    found = template_failures(replace(TEMPLATE, default=True))
    assert found == {"is_not_one_default_of_several"}


PRESET = Preset(
    name="longer",
    title="a little longer",
    description="Twenty steps.",
    use_cases=("When ten are too few.",),
    values={"training": {"max_steps": 20, "epochs": None}, "data": {"stride": None}},
)


class LongerContract(PresetContract):
    name = "longer"


@pytest.fixture
def preset_failures(failures, part_module):
    """As `failures`, beside a template and the parts that it names."""
    part_module.Net, part_module.NetConfig = Net, NetConfig
    part_module.PiecesConfig = PiecesConfig
    part_module.other = replace(TEMPLATE, name="other", default=True)
    return lambda preset, others=BESIDE: failures(LongerContract, preset, beside=others)


def test_a_sound_preset_passes(preset_failures):
    assert preset_failures(PRESET) == set()


def test_a_preset_of_another_name_is_caught(preset_failures):
    found = preset_failures(replace(PRESET, name="other"))
    assert found == {"is_a_preset_of_its_name"}


@pytest.mark.parametrize(
    "change", [{"title": " "}, {"description": ""}, {"use_cases": ()}, {"use_cases": ("",)}]
)
def test_a_preset_that_says_too_little_is_caught(preset_failures, change):
    assert preset_failures(replace(PRESET, **change)) == {"says_what_it_is_for"}


def test_an_empty_preset_is_caught(preset_failures):
    found = preset_failures(replace(PRESET, values={}))
    assert found == {"sets_something_and_leaves_the_project_alone"}


def test_a_preset_that_chooses_a_template_is_caught(preset_failures):
    values = {"project": {"template": "other"}, **PRESET.values}
    assert preset_failures(replace(PRESET, values=values)) == {
        "sets_something_and_leaves_the_project_alone",
        "fits_every_installed_template",
        "its_values_win",
    }


def test_a_preset_that_does_not_fit_a_template_is_caught(preset_failures):
    values = {"data": {"max_length": 64}}  # the template's model reads 32
    assert preset_failures(replace(PRESET, values=values)) == {
        "fits_every_installed_template",
        "its_values_win",
    }


def test_without_any_template_a_preset_is_not_thought_sound(preset_failures):
    found = preset_failures(PRESET, [part for part in BESIDE if part.kind != "templates"])
    assert found == {"fits_every_installed_template", "its_values_win"}


COMMAND = '''\
import click

@click.command()
@click.option("--size", default=1, help="How large.")
def command(size: int) -> None:
    """Greet the world."""
    click.echo("hello")
'''


@pytest.fixture
def command_failures(failures, tmp_path_factory, monkeypatch):
    """As `failures`, of a command whose module has this text."""

    def run(name: str, text: str) -> set[str]:
        folder: Path = tmp_path_factory.mktemp(name)
        (folder / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(str(folder))
        return failures(CommandContract, None, path=f"{name}:command")

    return run


def test_a_sound_command_passes(command_failures):
    assert command_failures("planted_sound", COMMAND) == set()


def test_a_heavy_command_module_is_caught(command_failures):
    assert command_failures("planted_heavy", f"import numpy\n{COMMAND}") == {"module_is_light"}


def test_an_option_without_help_is_caught(command_failures):
    text = COMMAND.replace(', help="How large."', "")
    assert command_failures("planted_silent", text) == {"everything_has_help"}


def test_a_subcommand_without_help_is_caught(command_failures):
    text = f"""{COMMAND}
leaf = click.Command("leaf", callback=lambda: None)
command = click.Group("command", commands=[leaf], help="Greetings.")
"""
    assert command_failures("planted_group", text) == {"everything_has_help"}


def test_swallowing_unknown_options_is_caught(command_failures):
    text = COMMAND.replace(
        "@click.command()", '@click.command(context_settings={"ignore_unknown_options": True})'
    ).replace("size: int", "size: int, rest: tuple")
    text = text.replace("@click.option", '@click.argument("rest", nargs=-1)\n@click.option')
    assert command_failures("planted_swallows", text) == {"refuses_unknown_options"}


def test_a_function_for_a_command_is_caught(command_failures):
    text = "def command() -> None:\n    print('hello')\n"
    assert "is_a_click_command" in command_failures("planted_function", text)
