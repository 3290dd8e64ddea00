"""The documents say what is there: commands, plugins, public names, links."""

from __future__ import annotations

import importlib.util
import inspect
import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType

import pytest

import create_llm
from create_llm import hookspecs, testing
from create_llm.kernel.kinds import KINDS, Kind
from tests.pages import files_in

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
PLUGIN_PAGES = sorted(ROOT.glob("docs/plugins/*.md"))
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "core/*.md", "plugins/*/*.md", "examples/*/*.md")
    for page in ROOT.glob(pattern)
)
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if hasattr(hook, "create_llm_spec")}
_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def generator(name: str) -> ModuleType:
    """A script of docs/, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_commands_is_what_the_commands_say():
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert generator("generate_commands").render() == written, "run `make docs`"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_package_is_installed_listed_and_described(package):
    name = tomllib.loads((package / "pyproject.toml").read_text())["project"]["name"]
    assert name in {distribution.name for distribution in distributions()}
    assert f"[{name}](plugins/{package.name})" in (ROOT / "README.md").read_text()
    assert f"-e ./plugins/{package.name}\n" in (ROOT / "requirements-dev.txt").read_text()
    assert len((package / "README.md").read_text()) > 200


def test_public_names_are_exact():
    names = "CreateLLMError __version__ check evaluate hookimpl load prepare train"
    assert sorted(create_llm.__all__) == names.split()
    for name in create_llm.__all__:
        assert getattr(create_llm, name) is not None
    with pytest.raises(AttributeError):
        create_llm.nothing_of_that_name  # noqa: B018


def test_public_names_of_the_contract_kit_are_one_contract_a_kind():
    assert sorted(testing.__all__) == sorted(kind.contract.split(":")[1] for kind in KINDS.values())
    for name in testing.__all__:
        assert getattr(testing, name).__name__ == name
    with pytest.raises(AttributeError):
        testing.NoSuchContract  # noqa: B018


def test_public_names_of_hookspecs_are_exact():
    public = {name for name in vars(hookspecs) if not name.startswith("_")}
    imported = {"Protocol", "annotations", "pluggy"}
    assert public - imported - HOOKS.keys() == {"Register", "hookimpl", "hookspec"}


def test_each_kind_has_one_hook():
    assert HOOKS.keys() == {kind.hook for kind in KINDS.values()}
    for name, hook in HOOKS.items():
        assert list(inspect.signature(hook).parameters) == ["register"], name


def test_every_hook_says_when_it_fires_and_what_it_names():
    for hook in HOOKS.values():
        assert "Target: " in hook.__doc__
        assert "Used " in hook.__doc__ or "For verbs" in hook.__doc__


def test_each_kind_has_a_page():
    assert {page.stem for page in PLUGIN_PAGES} == {"README", *KINDS}


@pytest.mark.parametrize("page", PLUGIN_PAGES, ids=lambda page: page.stem)
def test_the_pages_of_kinds_are_what_the_code_says(page: Path):
    written = page.read_text(encoding="utf-8")
    assert generator("generate_plugin_pages").render(page) == written, "run `make docs`"


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_page_of_a_kind_has_its_hook_its_contract_and_an_example(kind: Kind):
    """test_plugin_pages.py installs the example and runs it."""
    page = ROOT / "docs" / "plugins" / f"{kind.name}.md"
    text, files = page.read_text(encoding="utf-8"), files_in(page.read_text(encoding="utf-8"))
    assert inspect.getsource(HOOKS[kind.hook]).strip() in text
    module, contract = kind.contract.split(":")
    tests = vars(getattr(importlib.import_module(module), contract))
    assert [
        name for name in tests if name.startswith("test_") and f"`{name[5:]}`" not in text
    ] == []
    assert any(f"def {kind.hook}(register)" in file for file in files.values())
    assert any(f"({contract}):" in file for file in files.values())


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_tutorial_says_when_a_part_of_each_kind_is_loaded(kind: Kind):
    assert f"\n| `{kind.hook}` | " in (ROOT / "docs" / "write-a-plugin.md").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path):
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


def test_a_link_that_leads_nowhere_would_be_seen():
    page = ROOT / "README.md"
    links = "[a](docs/nothing.md) [b](docs/plugins/README.md#nothing) [c](#nothing) [d](docs)"
    assert broken_links(page, links) == [
        "docs/nothing.md", "docs/plugins/README.md#nothing", "#nothing",
    ]  # fmt: skip
    assert broken_links(page, "[a](docs/plugins/README.md#what-every-contract-asks)") == []


def broken_links(page: Path, text: str) -> list[str]:
    """Links of a page to files, folders and headings that are not there."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", _CODE.sub("", text)):
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        if "://" not in link and not leads_to(target, heading):
            broken.append(link)
    return broken


def leads_to(target: Path, heading: str) -> bool:
    if not heading or not target.is_file():
        return target.exists() and not heading
    lines = re.findall(r"^#+ (.+)$", _CODE.sub("", target.read_text(encoding="utf-8")), re.M)
    return heading in {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}
