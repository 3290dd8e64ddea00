"""Reading a .env file: one NAME=value a line, as python-dotenv and shells write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from create_llm.config.toml_file import read_bounded

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)
_QUOTED = re.compile(r"""(["'])(.*)\1\s*(?:\#.*)?""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Variable:
    """A value of .env and its line; kept out of `repr`, because most of them are secrets."""

    value: str
    line: int

    def __repr__(self) -> str:
        return f"Variable(line={self.line})"


def read_dotenv(path: Path) -> dict[str, Variable]:
    """The variables of a .env file; the last one of a name counts.

    Nothing is expanded. A line that is not NAME=value is left alone, as shells' own readers do.
    A folder called .env (a common place for a virtual environment) is no file, so holds nothing.

    Raises:
        ConfigError: the file is larger than a configuration is.
        StorageError: it cannot be read.
    """
    if not path.is_file():
        return {}
    text = read_bounded(path).decode("utf-8", "surrogateescape")
    variables: dict[str, Variable] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        match = _LINE.fullmatch(line.strip())
        if match:
            variables[match.group(1)] = Variable(_unquoted(match.group(2)), number)
    return variables


def _unquoted(value: str) -> str:
    quoted = _QUOTED.fullmatch(value)
    if quoted:
        return quoted.group(2)
    return re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()
