"""Broken plugins, really installed: each is named, and none harms what does not ask for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

HEAD = "from create_llm import hookimpl\n\n"
REGISTERS = """\
@hookimpl
def register_tokenizers(register):
    register("{name}", "{target}", summary="A tokenizer.")
"""


@dataclass(frozen=True, slots=True)
class Culprit:
    """A distribution that fails while it loads; `says` is part of what is said about it."""

    name: str
    body: str
    says: str

    @property
    def distribution(self) -> str:
        return f"bad-{self.name}"


FAILING = [
    Culprit("raises", "raise RuntimeError('boom')\n", "RuntimeError: boom"),
    Culprit("exits", "import sys\nsys.exit(0)\n", "SystemExit"),
    Culprit(
        "fails-late",
        f"{HEAD}@hookimpl\ndef register_tokenizers(register):\n"
        "    register('late', 'json:dumps', summary='')\n    raise ValueError('late boom')\n",
        "ValueError: late boom",
    ),
    Culprit(
        "misspelt",
        f"{HEAD}@hookimpl\ndef register_tokenizer(register):\n    pass\n",
        "did you mean 'register_tokenizers'?",
    ),
    Culprit(
        "shadows",
        f"{HEAD}@hookimpl\ndef register_commands(register):\n"
        "    register('train', 'json:dumps', summary='Mine.')\n",
        "command 'train' belongs to the core",
    ),
    Culprit("unmarked", "def register_tokenizers(register):\n    pass\n", "lacks @hookimpl"),
]
UNRESOLVED = HEAD + REGISTERS.format(name="unresolved", target="no_such_module:Tokenizer")
CLAIMS = HEAD + REGISTERS.format(name="claimed", target="json:dumps")
PRINTS = "print('noise at import')\n" + HEAD + REGISTERS.format(name="noisy", target="json:dumps")
LOADING = {
    "bad-unresolved": UNRESOLVED,
    "bad-claims-one": CLAIMS,
    "bad-claims-two": CLAIMS,
    "bad-prints": PRINTS,
}

Write = Callable[[str, str, str], Path]
Install = Callable[[Sequence[Path]], Path]


@pytest.fixture(scope="module")
def overlays(write_distribution: Write, install_apart: Install) -> list[Path]:
    """All of them at once: those that fail to load, and those that trouble only their users."""
    bodies = {culprit.distribution: culprit.body for culprit in FAILING} | LOADING
    sources = [
        write_distribution(name, name.removeprefix("bad-"), body) for name, body in bodies.items()
    ]
    return [install_apart(sources)]


@pytest.fixture(scope="module")
def project(llm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    made = llm("new", "p", "--template", "nano", "--yes", cwd=folder)
    assert made.returncode == 0, made.stderr
    text = "".join(f"The fox number {n} went home and had {n * 7} figs.\n" for n in range(600))
    (folder / "p" / "data" / "raw" / "text.txt").write_text(text)
    return folder / "p"


def listed(result) -> dict[str, dict]:
    assert result.returncode == 0, result.stderr
    return {entry["distribution"]: entry for entry in json.loads(result.stdout)["plugins"]}


def test_the_help_works_and_names_each_in_one_line(llm, overlays: list[Path]):
    result = llm("--help", overlays=overlays)
    assert result.returncode == 0
    assert "Make a language model of your own." in result.stdout
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning:")]
    for culprit in FAILING:
        assert [line for line in warnings if f"({culprit.distribution} 1.0)" in line]
    assert all("llm doctor" in line for line in warnings)
    assert len(warnings) == len(FAILING)


def test_the_list_works_for_scripts(llm, overlays: list[Path]):
    entries = listed(llm("plugins", "list", "--json", overlays=overlays))
    for culprit in FAILING:
        entry = entries[culprit.distribution]
        assert (entry["name"], entry["version"]) == (culprit.name, "1.0")
        assert entry["status"] == "failed"
        assert culprit.says in entry["error"]
        assert entry["provides"] == {}
    for name in (*LOADING, "create-llm-console"):
        assert entries[name]["status"] == "loaded"


def test_the_list_says_to_people_what_to_do(llm, overlays: list[Path]):
    result = llm("plugins", "list", overlays=overlays)
    for culprit in FAILING:
        assert culprit.says in result.stdout
        assert f"llm plugins uninstall {culprit.distribution}" in result.stdout
        assert f"{culprit.distribution} --upgrade" not in result.stdout
        module = overlays[0] / f"{culprit.distribution.replace('-', '_')}_module.py"
        assert f"  where: {module}" in result.stdout
        assert f"  try: if it is yours: mend {module}" in result.stdout
    choices = "bad-claims-one/claimed or bad-claims-two/claimed"
    line = f"'claimed' (tokenizers) is provided by several plugins: write {choices}"
    assert line in result.stdout.splitlines()


def test_noise_at_import_does_not_end_up_in_json(llm, overlays: list[Path]):
    result = llm("plugins", "list", "--json", overlays=overlays)
    assert listed(result)["bad-prints"]["status"] == "loaded"
    assert "noise at import" in result.stderr


@pytest.mark.parametrize("culprit", FAILING, ids=lambda culprit: culprit.name)
def test_strict_makes_a_failure_an_error(llm, overlays: list[Path], culprit: Culprit):
    env = {"CREATE_LLM_STRICT": "1", "CREATE_LLM_PLUGINS": culprit.name}
    result = llm("--help", overlays=overlays, env=env)
    assert result.returncode == 70
    assert culprit.distribution in result.stderr
    assert "Traceback" not in result.stderr


def test_switched_off_they_are_silent(llm, overlays: list[Path]):
    result = llm("plugins", "list", "--json", "--no-plugins", overlays=overlays)
    assert {entry["status"] for entry in listed(result).values()} == {"disabled"}
    assert result.stderr == ""


def test_doctor_names_them_all(llm, overlays: list[Path], project: Path):
    result = llm("doctor", "--json", cwd=project, overlays=overlays)
    assert result.returncode == 70
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert checks["project"]["status"] == "ok"
    for name in [*(culprit.name for culprit in FAILING), "unresolved"]:
        check = checks[f"plugin {name}"]
        assert check["status"] == "fail"
        assert f"bad-{name}" in check["message"]
        assert any(f"llm plugins uninstall bad-{name}" in fix for fix in check["fixes"])
    assert "'claimed' is provided by several plugins" in result.stdout


def test_doctor_works_without_plugins(llm, overlays: list[Path], tmp_path: Path):
    result = llm("doctor", "--no-plugins", cwd=tmp_path, overlays=overlays)
    assert result.returncode == 0, result.stdout
    assert "'raises' (bad-raises) is switched off" in result.stdout


@pytest.mark.parametrize("asked", [FAILING[:1], FAILING], ids=["one", "all"])
def test_asking_for_them_is_an_error(llm, overlays, project: Path, asked: list[Culprit]):
    names = json.dumps([culprit.name for culprit in asked])
    setting = ("--set", f"plugins={names}")
    result = llm("train", "--max-steps", "2", *setting, cwd=project, overlays=overlays)
    assert result.returncode == 70, result.stderr
    _, _, error = result.stderr.rpartition("\nError: ")
    for culprit in asked:
        assert f"({culprit.distribution} 1.0) failed to load" in error
        assert f"llm plugins uninstall {culprit.distribution}" in error
    assert "Traceback" not in result.stderr


def test_a_name_that_two_claim_is_nobodys(llm, overlays: list[Path], project: Path):
    asked = ("--set", "tokenizer.name=claimed")
    result = llm("train", "--max-steps", "2", *asked, cwd=project, overlays=overlays)
    assert result.returncode == 2, result.stderr
    assert "bad-claims-one/claimed, bad-claims-two/claimed" in result.stderr


def test_a_part_that_does_not_resolve_is_an_error_for_its_user(llm, overlays, project: Path):
    asked = ("--set", "tokenizer.name=unresolved")
    result = llm("train", "--max-steps", "2", *asked, cwd=project, overlays=overlays)
    assert result.returncode == 70, result.stderr
    assert "registered by bad-unresolved" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_run_that_asks_for_none_of_them_works(llm, overlays: list[Path], project: Path):
    result = llm("train", "--max-steps", "2", cwd=project, overlays=overlays)
    assert result.returncode == 0, result.stderr
    (summary,) = (project / "logs").glob("*/summary.json")
    assert json.loads(summary.read_text())["status"] == "completed"
    for culprit in FAILING:
        assert culprit.distribution in result.stderr
