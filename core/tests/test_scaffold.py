"""A new project folder: what is in it, what choices do to it, and that it is whole or absent."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from create_llm.config import load_config
from create_llm.errors import ConfigError, PluginError
from create_llm.kernel.compatible import compatible_range
from create_llm.kernel.plugins import Plugins, load_plugins
from create_llm.project.config_text import config_text
from create_llm.project.pages import in_words
from create_llm.project.recipe import Choices, make_recipe
from create_llm.project.scaffold import create_project, free_folder
from create_llm.project.shims import SHIMS

PARTS = """
from pydantic import BaseModel, ConfigDict, Field

from create_llm import hookimpl
from create_llm.project.templates import Hardware, Template


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")
    max_length: int = 32
    width: int = Field(8, description="How wide it is. Wider is slower.")


class Pieces(BaseModel):
    model_config = ConfigDict(extra="forbid")
    vocab_size: int = 300


def small(name, default):
    return Template(
        name=name,
        title="a toy",
        parameters=1500,
        values={
            "plugins": ["toys", "not-installed"],
            "model": {"name": "toy", "width": 16},
            "tokenizer": {"name": "pieces", "vocab_size": 512},
            "data": {"source": "toybox"},
            "training": {"learning_rate": 1e-05, "max_steps": 7},
            "generation": {"prompt": 'Say "hi"'},
        },
        hardware=Hardware(1.5, None, True),
        time="a blink",
        first_changes=("Change the width.", "Then the rest."),
        default=default,
    )


FIRST, SECOND = small("first", True), small("second", False)


@hookimpl
def register_templates(register):
    register("first", "scaffold_toys:FIRST", summary="…")
    register("second", "scaffold_toys:SECOND", summary="…")


@hookimpl
def register_architectures(register):
    register("toy", "scaffold_toys:Shape", summary="…", config="scaffold_toys:Shape")


@hookimpl
def register_tokenizers(register):
    register("pieces", "scaffold_toys:Pieces", summary="…", config="scaffold_toys:Pieces")
    register("letters", "scaffold_toys:Pieces", summary="…")


@hookimpl
def register_data_sources(register):
    register("toybox", "scaffold_toys:Shape", summary="…")


@hookimpl
def register_callbacks(register):
    register("bell", "scaffold_toys:Shape", summary="…")
"""

TREE = {
    ".env.example",
    ".gitignore",
    "README.md",
    "checkpoints/.gitkeep",
    "data/processed/.gitkeep",
    "data/raw/.gitkeep",
    "evaluation/prompts.txt",
    "evaluation/reports/.gitkeep",
    "llm.toml",
    "logs/.gitkeep",
    "models/.gitkeep",
    "requirements.txt",
    "tokenizer/.gitkeep",
    "training/presets/.gitkeep",
}


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugins]:
    """Two plugins of one distribution, installed as pip leaves them, and no others."""
    site = tmp_path_factory.mktemp("site")
    (site / "scaffold_toys.py").write_text(PARTS)
    (site / "scaffold_more.py").write_text("from scaffold_toys import register_callbacks\n")
    info = site / "create_llm_toys-2.3.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: create-llm-toys\nVersion: 2.3.4\n")
    (info / "entry_points.txt").write_text(
        "[create_llm.plugins]\ntoys = scaffold_toys\nmore = scaffold_more\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setenv("XDG_CACHE_HOME", str(site / "cache"))
        yield load_plugins({"CREATE_LLM_PLUGINS": "toys,more", "CREATE_LLM_STRICT": "1"})


def scaffold(plugins: Plugins, parent: Path, choices: Choices | None = None) -> Path:
    folder = free_folder(parent, "my-llm")
    create_project(folder, make_recipe(folder, plugins, choices or Choices()))
    return folder


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def settings(folder: Path) -> dict[str, dict[str, object]]:
    return tomllib.loads((folder / "llm.toml").read_text("utf-8"))


def test_the_tree(plugins: Plugins, tmp_path: Path) -> None:
    folder = scaffold(plugins, tmp_path)
    assert files_in(folder) == TREE
    assert [path.name for path in tmp_path.iterdir()] == ["my-llm"]


def test_llm_toml_holds_the_templates_values_and_loads(plugins: Plugins, tmp_path: Path) -> None:
    folder = scaffold(plugins, tmp_path)
    assert settings(folder) == {
        "plugins": ["toys"],
        "project": {"template": "first"},
        "model": {"name": "toy", "width": 16},
        "tokenizer": {"name": "pieces", "vocab_size": 512},
        "data": {"source": "toybox"},
        "training": {"learning_rate": 1e-05, "max_steps": 7},
        "generation": {"prompt": 'Say "hi"'},
    }
    config = load_config(folder, plugins, environ={})
    assert config.training.max_steps == 7
    assert config.settings["model.width"].source.label.startswith("llm.toml:")


def test_each_key_is_explained_by_its_schema(plugins: Plugins, tmp_path: Path) -> None:
    lines = (scaffold(plugins, tmp_path) / "llm.toml").read_text().splitlines()
    assert lines[lines.index("width = 16") - 1] == "# How wide it is."
    assert lines[lines.index("max_steps = 7") - 1].startswith("# The total steps")


def test_readme_tells_the_templates_time_hardware_and_advice(
    plugins: Plugins, tmp_path: Path
) -> None:
    text = (scaffold(plugins, tmp_path) / "README.md").read_text("utf-8")
    for expected in ("# my-llm", "a blink", "1.5 GB of memory; no GPU needed", "1.5k parameters"):
        assert expected in text
    assert "- Change the width.\n- Then the rest.\n" in text
    assert "llm generate --prompt 'Say \"hi\"'" in text
    assert "$" not in text


def test_what_comes_after_training_depends_on_whether_the_model_writes(
    plugins: Plugins, tmp_path: Path
) -> None:
    for name, prompt in (("writes", "Once"), ("reads", "")):
        (tmp_path / name).mkdir()
        choices = Choices(overrides=(f'generation.prompt="{prompt}"',))
        text = (scaffold(plugins, tmp_path / name, choices) / "README.md").read_text("utf-8")
        assert ("llm generate --prompt Once\n" in text) == bool(prompt)
        assert text.count("\nllm evaluate\n") == 1
        assert ("\nllm chat " in text) == bool(prompt)
        first_steps = ("llm data check ", "llm train ", "llm runs list ", "llm compare v1 v2 ")
        places = [text.index(f"\n{step}") for step in first_steps]
        assert places == sorted(places)
        for readable in (".csv", ".jsonl", ".parquet", ".gz", ".zst", "UTF-16", "Windows-1252"):
            assert readable in text


def test_choices_by_name(plugins: Plugins, tmp_path: Path) -> None:
    choices = Choices(template="second", tokenizer="letters", plugins=("more", "toys"))
    values = settings(scaffold(plugins, tmp_path, choices))
    assert values["project"] == {"template": "second"}
    # `letters` has no vocab_size: the template's was meant for `pieces`.
    assert values["tokenizer"] == {"name": "letters"}
    assert values["plugins"] == ["toys", "more"]


def test_set_is_written_down(plugins: Plugins, tmp_path: Path) -> None:
    overrides = (
        "project.template=second",
        "training.max_steps=9",
        "checkpoints.save_total_limit=5",
    )
    values = settings(scaffold(plugins, tmp_path, Choices(overrides=overrides)))
    assert values["project"] == {"template": "second"}
    assert values["training"] == {"learning_rate": 1e-05, "max_steps": 9}
    assert values["checkpoints"] == {"save_total_limit": 5}


@pytest.mark.parametrize(
    ("choices", "error", "words"),
    [
        (Choices(template="frist"), ConfigError, "did you mean 'first'?"),
        (Choices(tokenizer="letter"), ConfigError, "did you mean 'letters'?"),
        (Choices(plugins=("mroe",)), PluginError, "did you mean 'more'?"),
        (Choices(overrides=("training.max_steps=0",)), ConfigError, "training.max_steps"),
        (Choices(overrides=("model.with=3",)), ConfigError, "did you mean 'model.width'?"),
    ],
)
def test_a_wrong_choice_makes_nothing(
    plugins: Plugins, tmp_path: Path, choices: Choices, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        scaffold(plugins, tmp_path, choices)
    assert isinstance(caught.value, ConfigError | PluginError)
    assert words in caught.value.render()
    assert list(tmp_path.iterdir()) == []


def test_without_a_default_template_one_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no template is installed"):
        scaffold(load_plugins(enabled=False), tmp_path)


def test_requirements_name_what_the_project_uses(plugins: Plugins, tmp_path: Path) -> None:
    text = (scaffold(plugins, tmp_path) / "requirements.txt").read_text()
    assert text.splitlines()[1:] == ["create-llm>=0.1,<0.2", "create-llm-toys>=2.3,<3"]


def test_requirements_name_what_only_a_mixture_reads(tmp_path: Path) -> None:
    address = 'data.mix.a.train_path="https://example.org/a.txt"'
    choices = Choices(overrides=("project.template=nano", address))
    text = (scaffold(load_plugins({}), tmp_path, choices) / "requirements.txt").read_text()
    assert "create-llm-web" in text


@pytest.mark.parametrize(
    ("version", "expected"),
    [("0.1.0", ">=0.1,<0.2"), ("0.12", ">=0.12,<0.13"), ("1.4.2.dev1", ">=1.4,<2"), ("?", "")],
)
def test_compatible_range(version: str, expected: str) -> None:
    assert compatible_range(version) == expected


@pytest.mark.parametrize(
    ("count", "words"), [(10**9, "1B"), (1_500_000, "1.5M"), (10**5, "100k"), (12, "12")]
)
def test_parameters_in_words(count: int, words: str) -> None:
    assert in_words(count) == words


@pytest.mark.parametrize(
    "name",
    ["", "  ", "/", "a/b", "a\\b", "-f", "--template", ".", "..", ".git", "a\nb", "nul\0", "c:"],
)
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a project's name"):
        free_folder(tmp_path, name)


@pytest.mark.parametrize("name", ["my-llm", "my-llm/", "Mi modelo ñ", "v1.2_β"])
def test_names_that_can_be(tmp_path: Path, name: str) -> None:
    assert free_folder(tmp_path, name) == tmp_path / name.removesuffix("/")


def test_what_is_there_stays_as_it_is(plugins: Plugins, tmp_path: Path) -> None:
    folder = tmp_path / "my-llm"
    folder.mkdir()
    (folder / "llm.toml").write_bytes(b"mine\r\n")
    with pytest.raises(ConfigError, match="already something") as caught:
        scaffold(plugins, tmp_path)
    assert "llm new my-llm-2" in caught.value.render()
    assert files_in(tmp_path) == {"my-llm/llm.toml"}
    assert (folder / "llm.toml").read_bytes() == b"mine\r\n"


def test_a_file_or_a_link_is_not_replaced(plugins: Plugins, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "my-llm").symlink_to("elsewhere")
    with pytest.raises(ConfigError):
        scaffold(plugins, tmp_path)
    (tmp_path / "my-llm").unlink()
    (tmp_path / "my-llm").write_text("mine")
    with pytest.raises(ConfigError):
        scaffold(plugins, tmp_path)
    assert (tmp_path / "my-llm").read_text() == "mine"


def test_an_empty_folder_is_filled(plugins: Plugins, tmp_path: Path) -> None:
    (tmp_path / "my-llm").mkdir()
    assert files_in(scaffold(plugins, tmp_path)) == TREE


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("after", [0, 1, len(TREE) - 1])
def test_an_interruption_leaves_nothing(
    plugins: Plugins,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    after: int,
) -> None:
    written, write_text = [], Path.write_text

    def write(path: Path, text: str, **options: str) -> int:
        if len(written) == after:
            raise failure
        written.append(path)
        return write_text(path, text, **options)

    monkeypatch.setattr(Path, "write_text", write)
    with pytest.raises(type(failure)):
        scaffold(plugins, tmp_path)
    assert len(written) == after
    assert list(tmp_path.iterdir()) == []


def test_a_failing_rename_leaves_nothing(
    plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(target))

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError):
        scaffold(plugins, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_scripts_pass_on_their_arguments_from_any_folder(plugins: Plugins, tmp_path: Path) -> None:
    folder = scaffold(plugins, tmp_path, Choices(scripts=True))
    assert files_in(folder) == TREE | set(SHIMS)
    # Stands in for the command line, to see what each script hands it.
    stub = tmp_path / "stub" / "create_llm"
    stub.mkdir(parents=True)
    (stub / "__init__.py").touch()
    (stub / "cli.py").write_text("def main(arguments):\n    print(*arguments, sep='|')\n")
    environment = os.environ | {"PYTHONPATH": str(stub.parent)}
    for script, words in SHIMS.items():
        command = [sys.executable, str(folder / script), "--help", "a b"]
        done = subprocess.run(
            command, cwd="/", env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout == "|".join(["-C", str(folder), *words, "--help", "a b"]) + "\n"


def test_a_script_can_be_imported_without_running(plugins: Plugins, tmp_path: Path) -> None:
    """Where processes are spawned, each worker imports the script that started the first."""
    folder = scaffold(plugins, tmp_path, Choices(scripts=True))
    command = [sys.executable, "-c", "import train"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_the_readme_lists_the_scripts(plugins: Plugins, tmp_path: Path) -> None:
    text = (scaffold(plugins, tmp_path, Choices(scripts=True)) / "README.md").read_text("utf-8")
    assert "| `data/prepare.py` | `llm data prepare` |" in text


def test_secrets_are_not_committed(plugins: Plugins, tmp_path: Path) -> None:
    folder = scaffold(plugins, tmp_path)
    assert ".env" in (folder / ".gitignore").read_text().splitlines()
    example = (folder / ".env.example").read_text()
    assert "Never commit .env" in example
    assert all(line.startswith("#") for line in example.splitlines() if line)


leaf = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
tables = st.recursive(
    st.dictionaries(names, leaf | st.lists(leaf, max_size=3), min_size=1, max_size=4),
    lambda inner: st.dictionaries(names, leaf | inner, min_size=1, max_size=4),
    max_leaves=12,
)


@given(values=tables, comment=st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_any_values_come_back_from_the_text(values: dict[str, object], comment: str) -> None:
    assert tomllib.loads(config_text(values, lambda path: comment, "A header.")) == values
