"""`llm config show`, `explain` and `schema`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from create_llm.cli.app import App
from create_llm.cli.config import command
from create_llm.config.explain import explanations
from create_llm.config.json_schema import json_schema
from create_llm.config.schema import PART_TABLES, SECTIONS
from create_llm.errors import ConfigError
from create_llm.kernel.plugins import Plugins

TOML = "[training]\nbatch_size = 3\n[model]\nlayers = 6\n"


@pytest.fixture
def llm(tmp_path: Path, plugins: Plugins, monkeypatch):
    """`llm("show", "--json")`: `llm config show --json` in a project."""
    for name in ("CREATE_LLM_TRAINING__BATCH_SIZE", "CREATE_LLM_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "llm.toml").write_text(TOML)

    def run(*arguments: str, overrides=(), root=tmp_path) -> Result:
        app = App(plugins, root, tuple(overrides))
        return CliRunner().invoke(command, arguments, obj=app)

    return run


class TestShow:
    def test_every_key_with_its_value_and_source(self, llm):
        lines = llm("show", overrides=["training.seed=7"]).output.splitlines()
        rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in lines}
        assert rows["training.batch_size"] == ["3", "llm.toml:2"]
        assert rows["training.seed"] == ["7", "--set"]
        assert rows["training.learning_rate"] == ["0.001", "template small"]
        assert rows["training.beta2"] == ["0.95", "default"]
        assert rows["training.epochs"] == ["unset", "default"]

    def test_json(self, llm):
        shown = json.loads(llm("show", "--json").stdout)
        assert shown["settings"]["training.batch_size"] == {
            "value": 3,
            "from": "llm.toml:2",
            "identity": True,
        }

    def test_on_a_terminal_values_are_not_markup(self, llm, monkeypatch):
        monkeypatch.setattr("create_llm.cli.config._on_terminal", lambda: True)
        output = llm("show", overrides=["generation.prompt=[/bold]"]).output
        assert '"[/bold]"' in output

    def test_secrets_of_dotenv_do_not_appear(self, llm, tmp_path):
        (tmp_path / ".env").write_text("HF_TOKEN=hf_canary\nCREATE_LLM_TRAINING__SEED=9\n")
        for arguments in (["show"], ["show", "--json"], ["explain", "training"]):
            output = llm(*arguments).output
            assert ".env:2" in output
            assert "canary" not in output

    def test_outside_a_project(self, llm, tmp_path):
        (tmp_path / "llm.toml").unlink()
        result = llm("show")
        assert isinstance(result.exception, ConfigError)
        assert "not a create-llm project" in result.exception.what


class TestExplain:
    def test_a_key_in_full(self, llm):
        output = llm("explain", "training.batch_size").stdout
        assert "training.batch_size = 3   (from: llm.toml:2)" in output
        for part in (
            "What it does",
            "What it costs",
            "What to try",
            "Default       32",
            "identity",
        ):
            assert part in output
        assert "a whole number, at least 1" in output

    def test_json(self, llm):
        found = json.loads(llm("explain", "training.batch_size", "--json").stdout)
        assert (found["value"], found["from"], found["default"]) == (3, "llm.toml:2", 32)
        assert found["identity"] is True
        assert all(found[key] for key in ("what", "cost", "try", "takes"))

    def test_a_key_of_a_part(self, llm):
        found = json.loads(llm("explain", "model.layers", "--json").stdout)
        assert (found["value"], found["from"]) == (6, "llm.toml:4")
        assert (found["cost"], found["try"]) == ("Time.", "Two.")
        assert found["part"] == "architecture 'net'"

    def test_a_key_of_a_part_that_is_not_chosen(self, llm):
        assert (
            "data.size_mb: data source 'stories' is not in use" in llm("explain", "size_mb").stdout
        )

    def test_a_key_of_a_part_that_a_command_uses(self, llm):
        output = llm("explain", "deployment.hub").stdout
        assert "deployment.hub.repo_name: not set, and has no default" in output
        assert "deployment.hub.private = true   (from: default)" in output
        output = llm("explain", "deployment.hub", overrides=["deployment.hub.repo_name=a"]).stdout
        assert 'deployment.hub.repo_name = "a"   (from: --set)' in output

    def test_a_key_without_its_section(self, llm):
        assert "training.batch_size = 3" in llm("explain", "batch_size").stdout

    def test_unless_several_sections_have_it(self, llm):
        error = llm("explain", "max_length").exception
        assert isinstance(error, ConfigError)
        assert error.fixes == (
            "llm config explain model.max_length",
            "llm config explain data.max_length",
        )

    def test_another_name_of_a_key(self, llm):
        output = llm("explain", "training.gradient_accumulation").stdout
        assert "training.gradient_accumulation_steps = 1" in output

    @pytest.mark.parametrize("section", [*SECTIONS, "callbacks", "deployment", "callbacks.board"])
    def test_a_section(self, llm, section):
        output = llm("explain", section).stdout
        assert f"[{section}]" in output
        found = json.loads(llm("explain", section, "--json").stdout)
        assert found["keys"]

    @pytest.mark.parametrize(
        ("name", "near"),
        [
            ("training.batchsize", "training.batch_size"),
            ("batchsize", "training.batch_size"),
            ("trainin", "training"),
        ],
    )
    def test_unknown(self, llm, name, near):
        error = llm("explain", name).exception
        assert isinstance(error, ConfigError)
        assert error.fixes[0] == f"did you mean '{near}'?"

    def test_outside_a_project_the_defaults_are_explained(self, llm, tmp_path):
        (tmp_path / "llm.toml").unlink()
        output = llm("explain", "training.batch_size").stdout
        assert "training.batch_size = 16   (from: template small)" in output

    def test_a_broken_file_does_not_hide_what_a_key_means(self, llm, tmp_path):
        (tmp_path / "llm.toml").write_text("[training]\nbatch_size = 'lots'\n")
        result = llm("explain", "training.batch_size", "--json")
        assert json.loads(result.stdout)["value"] is None
        assert "must be a whole number" in result.stderr


def test_every_core_key_is_explained(plugins):
    for name, section in SECTIONS.items():
        for key in section.model.model_fields:
            found = explanations(plugins.registry, None)[(name, key)]
            assert found.what.endswith(".")
            assert found.cost is not None
            assert found.cost.endswith(".")
            assert found.advice is not None
            assert found.advice.rstrip("`").endswith(".")
            assert "a value" not in found.takes


class TestSchema:
    def test_it_is_one_json_object(self, llm):
        schema = json.loads(llm("schema").stdout)
        assert set(schema["properties"]) == {"plugins", *SECTIONS, *PART_TABLES}
        assert schema["additionalProperties"] is False

    def test_every_reference_resolves(self, plugins):
        schema = json_schema(plugins.registry)
        references = [part.split('"')[0] for part in json.dumps(schema).split('"$ref": "')[1:]]
        assert all(ref.removeprefix("#/$defs/") in schema["$defs"] for ref in references)

    def test_parts_stand_below_their_sections(self, plugins):
        properties = json_schema(plugins.registry)["properties"]
        model = properties["model"]
        titles = {part.get("title"): part for part in model["anyOf"]}
        assert titles["net"]["properties"]["layers"]["minimum"] == 1
        assert model["properties"]["name"]["examples"] == ["broken", "net", "other"]
        assert properties["logging"]["properties"]["board"] == {"type": "boolean"}
        assert "port" in properties["callbacks"]["properties"]["board"]["properties"]
        assert "gradient_accumulation" in properties["training"]["properties"]
