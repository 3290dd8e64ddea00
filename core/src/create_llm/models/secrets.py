"""Looking for secrets in what is about to be published."""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from create_llm.config.dotenv import read_dotenv
from create_llm.errors import DataError
from create_llm.project.folder import project_around

_KINDS = {
    "a Hugging Face token": rb"\bhf_[A-Za-z0-9]{30,}",
    "an API key of OpenAI's form": rb"\bsk-[A-Za-z0-9_-]{20,}",
    "a Groq key": rb"\bgsk_[A-Za-z0-9]{30,}",
    "a Replicate token": rb"\br8_[A-Za-z0-9]{30,}",
    "a GitHub token": rb"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})",
    "an AWS access key": rb"\bAKIA[A-Z0-9]{16}\b",
    "a Google API key": rb"\bAIza[A-Za-z0-9_-]{35}",
    "a Slack token": rb"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "a private key": rb"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "an address with a password": rb"\bhttps?://[^\s/:@\"]+:[^\s/@\"]+@",
}
_PATTERN = re.compile(b"|".join(b"(" + pattern + b")" for pattern in _KINDS.values()))
_SECRET_NAME = re.compile(r"(^|_)(TOKEN|KEY|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_SHORTEST = 12
"""Shorter values of the environment would be found in any vocabulary."""
_WEIGHTS = ".safetensors"
_LONGEST_HEADER = 100_000_000
"""As the format has it."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A secret of this machine; kept out of `repr`."""

    name: str
    value: bytes

    def __repr__(self) -> str:
        return f"_Known({self.name})"


def refuse_secrets(files: Iterable[Path], made: Mapping[str, bytes] | None = None) -> None:
    """Look for what has the form of a key, and for the secrets of the environment and of the .env
    of the project around the current folder.

    Args:
        files: text or not; of safetensors files the header, not the numbers.
        made: name → content of what is sent and is no file yet; archives are looked into.

    Raises:
        DataError: there is one; says where, and never what.
    """
    known = list(_known())
    for path in files:
        with path.open("rb") as file:
            _refuse(str(path), _lines(file, path.suffix), known)
    for name, data in (made or {}).items():
        for inner, content in _unpacked(name, data):
            _refuse(inner, io.BytesIO(content), known)


def _known() -> Iterator[_Known]:
    project = project_around(Path.cwd())
    variables = read_dotenv(project.root / ".env") if project else {}
    values = {name: variable.value for name, variable in variables.items()}
    for name, value in {**values, **os.environ}.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST:
            yield _Known(name, os.fsencode(value))


def _lines(file: BinaryIO, suffix: str) -> Iterable[bytes]:
    if suffix != _WEIGHTS:
        return file
    length = int.from_bytes(file.read(8), "little")
    return [file.read(min(length, _LONGEST_HEADER))]


def _unpacked(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """A content, or those of an archive, each with its name."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        yield name, data
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for inner in archive.namelist():
            yield f"{name}/{inner}", archive.read(inner)


def _refuse(place: str, lines: Iterable[bytes], known: Sequence[_Known]) -> None:
    for number, line in enumerate(lines, start=1):
        what = _found(line, known)
        if what is not None:
            raise DataError(
                f"there is {what} in what would be published; nothing was sent",
                where=f"{place}:{number}",
                fixes=(
                    "take it out of that file",
                    "if it has ever been sent anywhere, take it back at the service that gave it",
                ),
            )


def _found(line: bytes, known: Sequence[_Known]) -> str | None:
    match = _PATTERN.search(line)
    if match is not None and match.lastindex is not None:
        return list(_KINDS)[match.lastindex - 1]
    return next((f"the value of {each.name}" for each in known if each.value in line), None)
