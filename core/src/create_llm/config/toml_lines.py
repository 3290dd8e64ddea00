"""The line of each key of a TOML text, which tomllib does not tell.

Scans a text that tomllib has already accepted, so it need not judge what it sees: it finds where
statements begin and end, and leaves the spelling of keys to tomllib itself.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

from create_llm.config.values import KeyPath

_TOKEN = re.compile(
    r"""
    (?P<string> \"{3}(?:\\.|[^\\])*?\"{3,5} | '{3}.*?'{3,5} | \"(?:\\.|[^\"\\\n])*\" | '[^'\n]*' )
  | (?P<comment> \#[^\n]* ) | (?P<newline> \n ) | (?P<equals> = )
  | (?P<open> [\[{] ) | (?P<close> [\]}] )
  | (?P<other> [^\"'\#\n=\[\]{}]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_BARE = re.compile(r"\s*([A-Za-z0-9_-]+)\s*")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The first line, from 1, of each header and each key; keys in inline tables are left out."""
    lines: dict[KeyPath, int] = {}
    section: KeyPath = ()
    for line, statement, equals in _statements(text):
        if equals is None:
            section = _key_path(statement)
            lines.setdefault(section, line)
        else:
            lines.setdefault((*section, *_key_path(statement[:equals] + "= 0")), line)
    return lines


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """The line of a key, or of the nearest thing around it that has one."""
    found = (lines[path[:size]] for size in range(len(path), 0, -1) if path[:size] in lines)
    return next(found, 1)


def _statements(text: str) -> Iterator[tuple[int, str, int | None]]:
    """Each statement's first line, its text, and where in it the equals sign of a key stands."""
    line = depth = start = 0
    equals: int | None = None
    for token in _TOKEN.finditer(text + "\n"):
        kind = token.lastgroup
        depth += (kind == "open") - (kind == "close")
        if kind == "equals" and depth == 0 and equals is None:
            equals = token.start() - start
        if kind == "newline" and depth == 0:
            statement = text[start : token.start()]
            if statement.strip() and not statement.lstrip().startswith("#"):
                yield line - statement.count("\n") + 1, statement, equals
            start, equals = token.end(), None
        line += token.group().count("\n")


def _key_path(statement: str) -> KeyPath:
    """The path that `a."b.c" = 0`, `[a."b.c"]` or `[[a."b.c"]]` names."""
    bare = _BARE.fullmatch(statement.removesuffix("= 0"))
    if bare:
        return (bare.group(1),)
    path: list[str] = []
    value: object = tomllib.loads(statement)
    while isinstance(value, dict | list) and value:
        if isinstance(value, dict):
            path.append(next(iter(value)))
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    return tuple(path)
