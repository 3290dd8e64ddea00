"""This environment's pip: what it is asked, and what its failures mean."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from create_llm.errors import NetworkError, PluginError

# -P: a pip.py in the folder is not pip.
PIP = (sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "--no-input")

# What pip prints when the index was out of reach; its exit code is 1 for everything.
_NETWORK_TROUBLE = re.compile(
    r"connection broken by|Could not fetch URL|ConnectionError|ConnectTimeout|ReadTimeout"
    r"|NameResolutionError|ProxyError|HTTP error 5\d\d",
)

_ERROR = "ERROR:"
# Every version of a package that pip did not take, hundreds of some; the newest come last.
_VERSIONS = re.compile(r"(?<=: )(?:(?:[^:,;]|[,;](?! ))+[,;] ){4,}(?=.+?[,;] )")

# One line for each package that is there, some thirty of them before the line that matters.
_NOTHING_DONE = "Requirement already satisfied:"


def run_pip(arguments: list[str], folder: Path) -> None:
    """Run this environment's pip, showing on stderr what it does and what goes wrong.

    Raises:
        NetworkError: the package index was out of reach.
        PluginError: pip is missing, or refused.
    """
    import subprocess

    lines = []
    with subprocess.Popen(
        [*PIP, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            if not line.startswith(_NOTHING_DONE):
                click.echo(_shortened(line), nl=False, err=True)
    if process.returncode:
        raise _pip_error("".join(lines))


def install_with_pip(arguments: Sequence[str], folder: Path) -> list[str]:
    """Install with pip; returns the names of the distributions that it put in place.

    Raises:
        NetworkError: the package index was out of reach.
        PluginError: pip is missing, or refused.
    """
    import json
    import tempfile

    with tempfile.TemporaryDirectory(prefix="llm-plugins-install-") as temporary:
        report = Path(temporary) / "report.json"
        run_pip(["install", "--report", str(report), *arguments], folder)
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    return [item["metadata"]["name"] for item in installed]


def is_satisfied(requirements: Sequence[str]) -> bool:
    """Whether this environment has all of these already, as pip judges it without a network."""
    import subprocess

    asked = [*PIP, "install", "--dry-run", "--no-index", "--no-deps", "--", *requirements]
    answer = subprocess.run(asked, capture_output=True, text=True, errors="replace", check=False)
    return answer.returncode == 0 and "Would install" not in answer.stdout


def _shortened(line: str) -> str:
    return _VERSIONS.sub("… ", line) if line.startswith(_ERROR) else line


def _pip_error(output: str) -> NetworkError | PluginError:
    if "No module named pip" in output:
        return PluginError(
            "this environment has no pip",
            where=sys.executable,
            fixes=("add it: python -m ensurepip", "or use the tool that made the environment"),
        )
    if _NETWORK_TROUBLE.search(output):
        return NetworkError(
            "pip could not reach the package index",
            fixes=(
                "check the connection and the proxy, then run it again",
                "or install from a file: llm plugins install ./plugin.whl",
            ),
        )
    errors = [line for line in output.splitlines() if line.startswith(_ERROR)]
    last = _shortened(errors[-1]).removeprefix(_ERROR).strip() if errors else "its output is above"
    return PluginError(
        f"pip failed: {last}",
        fixes=(
            "check the spelling; a name that is not first-party is given to pip as it is",
            "see what is installed: llm plugins list",
        ),
    )
