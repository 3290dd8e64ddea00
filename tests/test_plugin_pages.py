"""docs/plugins: a page for each kind, whose example works and keeps the contract of its kind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import pytest

from create_llm.kernel.kinds import KINDS
from tests.journey import environment
from tests.pages import ROOT, files_in, write_files

PAGES = ROOT / "docs" / "plugins"
METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: 1.0\n"

Outcomes = dict[str, dict[str, str]]
"""kind → name of a test → "passed", "skipped" or what went wrong."""


def page(kind: str) -> dict[str, str]:
    return files_in((PAGES / f"{kind}.md").read_text(encoding="utf-8"))


def installed(files: dict[str, str]) -> dict[str, str]:
    """The files of an example as pip lays them out, and its tests."""
    (module,) = {path.split("/")[1] for path in files if path.startswith("src/")}
    name = module.removeprefix("create_llm_")
    info = f"site/{module}-1.0.dist-info"
    return {
        **{path.replace("src/", "site/", 1): text for path, text in files.items()},
        f"site/{module}/__init__.py": "",
        f"{info}/METADATA": METADATA.format(module.replace("_", "-")),
        f"{info}/entry_points.txt": f"[create_llm.plugins]\n{name} = {module}.plugin\n",
    }


@pytest.fixture(scope="module")
def try_out(tmp_path_factory) -> Callable[[dict[str, dict[str, str]]], tuple[Path, Outcomes]]:
    """Install examples and run their tests: the folder they are in, and what became of each."""

    def run(examples: dict[str, dict[str, str]]) -> tuple[Path, Outcomes]:
        root, kinds = tmp_path_factory.mktemp("pages"), {}
        for kind, files in examples.items():
            write_files(installed(files), root)
            kinds.update({Path(path).stem: kind for path in files if path.startswith("tests/")})
        report = root / "report.xml"
        options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", f"--rootdir={root}"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, f"--junitxml={report}", str(root / "tests")],
            cwd=root,
            env=environment([root / "site"], {"XDG_CACHE_HOME": str(root / "cache")}),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert report.is_file(), done.stdout + done.stderr
        return root, outcomes(report, kinds)

    return run


def outcomes(report: Path, kinds: dict[str, str]) -> Outcomes:
    found: Outcomes = {kind: {} for kind in kinds.values()}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        (module,) = (word for word in case.get("classname", "").split(".") if word in kinds)
        trouble = [child for child in case if child.tag in ("failure", "error", "skipped")]
        said = "passed" if not trouble else trouble[0].get("message", "")
        skipped = bool(trouble) and trouble[0].tag == "skipped"
        found[kinds[module]][case.get("name", "")] = "skipped" if skipped else said
    return found


@pytest.fixture(scope="module")
def examples(try_out) -> tuple[Path, Outcomes]:
    return try_out({kind: page(kind) for kind in KINDS})


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_page_keeps_the_contract_of_its_kind(kind: str, examples):
    found = examples[1][kind]
    module, _, attribute = KINDS[kind].contract.partition(":")
    contract = getattr(import_module(module), attribute)
    wanted = {name for name in dir(contract) if name.startswith("test_")}
    assert wanted <= set(found), f"not run: {wanted - set(found)}"
    assert {name: said for name, said in found.items() if said not in ("passed", "skipped")} == {}
    assert sum(said == "passed" for said in found.values()) > len(wanted) / 2


def test_the_examples_are_listed_with_their_kinds_and_names(examples, llm):
    listed = llm("plugins", "list", "--json", overlays=[examples[0] / "site"])
    provides = {p["name"]: p["provides"] for p in json.loads(listed.stdout)["plugins"]}
    for kind in KINDS:
        plugin = page_plugin(kind)
        assert provides[plugin] == {kind: [plugin]}


def page_plugin(kind: str) -> str:
    (path,) = (path for path in page(kind) if path.endswith("/plugin.py"))
    return path.split("/")[1].removeprefix("create_llm_")


def test_an_example_that_broke_its_contract_would_be_seen(try_out):
    files = page("architectures")
    path = "src/create_llm_bag/model.py"
    broken = files[path].replace("x.cumsum(dim=1)", "x.sum(dim=1, keepdim=True)")
    assert broken != files[path]
    _, found = try_out({"architectures": {**files, path: broken}})
    assert "changes logits before it" in found["architectures"]["test_causal"]


# The order of imports depends on where a package lies; hints of types would hide the example.
RELAXED = "--ignore=ANN,I001,RUF012"


@pytest.mark.parametrize("check", [("check", RELAXED), ("format", "--check")], ids=lambda c: c[0])
def test_the_examples_are_as_tidy_as_the_code(check: tuple[str, ...], tmp_path: Path):
    for kind in KINDS:
        write_files(page(kind), tmp_path / kind)
    options = ["--no-cache", "--config", str(ROOT / "pyproject.toml"), *check[1:]]
    ruff = [sys.executable, "-m", "ruff", check[0], *options, str(tmp_path)]
    done = subprocess.run(ruff, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
