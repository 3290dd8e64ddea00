"""The Jinja of chat templates, as Hugging Face's `apply_chat_template` configures it.

A template may come from anybody. The sandbox keeps it away from Python's internals, and limits
keep it from running on or growing without end. They count turns and signs, not seconds, so that
a slow machine refuses no template that a fast one renders. They are no bound on memory: values
may be many.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from jinja2 import Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from create_llm.errors import DataError

MOST_SOURCE = 2**18
"""Characters of a template; the longest in use have some 20,000."""
MOST_TURNS = 200_000
"""Turns of all loops and calls of all macros in one rendering."""
LARGEST = 2**24
"""Characters or elements of a value, and of what is rendered; and the largest number."""


def render(source: str, name: str, variables: Mapping[str, object]) -> str:
    """What a template makes of the variables.

    Args:
        name: of the template, for messages.

    Raises:
        DataError: it is no template, refuses what it is given, or exceeds a limit.
    """
    environment, template = _compiled(source, name)
    environment.turns = 0
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
    except TemplateSyntaxError as error:
        raise DataError(
            f"the chat template is no Jinja template: {error.message}",
            where=f"{name}:{error.lineno}",
            fixes=("correct it", 'or use one that is shipped: data.chat_template = "chatml"'),
        ) from error


class _Environment(ImmutableSandboxedEnvironment):
    """Counts turns and refuses large values; one for each template."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
        )
        self.turns = 0
        self.filters["tojson"] = _tojson
        to_int = self.filters["int"]
        self.filters["int"] = lambda *arguments, **named: _limited(to_int(*arguments, **named))
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self.globals["namespace"] = _Namespace

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Limits().visit(super()._parse(source, name, filename))
        tree.set_environment(self)
        return tree

    def turn(self) -> str:
        """Called at each turn of a loop and in each macro."""
        self.turns += 1
        if self.turns > MOST_TURNS:
            raise SecurityError(f"it takes more than {MOST_TURNS:,} turns")
        return ""

    def joined(self, *values: object) -> str:
        """The operator `~`, which Jinja lets nobody intercept."""
        return str(_limited("".join(map(str, values))))

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        if operator in ("*", "**"):
            _check_size(operator, left, right)
        return _limited(super().call_binop(context, operator, left, right))


_Repeated = TypeVar("_Repeated", nodes.For, nodes.Macro, nodes.CallBlock)


class _Limits(NodeTransformer):
    """Has the environment count the turns of a template, and refuses the numbers in it."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        return self._counted(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Macro:
        return self._counted(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.CallBlock:
        return self._counted(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _call("joined", node.nodes, node.lineno)

    def visit_Const(self, node: nodes.Const) -> nodes.Const:
        if isinstance(node.value, int) and abs(node.value) > LARGEST:
            raise TemplateSyntaxError(f"the number {node.value} is too large", node.lineno)
        return node

    def _counted(self, node: _Repeated) -> _Repeated:
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_call("turn", [], node.lineno), lineno=node.lineno))
        return node


def _call(method: str, arguments: list[nodes.Expr], line: int) -> nodes.Call:
    target = nodes.EnvironmentAttribute(method, lineno=line)
    return nodes.Call(target, arguments, [], None, None, lineno=line)


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


def _check_size(operator: str, left: object, right: object) -> None:
    """Refuse a product or power before it is computed, if it would be large."""
    sizes = [abs(v) if isinstance(v, int) else _length(v) for v in (left, right)]
    if operator == "**":
        too_large = sizes[0] > 1 and sizes[1] > LARGEST.bit_length()
    else:
        too_large = sizes[0] * sizes[1] > LARGEST
    if too_large:
        raise SecurityError(f"a value is larger than {LARGEST:,}")


def _length(value: object) -> int:
    return len(value) if isinstance(value, (str, list, tuple)) else 0


def _limited(value: object) -> object:
    if (abs(value) if isinstance(value, int) else _length(value)) > LARGEST:
        raise SecurityError(f"a value is larger than {LARGEST:,}")
    return value


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
