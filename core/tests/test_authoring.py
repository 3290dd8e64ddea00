"""The package of a new plugin: what it may be called, and what is in it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from create_llm import __version__
from create_llm.authoring.contracts import parts_called, source_folder
from create_llm.authoring.names import LONGEST, PluginName, check_is_new
from create_llm.authoring.package import kind_called, package_files, use_of
from create_llm.errors import ConfigError, PluginError
from create_llm.kernel.compatible import compatible_range
from create_llm.kernel.entry_points import InstalledPlugin
from create_llm.kernel.kinds import KINDS
from create_llm.kernel.plugins import CORE, PluginRecord, Plugins
from create_llm.kernel.registry import Part, Registry

NAMES = ("x", "my-lion", "create-llm-lion2", "lion-" * 7 + "lions")


def part(kind: str, name: str, distribution: str) -> Part:
    return Part(kind, name, "json:dumps", "A part.", None, (), "p", distribution)


def record(name: str, distribution: str, parts: tuple[Part, ...] = (), status="loaded"):
    plugin = InstalledPlugin(name, "json", distribution, "1.0")
    return PluginRecord(plugin, status, None if status == "loaded" else "broken", parts)


def plugins_of(*records: PluginRecord) -> Plugins:
    registry = Registry()
    for one in records:
        for each in one.parts if one.status == "loaded" else ():
            registry.add(each)
    return Plugins(records, registry)


NONE = plugins_of()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_package(kind: str, name: str):
    names = PluginName.parse(name)
    files = package_files(kind, names)
    for path, text in files.items():
        if path.endswith(".py"):
            compile(text, path, "exec")
            assert not re.search(r"\$\w", text), f"{path} has a placeholder left"
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["name"] == names.distribution
    core = f"{CORE.distribution}{compatible_range(__version__)}"
    assert project["dependencies"][0] == core
    points = project["entry-points"]["create_llm.plugins"]
    assert points == {names.plugin: f"{names.module}.plugin"}
    for path in ("__init__.py", "plugin.py", "py.typed"):
        assert f"src/{names.module}/{path}" in files
    assert "tests/test_contract.py" in files
    assert f"def {KINDS[kind].hook}(" in files[f"src/{names.module}/plugin.py"]
    assert use_of(kind, names).text in files["README.md"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_package_depends_on_can_be_installed(kind: str):
    files = package_files(kind, PluginName.parse("lion"))
    for text in tomllib.loads(files["pyproject.toml"])["project"]["dependencies"]:
        needed = Requirement(text)
        assert needed.specifier.contains(version(needed.name)), text


def test_the_readme_lists_the_files_that_are_there():
    for kind in KINDS:
        files = package_files(kind, PluginName.parse("lion"))
        named = re.findall(r"^\| `([^`]+)` \|", files["README.md"], re.MULTILINE)
        assert set(named) <= set(files)
        assert {path for path in files if path.endswith(".py")} <= {
            *named, "src/create_llm_lion/__init__.py",
        }  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [["check", "--select", "E,F,W,I,UP,B,SIM,RUF"], ["format", "--check"]]
)
def test_packages_are_as_ruff_would_have_them(tmp_path: Path, arguments: list[str]):
    for kind in KINDS:
        for number, name in enumerate(NAMES):
            folder = tmp_path / f"{kind}-{number}"
            for path, text in package_files(kind, PluginName.parse(name)).items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text)
    ruff = [sys.executable, "-m", "ruff", *arguments, "--no-cache", str(tmp_path)]
    done = subprocess.run(ruff, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("My Lion!", "my-lion"),
        ("my_lion", "my-lion"),
        ("-e", "e"),
        ("2fast", "fast"),
        ("../lion", "lion"),
        ("lion--x", "lion-x"),
        ("león", "le-n"),
        ("", "my-plugin"),
        ("create-llm-", "my-plugin"),
        ("x" * (LONGEST + 1), "x" * LONGEST),
    ],
)
def test_an_impossible_name_is_refused_with_one_that_is_possible(name: str, near: str):
    with pytest.raises(ConfigError) as caught:
        PluginName.parse(name)
    assert caught.value.fixes == (f"for example: llm plugins new {near}",)
    assert PluginName.parse(near).plugin == near


@pytest.mark.parametrize("name", ["class", "json", "none"])
def test_words_of_python_make_no_trouble(name: str):
    """The prefix keeps the module apart from keywords and from Python's own modules."""
    assert PluginName.parse(name).module == f"create_llm_{name}"


def test_names_of_others_are_taken():
    installed = plugins_of(
        record("zoo", "x-zoo", (part("callbacks", "lion", "x-zoo"),)),
        record("ape", "create-llm-monkey", status="failed"),
    )
    taken = [
        ("callbacks", "lion"),  # a part of that kind
        ("architectures", "zoo"),  # a plugin
        ("architectures", "monkey"),  # a distribution, though its plugin failed
        ("architectures", "gpt"),  # first-party, here not installed
        ("callbacks", "gpt"),  # the package would have the name of a first-party one
        ("commands", "core"),
    ]
    for kind, name in taken:
        with pytest.raises(ConfigError, match=f"the name '{name}' is taken"):
            check_is_new(kind, PluginName.parse(name), installed)
    check_is_new("architectures", PluginName.parse("lion"), installed)


def test_the_name_that_is_offered_instead_is_another():
    installed = plugins_of(record("my-lion", "create-llm-my-lion"))
    with pytest.raises(ConfigError) as caught:
        check_is_new("callbacks", PluginName.parse("my-lion"), installed)
    assert caught.value.fixes[0] == "take another: llm plugins new my-lion-2"


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_kinds_may_be_written_in_any_way(kind):
    singular = kind.singular
    for text in (singular, kind.name, singular.replace(" ", "_"), singular.replace(" ", "-")):
        assert kind_called(text) == kind_called(text.upper()) == kind.name
    assert kind_called(kind.name.replace("_", "-")) == kind.name


def test_a_misspelt_kind_is_named():
    with pytest.raises(ConfigError) as caught:
        kind_called("data-sauce")
    assert "did you mean 'data-source'?" in caught.value.fixes
    assert all(kind.written in caught.value.fixes[-1] for kind in KINDS.values())


def test_parts_are_found_by_plugin_distribution_and_part():
    lion, lioness = part("callbacks", "lion", "x-zoo"), part("tokenizers", "lion", "x-zoo")
    ape = part("callbacks", "lion", "x-apes")
    plugins = plugins_of(record("zoo", "x-zoo", (lion, lioness)), record("apes", "x-apes", (ape,)))
    assert parts_called(plugins, "zoo") == parts_called(plugins, "x-zoo") == [lion, lioness]
    assert set(parts_called(plugins, "lion")) == {lion, lioness, ape}
    assert parts_called(plugins, "x-apes/lion") == [ape]
    assert parts_called(plugins, "tokenizers/lion") == [lioness]
    assert parts_called(plugins, "callbacks/x-zoo/lion") == [lion]
    with pytest.raises(PluginError, match="'lyon' is not installed"):
        parts_called(plugins, "lyon")


def test_a_plugin_that_failed_cannot_be_tested():
    with pytest.raises(PluginError, match="failed to load: broken"):
        parts_called(plugins_of(record("ape", "x-ape", status="failed")), "ape")


def test_the_source_is_the_folder_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "lion" / "src" / "lion_module"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "plugin.py").touch()
    monkeypatch.syspath_prepend(str(package.parent))
    plugin = InstalledPlugin("lion", "lion_module.plugin", "My_Lion", "1.0")
    made = PluginRecord(plugin, "loaded")
    assert source_folder(made) is None
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'somebody-else'\n")
    (tmp_path / "lion" / "src" / "pyproject.toml").write_text("= half")
    assert source_folder(made) is None
    (tmp_path / "lion" / "pyproject.toml").write_text("[project]\nname = 'my-lion'\n")
    assert source_folder(made) == (tmp_path / "lion").resolve()
