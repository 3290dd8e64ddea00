"""Reading llm.toml: data, never code."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from create_llm.config.toml_lines import key_lines, line_of
from create_llm.config.values import Entries, KeyPath, Layer, Source, Value, leaves
from create_llm.errors import ConfigError, StorageError

MAX_BYTES = 1_000_000
MAX_KEYS = 10_000
"""Far above what a person writes; below what would keep a computer busy for minutes."""

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_TWICE = ("Cannot overwrite", "Cannot declare", "Cannot mutate", "Cannot redefine")


@dataclass(frozen=True, slots=True)
class TomlFile:
    """The values of a TOML file, and the line of each of its headers and keys."""

    name: str
    entries: Entries = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str | None:
        """`file:line` of a header or key that stands in the file."""
        return f"{self.name}:{self.lines[path]}" if path in self.lines else None


def read_toml(path: Path) -> TomlFile:
    """A TOML file; an empty one if there is none.

    Raises:
        ConfigError: too large, not UTF-8, or not TOML; says on which line.
        StorageError: the file cannot be read.
    """
    if not path.exists():
        return TomlFile(path.name)
    text = _text(path)
    table = _parse(text, path.name)
    lines = key_lines(text)
    if len(lines) > MAX_KEYS:
        raise _too_large(path, f"has more than {MAX_KEYS:,} keys")
    entries = {
        key: Value(value, Source(f"{path.name}:{line_of(lines, key)}", Layer.FILE))
        for key, value in leaves(table)
    }
    return TomlFile(path.name, entries, lines)


def read_bounded(path: Path) -> bytes:
    """The bytes of a configuration file.

    Raises:
        ConfigError: it is larger than any configuration is.
        StorageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StorageError(
            f"{path.name} cannot be read: {error.strerror or error}",
            where=str(path),
            fixes=("check that it is a file", f"check who may read it: ls -l {path.name}"),
        ) from error
    if len(content) > MAX_BYTES:
        raise _too_large(path, f"is larger than {MAX_BYTES // 1_000_000} MB")
    return content


def _too_large(path: Path, how: str) -> ConfigError:
    return ConfigError(
        f"{path.name} {how}",
        where=str(path),
        fixes=("keep data out of it: texts belong in data/raw",),
    )


def _text(path: Path) -> str:
    try:
        # Editors on Windows may begin a file with a byte order mark, which TOML does not allow.
        text = read_bounded(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path.name} is not UTF-8 text",
            where=f"{path.name}:{line}",
            fixes=("save it as UTF-8 in your editor",),
        ) from error
    return text.replace("\r\n", "\n")


def _parse(text: str, name: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise _syntax_error("values are nested too deeply", name) from error
    except ValueError as error:
        place = _PLACE.search(str(error))
        reason = str(error)[: place.start()] if place else str(error)
        last_line = text.count("\n") + 1
        line = int(place.group(1)) if place and place.group(1) else last_line if place else None
        raise _syntax_error(reason, f"{name}:{line}" if line else name) from error


def _syntax_error(reason: str, where: str) -> ConfigError:
    if reason.startswith(_TWICE):
        return ConfigError(
            f"a key or a section is given twice ({reason})",
            where=where,
            fixes=("keep one of the two", "write each [section] once, with all of its keys"),
        )
    return ConfigError(
        f"this is not TOML: {reason[:1].lower()}{reason[1:]}",
        where=where,
        fixes=(
            'text needs quotes and numbers do not: name = "gpt", batch_size = 32',
            "each key stands on its own line, below the [section] it belongs to",
        ),
    )
