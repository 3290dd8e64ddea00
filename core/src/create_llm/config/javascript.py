"""Reading llm.config.js: data, never code.

The file is read by a small parser of our own and never run. Of the packages that read JavaScript,
json5, pyjson5 and chompjs take data only: they stop at the first expression, or (chompjs) pass it
off as text, and say of no value where it stands; esprima knows no `??` and no 1_000, and both it
and json5 answer deep nesting with a RecursionError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from create_llm.config.javascript_tokens import Place, SourceText
from create_llm.config.javascript_values import Dynamic, ValueReader
from create_llm.config.toml_file import read_bounded
from create_llm.config.values import KeyPath
from create_llm.errors import ConfigError

_EXPORTS = (("module", ".", "exports", "="), ("export", "default"))
_DECLARE = ("const", "let", "var")
_DEFINE = ("function", "async", "class", "import", "export")


@dataclass(frozen=True, slots=True)
class Skipped:
    """What is not plain data; `reason` completes "it …". No path: it stands outside the object."""

    path: KeyPath
    place: Place
    reason: str


@dataclass(frozen=True, slots=True)
class StaticData:
    """What a file says without being run.

    Attributes:
        table: nested dicts and lists of text, numbers, booleans and None (null, undefined).
        places: where each value stands; the items of a list go by "0", "1", ….
        skipped: what only running the file could tell, in the order of the file.
    """

    name: str
    table: dict[str, object]
    places: Mapping[KeyPath, Place]
    skipped: tuple[Skipped, ...]


def read_static(path: Path) -> StaticData:
    """The settings that a JavaScript or JSON file exports, as far as they are plain data.

    Raises:
        ConfigError: too large, not UTF-8, not JavaScript, or it exports no object; says where.
        StorageError: the file cannot be read.
    """
    return parse_static(_decoded(read_bounded(path), path.name), path.name)


def parse_static(text: str, name: str) -> StaticData:
    """The same for a text; `name` is what messages call it.

    Raises:
        ConfigError: as `read_static`.
    """
    source = SourceText(name, text.replace("\r\n", "\n").replace("\r", "\n"))
    reader = _FileReader(source)
    table = reader.file()
    places = {path: source.place(offset) for path, offset in reader.offsets.items()}
    skipped = [
        Skipped(path, source.place(found.offset), found.reason) for path, found in reader.left_out
    ]
    return StaticData(name, table, places, tuple(skipped))


def _decoded(content: bytes, name: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise ConfigError(
            f"{name} is not UTF-8 text: it is UTF-16, or no text at all",
            where=f"{name}:1:1",
            fixes=("save it as UTF-8 in your editor", "check that it is the file you mean"),
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8").removeprefix("\ufeff")
        raise SourceText(name, before).error(
            f"{name} is not UTF-8 text: byte 0x{error.object[error.start]:02x}",
            len(before),
            "save it as UTF-8 in your editor",
        ) from error


class _FileReader(ValueReader):
    """The statements around the object: what is exported, and constants it may name."""

    def __init__(self, source: SourceText) -> None:
        super().__init__(source)
        self._declared: dict[str, int] = {}
        self._exported: object = None

    def file(self) -> dict[str, object]:
        """The object that the file exports, or (JSON) is."""
        if self.now.text == "{":
            self._exported = self.value((), self._between_statements)
            if self.now.kind != "end":
                raise self.error(
                    "the file goes on after its object has ended",
                    self.now,
                    "check the brackets before this place",
                )
        while self.now.kind != "end":
            self._statement()
        if isinstance(self._exported, dict):
            return self._exported
        raise self._no_object()

    def _statement(self) -> None:
        start = self.now
        if self.accept(";") or self._directive():
            return
        if start.text in _DECLARE:
            self._declaration()
        elif self._export():
            if self._exported is not None:
                raise self.error("the settings are exported twice", start, "keep one of the two")
            self._exported = self._exported_value()
        else:
            self.skip(self._between_statements)
            if start.text not in _DEFINE:
                self.left_out.append(((), Dynamic("is a statement, to be run", start.offset)))

    def _directive(self) -> bool:
        """Step over 'use strict'."""
        is_one = self.now.kind == "string" and self.ends(statement=True, ahead=1)
        self.at += is_one
        return is_one

    def _export(self) -> bool:
        """Step over what stands before the exported value, if this statement exports one."""
        for words in _EXPORTS:
            if tuple(t.text for t in self.tokens[self.at : self.at + len(words)]) == words:
                self.at += len(words)
                return True
        return False

    def _exported_value(self) -> object:
        declared = self._declared.get(self.now.text)
        if declared is None or not self.ends(statement=True, ahead=1):
            return self.value((), self._between_statements)
        after, self.at = self.at + 1, declared
        value = self.value((), self._between_statements)
        self.at = after
        return value

    def _declaration(self) -> None:
        """`const a = 1, b = {…};`: keeps constants, and where objects begin."""
        keyword = self.next()
        while self.now.kind == "name":
            name = self.next().text
            if self.accept("="):
                self._declared[name] = self.at
                if keyword.text == "const" and self.now.text not in ("{", "["):
                    self._constant(name)
                else:
                    self.skip(self._between_declarations)
            if not self.accept(","):
                return
        self.skip(self._between_statements)  # a pattern: const { join } = require("path")

    def _constant(self, name: str) -> None:
        # What cannot be read of it matters only where the name is used.
        offsets, left_out = self.offsets, self.left_out
        self.offsets, self.left_out = {}, []
        value = self.value((), self._between_declarations)
        self.offsets, self.left_out = offsets, left_out
        if not isinstance(value, Dynamic | dict | list):
            self.constants[name] = value

    def _between_statements(self) -> bool:
        return self.now.text == ";" or (self.now.fresh and self._begins_statement())

    def _begins_statement(self) -> bool:
        """Whether a word on a line of its own begins one, though no semicolon ended the last."""
        if self.now.text in (*_DECLARE, *_DEFINE, "module", "exports"):
            return True
        last = self.tokens[self.at - 1]
        ended = last.text in (")", "]", "}") or last.kind in ("number", "string", "template")
        return self.now.kind == "name" and (ended or last.kind == "name")

    def _between_declarations(self) -> bool:
        return self.now.text == "," or self._between_statements()

    def _no_object(self) -> ConfigError:
        what, offset = "exports no settings", 0
        if isinstance(self._exported, Dynamic):
            what, offset = f"exports something that {self._exported.reason}", self._exported.offset
        elif self._exported is not None:
            what, offset = "exports a value where an object is needed", self.offsets[()]
        return self.source.error(
            f"{self.source.name} {what}, and it is read, never run",
            offset,
            "write its settings as plain data: module.exports = { model: { … }, … };",
            "or start afresh with llm new, and copy the values into its llm.toml",
        )
