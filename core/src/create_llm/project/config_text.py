"""llm.toml as text: the values in the order given, each key under a comment that explains it."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence

from create_llm.config.values import KeyPath

WIDTH = 98
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def config_text(
    values: Mapping[str, object], describe: Callable[[KeyPath], str], header: str
) -> str:
    """The file's text.

    Args:
        values: nested tables of strings, numbers, booleans and lists of them.
        describe: a key's path to its comment; empty for none.
        header: the comment at the top.
    """
    blocks = [_comment(header), *_blocks(values, (), describe)]
    return "\n\n".join(blocks) + "\n"


def _blocks(
    table: Mapping[str, object], path: KeyPath, describe: Callable[[KeyPath], str]
) -> Iterator[str]:
    """A table's own keys, then each table in it: the order in which TOML can be read."""
    lines = []
    for key, value in table.items():
        if not isinstance(value, Mapping):
            comment = _comment(describe((*path, key)))
            lines.extend([comment] if comment else [])
            lines.append(f"{_key(key)} = {_literal(value)}")
    if lines:
        header = [f"[{'.'.join(map(_key, path))}]"] if path else []
        yield "\n".join([*header, *lines])
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _blocks(value, (*path, key), describe)


def _comment(text: str) -> str:
    wrapped = (textwrap.fill(line, WIDTH - 2) for line in text.splitlines())
    return textwrap.indent("\n".join(wrapped), "# ", lambda _: True) if text else ""


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _literal(name)


def _literal(value: object) -> str:
    if isinstance(value, str):
        # JSON's strings are TOML's, but for DEL, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_literal, value))}]"
    raise TypeError(f"llm.toml cannot hold {value!r}")
