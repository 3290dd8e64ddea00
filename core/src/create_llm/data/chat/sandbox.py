"""The Jinja of chat templates, as Hugging Face's `apply_chat_template` configures it.

A template may come from anybody. The sandbox keeps it away from Python's internals, and limits
keep it from running on or growing without end. They count turns and signs, not seconds, so that
a slow machine refuses no template that a fast one renders.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache, wraps
from inspect import unwrap
from types import GeneratorType
from typing import cast

from jinja2 import Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from create_llm.data.chat.counting import Counting
from create_llm.data.chat.sizes import (
    CALL,
    DECISION,
    FILTERS,
    LARGEST,
    METHODS,
    OF_COLLECTIONS,
    SIZED,
    extent,
    length,
    look_of_filter,
    percent,
    reading,
)
from create_llm.errors import DataError

MOST_SOURCE = 2**18
"""Characters of a template; the longest in use have some 20,000."""
MOST_TURNS = 200_000
"""Turns of all loops and calls of all macros in one rendering."""
MOST_READ = 2**29
"""Characters that one rendering looks through, at the most some ten seconds of it: an item of a
collection and a call count as many as take as long (`sizes.reading`)."""
MOST_MADE = 2**28
"""Characters and elements of all values that one rendering makes, whether it keeps them or not. A
template that gathers its text in a variable makes about half its length again at each message."""

_COMPARING = frozenset(
    {"!=", "<", "<=", "==", ">", ">=", "eq", "equalto", "ge", "greaterthan", "gt", "in", "le"}
    | {"lessthan", "lower", "lt", "ne", "upper"}
)
_OF_NUMBERS = frozenset({"int", "sum"})
# What multiplies text, and no chat template is known to use.
_REFUSED_FILTERS = ("pprint", "urlize", "wordwrap", "xmlattr")
_REFUSED_METHODS = frozenset({"expandtabs", "translate"})
_ADDED = frozenset({"_block_vars", "_loop_vars"})
"""Arguments of calls that Jinja adds for itself."""


def render(source: str, name: str, variables: Mapping[str, object]) -> str:
    """What a template makes of the variables.

    Args:
        name: of the template, for messages.

    Raises:
        DataError: it is no template, refuses what it is given, or exceeds a limit.
    """
    environment, template = _compiled(source, name)
    environment.turns = environment.made = environment.read = 0
    parts: list[str] = []
    size = 0
    try:
        for part in template.generate(variables):
            parts.append(part)
            size += len(part)
            if size > LARGEST:
                raise SecurityError(f"it renders more than {LARGEST:,} characters")
    except Exception as error:  # somebody else's code: it may raise anything
        raise DataError(
            f"the chat template '{name}' refuses a conversation: {error}",
            fixes=(
                "correct the conversation, or choose another data.chat_template",
                "see what templates get: https://huggingface.co/docs/transformers/chat_templating",
            ),
        ) from error
    return "".join(parts)


def check(source: str, name: str) -> None:
    """Raise DataError if this is no template."""
    _compiled(source, name)


@lru_cache(maxsize=16)
def _compiled(source: str, name: str) -> tuple[_Environment, Template]:
    if len(source) > MOST_SOURCE:
        raise DataError(
            f"the chat template is too long: {len(source):,} characters; "
            f"at most {MOST_SOURCE:,} are read",
            where=name,
        )
    environment = _Environment()
    try:
        return environment, environment.from_string(source)
    except (
        TemplateSyntaxError,
        SyntaxError,  # of the Python that Jinja makes of it, and so without a line of its own
        ValueError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        line = f":{error.lineno}" if isinstance(error, TemplateSyntaxError) else ""
        raise DataError(
            f"the chat template is no Jinja template: {_in_words(error)}",
            where=f"{name}{line}",
            fixes=("correct it", 'or use one that is shipped: data.chat_template = "chatml"'),
        ) from error


def _in_words(error: Exception) -> str:
    if isinstance(error, (RecursionError, MemoryError)):
        return "it is nested too deeply"
    return error.msg if isinstance(error, SyntaxError) else str(error)


class _Environment(ImmutableSandboxedEnvironment):
    """Counts turns and refuses large values; one for each template."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, loopcontrols],
            finalize=self.shown,
        )
        self.turns = self.made = self.read = 0
        self.filters["tojson"] = _tojson
        for name in _REFUSED_FILTERS:
            del self.filters[name]
        self.filters = {name: self._weighed(name, self.filters[name]) for name in self.filters}
        tests = cast("dict[str, Callable[..., object]]", self.tests)
        self.tests = {**tests, **{name: self._read_by(tests[name]) for name in _COMPARING}}
        del self.globals["lipsum"]  # any amount of text for nothing
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self.globals["namespace"] = _Namespace

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = Counting().visit(super()._parse(source, name, filename))
        tree.set_environment(self)
        return tree

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        refused = isinstance(obj, str) and attr in _REFUSED_METHODS
        return not refused and super().is_safe_attribute(obj, attr, value)

    def turn(self, text: int) -> str:
        """Called at each turn of a loop and in each macro.

        Args:
            text: characters of the template's own that it may write.
        """
        self.turns += 1
        if self.turns > MOST_TURNS:
            raise SecurityError(f"it takes more than {MOST_TURNS:,} turns")
        self._charge(text)
        return ""

    def passed(self) -> bool:
        """Called where a loop decides whether an item takes a turn."""
        self._look(DECISION)
        return True

    def looked_through(self, value: object) -> object:
        """The value, which is going to be compared."""
        self._look(reading(value))
        return value

    def joined(self, *values: object) -> object:
        """The operator `~`, which Jinja lets nobody intercept."""
        _check_size(extent(*values))
        return self.weighed("".join(map(str, values)))

    def shown(self, value: object) -> object:
        """What is written out; Jinja makes text of it."""
        if not isinstance(value, str):
            _check_size(extent(value))
        return self.weighed(value)

    def weighed(self, value: object) -> object:
        """The value that an operation has made."""
        if isinstance(value, SIZED):
            _check_size(len(value))
            self._charge(len(value))
        return value

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        if operator != "+":  # a sum is twice as large as its parts, at most
            _check_size(_size_of_result(operator, left, right))
        return self.weighed(_checked(super().call_binop(context, operator, left, right)))

    def call(
        self, context: Context, function: Callable[..., object], /, *given: object, **named: object
    ) -> object:
        plain = unwrap(function)
        owner = getattr(plain, "__self__", None)
        size = METHODS.get(plain.__name__) if isinstance(owner, str) else None
        # A table finds things without a look at the others.
        self._look(CALL + (0 if isinstance(owner, dict) else reading(owner)))
        if size is not None:
            given = _listed(given)
            own = {key: value for key, value in named.items() if key not in _ADDED}
            _check_size(size(owner, *given, **own))
        return self.weighed(super().call(context, function, *given, **named))

    def _weighed(self, name: str, function: Callable[..., object]) -> Callable[..., object]:
        """A filter that makes nothing large."""
        size: Callable[..., int] | None = extent if name not in OF_COLLECTIONS else None
        size = FILTERS.get(name, size)
        first = 1 if hasattr(function, "jinja_pass_arg") else 0  # Jinja's own argument

        look = look_of_filter(name)

        @wraps(function)
        def limited(*given: object, **named: object) -> object:
            self._look(CALL + look(given[first]) if len(given) > first else CALL)
            if size is extent:
                _check_size(extent(*given[first : first + 1]))
            elif size is not None:
                given = _listed(given)
                _check_size(size(*given[first:], **named))
            made = function(*given, **named)
            return self.weighed(_checked(made) if name in _OF_NUMBERS else made)

        return limited

    def _read_by(self, test: Callable[..., object]) -> Callable[..., object]:
        """A test that looks through what it is given."""

        @wraps(test)
        def counted(*given: object) -> object:
            self._look(CALL + sum(map(reading, given)))
            return test(*given)

        return counted

    def _look(self, size: int) -> None:
        self.read += size
        if self.read > MOST_READ:
            raise SecurityError(f"it looks through more than {MOST_READ:,} characters")

    def _charge(self, size: int) -> None:
        self.made += size
        if self.made > MOST_MADE:
            raise SecurityError(f"it makes more than {MOST_MADE:,} characters on its way")


class _Generation(Extension):
    """`{% generation %}`, by which a template marks what the model writes: rendered as it is."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Scope:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Namespace(Namespace):
    """Refuses names that lead to Python's internals."""

    def __init__(self, /, *given: Mapping[str, object], **named: object) -> None:
        attributes = dict(*given, **named)
        for name in attributes:
            _check_name(name)
        super().__init__(attributes)

    def __setitem__(self, name: str, value: object) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: object) -> None:
    if str(name).startswith("_"):
        raise SecurityError(f"a namespace cannot hold '{name}'")


def _size_of_result(operator: str, left: object, right: object) -> int:
    """Of a product, power or `%`, before it is computed."""
    if operator == "%":
        given = right if isinstance(right, tuple) else (right,)
        return percent(left, *given) if isinstance(left, str) else 0
    one, other = (abs(v) if isinstance(v, int) else length(v) for v in (left, right))
    if operator == "**":
        return LARGEST + 1 if one > 1 and other > LARGEST.bit_length() else 0
    return one * other


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise SecurityError(f"a value is larger than {LARGEST:,}")


def _checked(value: object) -> object:
    """The value, no large number: text is padded and repeated by numbers."""
    if isinstance(value, int):
        _check_size(abs(value))
    return value


def _listed(given: tuple[object, ...]) -> tuple[object, ...]:
    """The arguments, with lists for generators: their size is not known before."""
    return tuple(list(value) if isinstance(value, GeneratorType) else value for value in given)


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own would escape HTML."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
