"""docs/write-a-plugin.md, followed to the letter, and the package that comes of it, as a wheel."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import CommandLine, pip
from tests.environments import bare, share_requirements, site_of
from tests.journey import environment
from tests.pages import ROOT, files_in, steps_in

PAGE = ROOT / "docs" / "write-a-plugin.md"
EXAMPLE = ROOT / "examples" / "create-llm-haiku"
# What a first training needs beside the core.
PACKAGES = ("console", "gpt", "objectives", "sample", "templates", "text", "tokenizers")
NOT_ON_THE_PAGE = {"README.md"}
_QUOTED = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fresh:
    """An environment with released wheels, as a newcomer has it."""

    python: Path
    llm: CommandLine

    def __call__(self, *arguments: str, cwd: Path, overlays: tuple[Path, ...] = (), code: int = 0):
        env = {"OMP_NUM_THREADS": "1"}
        done = self.llm(*arguments, cwd=cwd, overlays=overlays, env=env, python=self.python)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def shell(self, commands: str, folder: Path) -> str:
        """Run commands as in a terminal in which the environment is active; without a network."""
        path = os.pathsep.join([str(self.python.parent), os.environ["PATH"]])
        settings = {"PATH": path, "PIP_NO_INDEX": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=folder,
            env=environment((), {**settings, "XDG_CACHE_HOME": str(self.llm.cache)}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        assert "Traceback" not in done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def new_environment(tmp_path_factory, wheels, llm) -> Callable[[], Fresh]:
    """Make an environment that holds what `pip install create-llm` would bring."""

    def make() -> Fresh:
        home = tmp_path_factory.mktemp("newcomer") / "environment"
        python, site = bare(home), site_of(home)
        share_requirements(site, "pip")
        chosen = [wheels[f"create-llm-{name}"] for name in ("core", *PACKAGES)]
        install = [str(python), "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
        subprocess.run([*install, *map(str, chosen)], check=True, timeout=300)
        share_requirements(site, "pytest")
        return Fresh(python, llm)

    return make


@pytest.fixture(scope="module")
def fresh(new_environment) -> Fresh:
    return new_environment()


@pytest.fixture(scope="module")
def example_wheel(tmp_path_factory, install_apart) -> Path:
    """A folder for PYTHONPATH with the example, installed from its wheel."""
    folder = tmp_path_factory.mktemp("dist")
    pip("wheel", "--wheel-dir", str(folder), str(EXAMPLE))
    (wheel,) = folder.glob("create_llm_haiku-*.whl")
    return install_apart([wheel])


def example_files() -> dict[str, str]:
    paths = [path for path in EXAMPLE.rglob("*") if path.is_file()]
    named = {path.relative_to(EXAMPLE).as_posix(): path for path in paths}
    kept = {name: path for name, path in named.items() if "__pycache__" not in name}
    return {name: path.read_text(encoding="utf-8") for name, path in kept.items()}


def differing(page: str, files: dict[str, str]) -> set[str]:
    """The files of the example that the page shows differently, or not at all, or invents."""
    prefix = f"{EXAMPLE.name}/"
    shown = {
        path.removeprefix(prefix): text
        for path, text in files_in(page).items()
        if path.startswith(prefix)
    }
    return {path for path in shown.keys() | files.keys() if shown.get(path) != files.get(path)}


def test_the_page_shows_the_files_of_the_example():
    page, files = PAGE.read_text(encoding="utf-8"), example_files()
    assert differing(page, files) == NOT_ON_THE_PAGE
    assert differing(page.replace("arXiv 1612", "arXiv 1613"), files) > NOT_ON_THE_PAGE


@pytest.mark.parametrize("path", sorted(example_files().keys() - NOT_ON_THE_PAGE))
def test_each_file_of_the_example_is_short(path: str):
    assert example_files()[path].count("\n") < 40


@pytest.mark.slow
def test_a_newcomer_can_follow_the_page(new_environment, tmp_path: Path):
    there, page = new_environment(), PAGE.read_text(encoding="utf-8")
    said, blocks = [], {}
    for path, block in steps_in(page):
        if path:
            blocks[path] = f"{blocks[path]}\n\n{block}" if path in blocks else block
            (tmp_path / path).write_text(blocks[path], encoding="utf-8")
        else:
            said.append(there.shell(block, tmp_path))
    transcript = "\n".join(" ".join(line.split()) for line in "\n".join(said).splitlines())
    for quoted in _QUOTED.findall(page):
        assert " ".join(quoted.split()) in transcript
    assert not re.search(r"\b[1-9]\d* failed", transcript)
    assert (tmp_path / "create-llm-haiku/dist/create_llm_haiku-0.1.0-py3-none-any.whl").is_file()
    check_run(tmp_path / "basho", steps=100)


def check_run(project: Path, steps: int) -> None:
    """The newest run learned, and the callback kept its diary."""
    logs = sorted((project / "logs").glob("*/events.jsonl"))[-1]
    events = [json.loads(line) for line in logs.read_text(encoding="utf-8").splitlines()]
    losses = [event["loss"] for event in events if event["event"] == "step"]
    assert losses[-1] < 0.8 * losses[0]
    assert events[0]["model"] == "gated-conv"
    diary = logs.with_name("diary.md").read_text(encoding="utf-8")
    assert f"After step {steps}: validation loss" in diary
    assert "The run is completed" in diary
    assert "> " in diary


CHOICES = {
    "model.name": "gated-conv",
    "model.max_length": 64,
    "data.source": "poems",
    "logging.diary": "true",
    "logging.log_interval": 5,
}
WORDS = [word for key, value in CHOICES.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture
def project(fresh: Fresh, tmp_path: Path) -> Path:
    """A new project with poems in data/raw."""
    fresh("new", "basho", "--template", "nano", "--tokenizer", "byte", "--yes", cwd=tmp_path)
    make = [str(fresh.python), str(EXAMPLE / "make_poems.py"), "basho/data/raw"]
    subprocess.run(make, cwd=tmp_path, check=True, timeout=60)
    return tmp_path / "basho"


def test_the_wheel_of_the_example_in_a_run(fresh: Fresh, example_wheel: Path, project: Path):
    overlays = (example_wheel,)
    listed = json.loads(fresh("plugins", "list", "--json", cwd=project, overlays=overlays).stdout)
    (haiku,) = (plugin for plugin in listed["plugins"] if plugin["name"] == "haiku")
    assert (haiku["distribution"], haiku["status"]) == ("create-llm-haiku", "loaded")
    assert haiku["provides"] == {
        "callbacks": ["diary"], "data_sources": ["poems"], "architectures": ["gated-conv"],
    }  # fmt: skip
    fresh("train", "--max-steps", "20", *WORDS, cwd=project, overlays=overlays)
    check_run(project, steps=20)
    prompt = ("--prompt", "early in", "--max-new-tokens", "8", "--json")
    written = fresh("generate", *prompt, cwd=project, overlays=overlays)
    assert json.loads(written.stdout)["results"][0]["tokens"] > 0


def test_without_the_wheel_its_parts_are_missed(fresh: Fresh, project: Path):
    done = fresh("train", "--max-steps", "20", *WORDS, cwd=project, code=2)
    for name in ("gated-conv", "poems", "diary"):
        assert name in done.stderr
    assert not list((project / "logs").glob("*/events.jsonl"))
