"""The values of a JavaScript text: what is plain data, and what would have to be run."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from create_llm.config.javascript_tokens import (
    SourceText,
    Token,
    has_substitution,
    number_of,
    printable,
    text_of,
    tokens_of,
)
from create_llm.config.toml_file import MAX_KEYS
from create_llm.config.values import KeyPath
from create_llm.errors import ConfigError

MAX_DEPTH = 32
"""Levels of brackets; a configuration has three."""

Calculate = Callable[[int | float, int | float], int | float]

_CLOSING = {"{": "}", "[": "]", "(": ")"}
_AFTER_VALUE = (",", ";", *_CLOSING.values())
_LITERALS = {"true": True, "false": False, "null": None, "undefined": None}
_SUMS: Mapping[str, Calculate] = {"+": operator.add, "-": operator.sub}
_PRODUCTS: Mapping[str, Calculate] = {"*": operator.mul, "/": operator.truediv}
_EXACT = 2**53
_GOES_ON = {".", "?.", "(", "[", "?", "=", "=>", *"+-*/%<>&|^", "**"}
"""Signs that continue an expression even at the beginning of a line."""


@dataclass(frozen=True, slots=True)
class Dynamic:
    """A value that only running the file could give; `reason` completes "it …"."""

    reason: str
    offset: int


class ValueReader:
    """Recursive descent over the words of a text.

    Attributes:
        offsets: where each value that was read begins.
        left_out: what is not plain data, by the key it would belong to.
        constants: names that stand for a plain value.
    """

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.tokens = tokens_of(source)
        self.at = 0
        self.offsets: dict[KeyPath, int] = {}
        self.left_out: list[tuple[KeyPath, Dynamic]] = []
        self.constants: dict[str, object] = dict(_LITERALS)
        self._keys = self._depth = 0

    def value(self, path: KeyPath, stops: Callable[[], bool] | None = None) -> object:
        """The value that begins here, or a `Dynamic`; the position is then behind it.

        Args:
            stops: where a statement that the value ends would end, if it ends one.
        """
        start, known = self.at, len(self.left_out)
        self.offsets[path] = self.now.offset
        value = self._chain(_SUMS, lambda: self._chain(_PRODUCTS, lambda: self._signed(path)))
        if self.at == start or not self.ends(statement=stops is not None):
            # What follows belongs to the value (`{…}.a`, `1 || 2`): look at it as a whole.
            self._check_comma(value)
            self.at = start
            self.skip(stops or self.ends)
            value = self._dynamic(start)
        if isinstance(value, Dynamic):
            del self.left_out[known:]
        return value

    def skip(self, stops: Callable[[], bool]) -> None:
        """Step over something, to where `stops` holds outside of all brackets.

        Raises:
            ConfigError: brackets do not match, or there is nothing to step over.
        """
        if self.ends():
            raise self.error(
                f"a value is expected here, not {_named(self.now)}",
                self.now,
                "write one, such as 12 or 'text', or remove what stands before it",
            )
        start, opened = self.at, list[Token]()
        while opened or self.at == start or not (self._closes() or stops()):
            if self._closes():
                self._check_pair(opened.pop(), self.next())
            elif self.next().text in _CLOSING:
                opened.append(self.tokens[self.at - 1])

    def ends(self, *, statement: bool = False, ahead: int = 0) -> bool:
        """Whether what was just read is complete; the end of a line may end a statement."""
        token = self.tokens[min(self.at + ahead, len(self.tokens) - 1)]
        if token.kind == "end" or token.text in _AFTER_VALUE:
            return True
        return statement and token.fresh and token.text not in _GOES_ON

    def _closes(self) -> bool:
        return self.now.kind == "end" or self.now.text in _CLOSING.values()

    @property
    def now(self) -> Token:
        return self.tokens[self.at]

    def next(self) -> Token:
        token = self.now
        self.at += token.kind != "end"
        return token

    def accept(self, text: str) -> bool:
        found = self.now.text == text
        self.at += found
        return found

    def error(self, what: str, token: Token, *fixes: str) -> ConfigError:
        return self.source.error(what, token.offset, *fixes)

    def _chain(self, signs: Mapping[str, Calculate], operand: Callable[[], object]) -> object:
        """Operands with signs between them, calculated from the left where they are numbers."""
        start = self.at
        value = operand()
        while self.now.text in signs:
            calculate = signs[self.next().text]
            other = operand()
            result = _calculated(calculate, value, other)
            if result is None:
                return self._dynamic(start)
            value = result
        return value

    def _signed(self, path: KeyPath) -> object:
        start, sign = self.at, 1
        while self.now.text in ("-", "+"):
            sign = -sign if self.next().text == "-" else sign
        signs = self.at - start
        value = self._primary(path)
        if signs == 0:
            return value
        return sign * value if _is_number(value) else self._dynamic(start)

    def _primary(self, path: KeyPath) -> object:
        token = self.now
        if token.text in _CLOSING:
            return self._bracketed(path)
        if token.kind == "number":
            return number_of(self.source, self.next())
        if token.kind == "string" or (token.kind == "template" and not has_substitution(token)):
            return text_of(self.source, self.next())
        start = self.at
        self.at += token.kind in ("name", "template", "regex")
        if token.kind == "name" and token.text in self.constants:
            return self.constants[token.text]
        return self._dynamic(start)

    def _bracketed(self, path: KeyPath) -> object:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.error(
                f"brackets are nested more than {MAX_DEPTH} deep",
                self.now,
                "a configuration needs three levels: { section: { key: [value] } }",
            )
        opening = self.now
        read = {"{": self._object, "[": self._list, "(": self._parenthesis}[opening.text]
        value = read(path)
        self._depth -= 1
        return value

    def _parenthesis(self, path: KeyPath) -> object:
        start = self.at
        self.skip(lambda: True)
        after = self.at
        if self.now.text == "=>":
            return self._dynamic(start)
        self.at = start + 1
        value = self.value(path)
        if self.at != after - 1:  # (first, second): a comma that only running it could resolve
            value = Dynamic("has to be computed", self.tokens[start].offset)
        self.at = after
        return value

    def _list(self, path: KeyPath) -> object:
        opening, items = self.next(), list[object]()
        while self.now.text != "]":
            items.append(self._item((*path, str(len(items)))))
            if not self.accept(","):
                break
        self._check_pair(opening, self.next())
        for number, item in enumerate(items, start=1):
            if isinstance(item, Dynamic):
                return Dynamic(f"is a list whose item {number} {item.reason}", item.offset)
        return items

    def _item(self, path: KeyPath) -> object:
        start = self.now
        if start.text == ",":
            return Dynamic("is missing", start.offset)
        if start.text == "...":
            self.skip(self.ends)
            return Dynamic("is a spread (...)", start.offset)
        return self.value(path)

    def _object(self, path: KeyPath) -> object:
        opening, table = self.next(), dict[str, object]()
        while self.now.text != "}":
            self._entry(path, table)
            if not self.accept(","):
                break
        self._check_pair(opening, self.next())
        return table

    def _entry(self, path: KeyPath, table: dict[str, object]) -> None:
        token = self.now
        if token.text in ("...", "[", "*"):
            self.skip(self.ends)
            what = "a spread (...)" if token.text == "..." else "a key that is computed"
            self.left_out.append((path, Dynamic(f"holds {what}", token.offset)))
            return
        full = (*path, self._key(self.next()))
        if full in self.offsets:
            raise self._twice(full, token)
        value = self._after_key(full, token)
        if isinstance(value, Dynamic):
            self.offsets[full] = value.offset
            self.left_out.append((full, value))
        else:
            table[full[-1]] = value

    def _key(self, token: Token) -> str:
        self._keys += 1
        if self._keys > MAX_KEYS:
            raise self.error(
                f"there are more than {MAX_KEYS:,} keys", token, "texts belong in data/raw"
            )
        if token.kind == "string":
            return text_of(self.source, token)
        if token.kind == "number":
            return str(number_of(self.source, token))
        if token.kind == "name":
            return token.text
        raise self.error(
            f"a key is expected here, not {_named(token)}",
            token,
            "keys look like layers or 'layers'; a colon and the value follow",
        )

    def _after_key(self, full: KeyPath, token: Token) -> object:
        """What follows a key: a value, the body of a function, or nothing (`{ model }`)."""
        start = self.at - 1
        if self.accept(":"):
            if full[-1] != "__proto__":
                return self.value(full)
            self.skip(self.ends)
            return Dynamic("says what an object inherits, which is no setting", token.offset)
        if self.now.text == "(" or token.text in ("get", "set", "async", "static"):
            self.skip(self.ends)
            return Dynamic("is a function", token.offset)
        if token.kind == "name" and self.now.text in (",", "}"):
            self.offsets[full] = token.offset
            return self.constants.get(token.text, self._dynamic(start))
        raise self.error(
            f"a colon is expected after {_named(token)}, not {_named(self.now)}",
            self.now,
            "write a setting as key: value",
        )

    def _dynamic(self, start: int) -> Dynamic:
        tokens = self.tokens[start : max(self.at, start + 1)]
        return Dynamic(_reason(tokens), tokens[0].offset)

    def _check_comma(self, value: object) -> None:
        follows = self.now.kind in ("name", "string", "number")
        if isinstance(value, Dynamic) or not follows or self.now.text in ("in", "instanceof", "as"):
            return
        raise self.error(
            f"a comma is missing before {_named(self.now)}",
            self.now,
            "separate settings with commas: { layers: 12, heads: 8 }",
        )

    def _check_pair(self, opening: Token, token: Token) -> None:
        closing = _CLOSING[opening.text]
        if token.kind == "end":
            what = f"this {opening.text} is not closed"
            raise self.error(what, opening, f"write {closing} where it ends")
        if token.text != closing:
            line = self.source.place(opening.offset).line
            raise self.error(
                f"a comma or {closing} is expected here, not {_named(token)}",
                token,
                f"close the {opening.text} of line {line}",
            )

    def _twice(self, full: KeyPath, token: Token) -> ConfigError:
        line = self.source.place(self.offsets[full]).line
        return self.error(
            f"the key {_named(token)} is written twice, in line {line} too",
            token,
            "keep one of the two (JavaScript takes the last)",
        )


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _calculated(calculate: Calculate, value: object, other: object) -> int | float | None:
    """The result as JavaScript's 64-bit numbers give it; None if there is none."""
    if not (_is_number(value) and _is_number(other)):
        return None
    try:
        result = calculate(value, other)
        return result if abs(result) < _EXACT else float(result)
    except ArithmeticError:
        return None


def _named(token: Token) -> str:
    return f"'{printable(token.text[:30])}'" if token.text else "the end of the file"


def _reason(tokens: Sequence[Token]) -> str:
    """What a person would call these words; completes "it …"."""
    words = [token.text for token in tokens]
    if "=>" in words or words[0] in ("function", "async", "class"):
        return "is a function"
    if words[:4] == ["process", ".", "env", "."] and len(words) > 4:
        return f"comes from the environment variable {words[4][:60]}"
    if "require" in words or "import" in words:
        return "comes from another file"
    if len(words) == 1 and tokens[0].kind == "name":
        return f"is the name '{words[0][:60]}', which stands for no plain value here"
    if tokens[0].kind == "template" and len(words) == 1:
        return "is a text with ${…} in it"
    if tokens[0].kind == "regex":
        return "is a regular expression"
    return "has to be computed"
