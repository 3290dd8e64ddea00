"""The command line as a user runs it, and distributions that are really installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.journey import environment, run_llm

Result = subprocess.CompletedProcess[str]

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "1.0"

[project.entry-points."create_llm.plugins"]
{plugin} = "{module}"

[tool.hatch.build.targets.wheel]
only-include = ["{module}.py"]
"""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Runs `llm` in a process of its own, with a cache of entry points of its own."""

    cache: Path

    def __call__(
        self,
        *arguments: str,
        cwd: Path | None = None,
        overlays: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        python: Path | str = sys.executable,
    ) -> Result:
        cached = {"XDG_CACHE_HOME": str(self.cache), **(env or {})}
        return run_llm(cwd or self.cache, *arguments, overlays=overlays, env=cached, python=python)

    def environment(self, overlays: Sequence[Path] = ()) -> dict[str, str]:
        return environment(overlays, {"XDG_CACHE_HOME": str(self.cache)})


@pytest.fixture(scope="session")
def llm(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def write_distribution(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, str, str], Path]:
    """Write the source of a distribution of one module: `(name, plugin, body) -> folder`."""

    def write(name: str, plugin: str, body: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        module = f"{name.replace('-', '_')}_module"
        text = PYPROJECT.format(name=name, plugin=plugin, module=module)
        (folder / "pyproject.toml").write_text(text, encoding="utf-8")
        (folder / f"{module}.py").write_text(body, encoding="utf-8")
        return folder

    return write


@pytest.fixture(scope="session")
def install_apart(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Sequence[Path], Path | None], Path]:
    """Install distributions with pip, offline, into a folder for PYTHONPATH, new by default.

    A distribution is given as its wheel, or as its source, which is built.
    """

    def install(sources: Sequence[Path], folder: Path | None = None) -> Path:
        folder = folder or tmp_path_factory.mktemp("overlay")
        pip("install", "--target", str(folder), *map(str, sources))
        return folder

    return install


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of the core and of every first-party plugin, by distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    packages = [ROOT / "core", *sorted(ROOT.glob("plugins/*_plugin"))]
    pip("wheel", "--wheel-dir", str(folder), *map(str, packages))
    return {wheel.name.partition("-")[0].replace("_", "-"): wheel for wheel in folder.glob("*.whl")}


def pip(verb: str, *arguments: str) -> None:
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", verb, *options, *arguments]
    subprocess.run(command, check=True, timeout=300)
