"""The commands of other programs."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from create_llm.errors import PluginError


def run(
    command: Sequence[str], where: Path, fixes: tuple[str, ...], cwd: Path | None = None
) -> None:
    """
    Args:
        command: a program's path, its verb and what it takes.
        where: what the verb is about, for the error.

    Raises:
        PluginError: it failed; with the last line that it wrote, and `fixes`.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it does not say why"]
        name = f"{Path(command[0]).stem} {command[1]}"
        raise PluginError(f"{name} failed: {said[-1]}", where=str(where), fixes=fixes)
