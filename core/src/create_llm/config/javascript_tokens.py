"""The words of a JavaScript text: strings, numbers, names and signs, without comments.

Nothing here knows what the words mean; javascript.py does.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal, cast

from create_llm.errors import ConfigError

MAX_TOKENS = 100_000
"""Far above what a person writes; a configuration has a few hundred."""

Kind = Literal["string", "template", "number", "name", "regex", "sign", "end"]

_QUOTED = r""" "(?:[^"\\\n]|\\.)*+" | '(?:[^'\\\n]|\\.)*+' """
_TOKEN = re.compile(
    rf"""
    (?P<space> [\s\ufeff]++ | //[^\n\u2028\u2029]*+ | /\*.*?\*/ )
  | (?P<string> {_QUOTED} )
  | (?P<number> 0[xXoObB][\w$]*+ | (?:[0-9]|\.[0-9])(?:[eE][+-]|[\w.$])*+ )
  | (?P<name> (?:[^\W\d]|\$)[\w$]*+ )
  | (?P<sign> => | \.\.\. | \?\. | \*\* | \+\+ | -- | [-+*/%=<>!&|^~?:;,.(){{}}\[\]@\#] )
    """,
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/(?:[^/\\\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n])*+\])++/[\w$]*+")
_IN_TEMPLATE = re.compile(r"\\.|\$\{|`", re.DOTALL)
# An unclosed comment takes the rest: to look for the end of each would take the square of the time.
_IN_SUBSTITUTION = re.compile(
    rf"{_QUOTED} | //[^\n]*+ | /\*(?:.*?\*/|.*) | [`{{}}]", re.VERBOSE | re.DOTALL
)
_BEFORE_REGEX = {"return", "typeof", "case", "in", "of", "new", "delete", "void"}

_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_DECIMAL = re.compile(
    rf"(?:(?:0|[1-9][0-9]*(?:_[0-9]+)*)(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?"
)
_PREFIXED = re.compile(
    r"0(?:[xX][0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|[oO][0-7]+(?:_[0-7]+)*|[bB][01]+(?:_[01]+)*)"
)
_MOST_DIGITS = 400
"""A number with more is beyond the largest that JavaScript has (1.8e308), or cannot be meant."""

_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]+)\}|(0[0-9]|.))", re.DOTALL
)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_CONTINUED = ("\n", "\u2028", "\u2029")


@dataclass(frozen=True, slots=True)
class Token:
    """One word as it is written; `fresh` means that it is the first of its line."""

    kind: Kind
    text: str
    offset: int
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file, both counted from 1; the column in characters."""

    line: int
    column: int


class SourceText:
    """A text with a name, which says where in it something is wrong."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(self, offset: int) -> Place:
        line = bisect_right(self._starts, offset)
        return Place(line, offset - self._starts[line - 1] + 1)

    def label(self, offset: int) -> str:
        """`file:line:column`."""
        place = self.place(offset)
        return f"{self.name}:{place.line}:{place.column}"

    def error(self, what: str, offset: int, *fixes: str) -> ConfigError:
        return ConfigError(what, where=self.label(offset), fixes=fixes)


def printable(text: str) -> str:
    """A text without line ends, control characters and signs that turn the writing direction."""
    return "".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in text)


def tokens_of(source: SourceText) -> list[Token]:
    """All words, and one of kind "end".

    Raises:
        ConfigError: text or a comment that is not closed, a character that JavaScript has not.
    """
    tokens: list[Token] = []
    at, fresh = 0, True
    while at < len(source.text):
        match = _TOKEN.match(source.text, at)
        if match and match.lastgroup == "space":
            fresh = fresh or "\n" in match.group()
            at = match.end()
            continue
        token = _special(source, at, tokens, fresh) or (
            Token(cast(Kind, match.lastgroup), match.group(), at, fresh) if match else None
        )
        if token is None:
            raise _not_a_word(source, at)
        if len(tokens) == MAX_TOKENS:
            raise source.error(
                f"the file has more than {MAX_TOKENS:,} words", at, "texts belong in data/raw"
            )
        tokens.append(token)
        at, fresh = at + len(token.text), False
    return [*tokens, Token("end", "", len(source.text), fresh=True)]


def _special(source: SourceText, at: int, before: list[Token], fresh: bool) -> Token | None:
    """The word that begins here, where more than the word itself has to be looked at."""
    text = source.text
    if text.startswith("/*", at):  # a closed one has been stepped over
        raise source.error(
            "this comment is not closed", at, "write */ where it ends", "or begin it with //"
        )
    if text[at] == "`":
        end = _template_end(text, at)
        if end is None:
            raise source.error(
                "the text that begins here is not closed", at, "write ` where it ends"
            )
        return Token("template", text[at:end], at, fresh)
    if text[at] == "/" and _regex_may_follow(before):
        match = _REGEX.match(text, at)
        if match is None:
            raise source.error("this regular expression is not closed", at, "write / where it ends")
        return Token("regex", match.group(), at, fresh)
    return None


def _regex_may_follow(before: list[Token]) -> bool:
    """Whether a slash here begins a regular expression rather than a division."""
    if not before:
        return True
    last = before[-1]
    if last.kind == "sign":
        return last.text not in (")", "]", "}", "++", "--")
    return last.kind == "name" and last.text in _BEFORE_REGEX


def _template_end(text: str, start: int) -> int | None:
    """Where the template string that begins at `start` ends; None if it does not."""
    # The innermost last: -1 for text, else how many braces are open in a ${substitution}.
    modes, at = [-1], start + 1
    while modes:
        match = (_IN_TEMPLATE if modes[-1] < 0 else _IN_SUBSTITUTION).search(text, at)
        if match is None:
            return None
        at = match.end()
        match match.group(), modes[-1]:
            case ("`", -1) | ("}", 0):
                modes.pop()
            case "${", -1:
                modes.append(0)
            case "`", _:
                modes.append(-1)
            case ("{" | "}") as brace, depth if depth >= 0:
                modes[-1] += 1 if brace == "{" else -1
    return at


def _not_a_word(source: SourceText, at: int) -> ConfigError:
    character = source.text[at]
    if character in "\"'":
        return source.error(
            "the text that begins here is not closed on its line",
            at,
            f"write {character} where it ends",
            "a backslash at the end of a line, or `…`, makes a text of several lines",
        )
    fix = "write straight quotes: '" if character in "‘’“”" else "remove it"
    return source.error(f"the character '{printable(character)}' cannot stand here", at, fix)


def number_of(source: SourceText, token: Token) -> int | float:
    """The number that a word stands for.

    Raises:
        ConfigError: it is none.
    """
    raw = token.text.removesuffix("n")
    if len(raw) > _MOST_DIGITS:
        raise source.error("this number is too long", token.offset, "shorten it")
    if _PREFIXED.fullmatch(raw):
        return int(raw, 0)
    if not _DECIMAL.fullmatch(raw):
        raise source.error(
            f"'{raw[:20]}' is not a number",
            token.offset,
            "numbers look like 32, 1_000, 0.1, 3e-4 or 0x20",
            "text needs quotes",
        )
    plain = raw.replace("_", "")
    return int(plain) if plain.isdigit() else float(plain)


def text_of(source: SourceText, token: Token) -> str:
    """What a quoted word says, its escapes resolved.

    Raises:
        ConfigError: an escape that JavaScript has not.
    """
    inner = token.text[1:-1]
    if "\\" not in inner:
        return inner
    resolved = _ESCAPE.sub(lambda match: _resolved(source, token, match), inner)
    # A character beyond U+FFFF may be written as two halves, as in JSON.
    return resolved.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _resolved(source: SourceText, token: Token, match: re.Match[str]) -> str:
    *codes, other = match.groups()
    code = next((int(digits, 16) for digits in codes if digits), None)
    if code is not None and code <= 0x10FFFF:
        return chr(code)
    if code is not None or len(other) > 1 or other in "xu123456789":
        raise source.error(
            f"'{match.group()[:12]}' stands for no character",
            token.offset + 1 + match.start(),
            "write \\n, \\t, \\x41 or \\u0041, and \\\\ for a backslash",
        )
    return "" if other in _CONTINUED else _SIMPLE.get(other, other)


def has_substitution(token: Token) -> bool:
    """Whether a template string holds a ${…}, which JavaScript would have to compute."""
    return any(match.group() == "${" for match in _IN_TEMPLATE.finditer(token.text, 1))
