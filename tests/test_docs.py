"""The documents say what is there: commands, plugins, public names, links."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest

import create_llm

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))


def test_the_page_of_commands_is_what_the_commands_say():
    path = ROOT / "docs" / "generate_commands.py"
    spec = importlib.util.spec_from_file_location("generate_commands", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert module.render() == written, "run `make docs`"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_package_is_installed_listed_and_described(package):
    name = tomllib.loads((package / "pyproject.toml").read_text())["project"]["name"]
    assert name in {distribution.name for distribution in distributions()}
    assert f"[{name}](plugins/{package.name})" in (ROOT / "README.md").read_text()
    assert f"-e ./plugins/{package.name}\n" in (ROOT / "requirements-dev.txt").read_text()
    assert len((package / "README.md").read_text()) > 200


def test_public_names_are_exact():
    assert sorted(create_llm.__all__) == [
        "CreateLLMError", "__version__", "evaluate", "hookimpl", "load", "prepare", "train",
    ]  # fmt: skip
    for name in create_llm.__all__:
        assert getattr(create_llm, name) is not None
    with pytest.raises(AttributeError):
        create_llm.nothing_of_that_name  # noqa: B018


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert "://" in target or (ROOT / page).parent.joinpath(target).exists(), target


def test_every_hook_says_when_it_fires_and_what_it_names():
    from create_llm import hookspecs
    from create_llm.kernel.kinds import KINDS

    for kind in KINDS.values():
        text = getattr(hookspecs, kind.hook).__doc__
        assert "Target: " in text
        assert "Used " in text or "For verbs" in text
