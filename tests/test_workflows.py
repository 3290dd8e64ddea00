"""What continuous integration is told to do: what the README promises, with what is there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from tests.conftest import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SYSTEMS = {"ubuntu-latest", "macos-latest", "windows-latest"}
PYTHONS = {"3.11", "3.12", "3.13"}

each_workflow = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def read(path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def triggers(workflow) -> dict:
    # YAML 1.1 reads the key `on` as a truth value.
    return workflow[True]


def steps(workflow) -> Iterator[dict]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


def commands(workflow) -> str:
    return "\n".join(step["run"] for step in steps(workflow) if "run" in step)


def legs(job) -> list[dict]:
    """The combinations of a job's matrix, as GitHub makes them of lists and of `include`."""
    matrix = dict(job["strategy"]["matrix"])
    include = matrix.pop("include", [])
    (first, second) = matrix
    made = [{first: a, second: b} for a in matrix[first] for b in matrix[second]]
    for more in include:
        chosen = {name: value for name, value in more.items() if name in matrix}
        for leg in made:
            if chosen.items() <= leg.items():
                leg.update(more)
    return made


def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))


def make_calls(text: str) -> set[str]:
    return set(re.findall(r"\bmake ([a-z]+)$", text, re.MULTILINE))


def test_there_are_the_two():
    assert [path.name for path in FILES] == ["ci.yml", "nightly.yml"]


def test_every_push_is_tested_on_all_systems_and_pythons():
    workflow = read(FILES[0])
    assert set(triggers(workflow)) == {"push", "pull_request"}
    assert workflow["concurrency"]["cancel-in-progress"] is True
    made = legs(workflow["jobs"]["test"])
    assert len(made) == len(SYSTEMS) * len(PYTHONS)
    assert {(leg["os"], leg["python"]) for leg in made} == {
        (s, p) for s in SYSTEMS for p in PYTHONS
    }
    assert "make lint" in commands(workflow)


def test_all_tests_run_somewhere_at_each_push_and_everywhere_at_night():
    made = legs(read(FILES[0])["jobs"]["test"])
    whole = [leg for leg in made if leg["tests"] == "slow or not slow"]
    assert [(leg["os"], leg["python"]) for leg in whole] == [("ubuntu-latest", "3.11")]
    assert {leg["tests"] for leg in made if leg not in whole} == {"not slow"}
    nightly = read(FILES[1])
    assert {leg["os"] for leg in legs(nightly["jobs"]["slow"])} == SYSTEMS
    assert "pytest -m slow" in commands(nightly)


def test_the_pythons_are_those_that_the_packages_ask_for():
    for package in ("pyproject.toml", "core/pyproject.toml"):
        project = tomllib.loads((ROOT / package).read_text(encoding="utf-8"))["project"]
        wanted = SpecifierSet(project["requires-python"])
        assert all(f"{python}.0" in wanted for python in PYTHONS)
        assert "3.10.0" not in wanted
    named = [step["with"]["python-version"] for path in FILES for step in steps(read(path))
             if "setup-python" in step.get("uses", "")]  # fmt: skip
    assert set(named) - {"${{ matrix.python }}"} <= PYTHONS


@each_workflow
def test_every_target_of_make_exists(path):
    called = make_calls(commands(read(path)))
    assert called
    assert called <= targets()


def test_a_target_that_is_not_there_would_be_noticed():
    assert make_calls("cd x && make no\nmake lint\n") == {"no", "lint"}
    assert not {"no", "lint"} <= targets()


@each_workflow
def test_torch_comes_first_and_versions_are_pinned(path):
    workflow = read(path)
    for name, job in workflow["jobs"].items():
        lines = [line for step in job["steps"] for line in step.get("run", "").splitlines()]
        installs = [line.strip() for line in lines if "pip install" in line]
        if name == "audit":
            continue
        assert " install torch " in installs[0]
        assert installs[0].endswith("/whl/cpu")
        assert all(("-c constraints.txt" in line) is (name != "newest") for line in installs)


@each_workflow
def test_it_may_read_and_nothing_else(path):
    workflow, text = read(path), path.read_text(encoding="utf-8")
    assert workflow["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in workflow["jobs"].values())
    assert "secrets" not in text
    assert "pull_request_target" not in text
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())
    used = {step["uses"] for step in steps(workflow) if "uses" in step}
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used)


def test_vulnerabilities_and_newest_versions_are_looked_at_each_night():
    workflow = read(FILES[1])
    assert set(triggers(workflow)) == {"schedule", "workflow_dispatch"}
    text = commands(workflow)
    assert "pip-audit --strict --no-deps --disable-pip --requirement constraints.txt" in text
    assert "make bench" in text
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!+-]+", pin) for pin in pins)
