"""The command line as a user runs it, and distributions that are really installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

Result = subprocess.CompletedProcess[str]

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

# What a test process must not inherit from the shell it runs in.
FOREIGN = ("CREATE_LLM_", "PIP_", "PYTHONPATH", "NO_COLOR", "FORCE_COLOR")


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
        program = "from create_llm.cli import main; main()"
        return subprocess.run(
            [str(python), "-c", program, *arguments],
            cwd=cwd or self.cache,
            env=self.environment(overlays) | dict(env or {}),
            capture_output=True,
            text=True,
            timeout=300,
        )

    def environment(self, overlays: Sequence[Path] = ()) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        path = os.pathsep.join(map(str, overlays))
        return kept | {"XDG_CACHE_HOME": str(self.cache), "PYTHONPATH": path}


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
        (folder / "pyproject.toml").write_text(text)
        (folder / f"{module}.py").write_text(body)
        return folder

    return write


@pytest.fixture(scope="session")
def install_apart(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Sequence[Path]], Path]:
    """Build and install distributions with pip, offline, into a folder for PYTHONPATH."""

    def install(sources: Sequence[Path]) -> Path:
        overlay = tmp_path_factory.mktemp("overlay")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
        options = ["--no-build-isolation", "--target", str(overlay)]
        subprocess.run([*pip, *options, *map(str, sources)], check=True, timeout=300)
        return overlay

    return install
