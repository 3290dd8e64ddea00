"""What the pages of docs/ hold for tests to try: files, each under its name, and commands."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_FILE = re.compile(r"^\*\*`([^`\n]+)`\*\*\n\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files_in(text: str) -> dict[str, str]:
    """Path → content of each file that a page shows; what it adds later stands below."""
    files: dict[str, str] = {}
    for path, block in _FILE.findall(text):
        files[path] = f"{files[path]}\n\n{block}" if path in files else block
    return files


def steps_in(text: str) -> list[tuple[str, str]]:
    """The files, as ("path", block), and the shell blocks, as ("", block), in their order."""
    found = [(m.start(), m[1], m[2]) for m in _FILE.finditer(text)]
    found += [(m.start(), "", m[1]) for m in _SHELL.finditer(text)]
    return [(path, block) for _, path, block in sorted(found)]


def write_files(files: dict[str, str], folder: Path) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
