"""Looking for secrets in what is about to be published."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from create_llm.config.dotenv import read_dotenv
from create_llm.errors import DataError
from create_llm.project.folder import project_around

_KINDS = {
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}",
    "an API key of OpenAI's form": r"\bsk-[A-Za-z0-9_-]{20,}",
    "a Groq key": r"\bgsk_[A-Za-z0-9]{30,}",
    "a Replicate token": r"\br8_[A-Za-z0-9]{30,}",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})",
    "an AWS access key": r"\bAKIA[A-Z0-9]{16}\b",
    "a Google API key": r"\bAIza[A-Za-z0-9_-]{35}",
    "a Slack token": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "an address with a password": r"\bhttps?://[^\s/:@\"]+:[^\s/@\"]+@",
}
_PATTERN = re.compile("|".join(f"({pattern})" for pattern in _KINDS.values()))
_SECRET_NAME = re.compile(r"(^|_)(TOKEN|KEY|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_SHORTEST = 12
"""Shorter values of the environment would be found in any vocabulary."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A secret of this machine; kept out of `repr`."""

    name: str
    value: str

    def __repr__(self) -> str:
        return f"_Known({self.name})"


def refuse_secrets(files: Sequence[Path]) -> None:
    """Look for what has the form of a key, and for the secrets of the environment and of the .env
    of the project around the current folder.

    Args:
        files: texts.

    Raises:
        DataError: there is one; says where, and never what.
    """
    known = list(_known())
    for path in files:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                what = _found(line, known)
                if what is not None:
                    raise _refusal(what, path, number)


def _known() -> Iterator[_Known]:
    project = project_around(Path.cwd())
    variables = read_dotenv(project.root / ".env") if project else {}
    values = {name: variable.value for name, variable in variables.items()}
    for name, value in {**values, **os.environ}.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST:
            yield _Known(name, value)


def _found(line: str, known: Sequence[_Known]) -> str | None:
    match = _PATTERN.search(line)
    if match is not None and match.lastindex is not None:
        return list(_KINDS)[match.lastindex - 1]
    return next((f"the value of {each.name}" for each in known if each.value in line), None)


def _refusal(what: str, path: Path, line: int) -> DataError:
    return DataError(
        f"there is {what} in what would be published; nothing was sent",
        where=f"{path}:{line}",
        fixes=(
            "take it out of that file",
            "if it has ever been sent anywhere, take it back at the service that gave it",
        ),
    )
