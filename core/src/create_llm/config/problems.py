"""What is wrong with a configuration: all of it at once, in plain words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from create_llm.errors import ConfigError, CreateLLMError, PluginError, did_you_mean

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

MAX_LISTED = 20

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text in quotes",
    "list_type": 'a list, like ["a", "b"]',
    "tuple_type": 'a list, like ["a", "b"]',
    "set_type": 'a list, like ["a", "b"]',
    "frozen_set_type": 'a list, like ["a", "b"]',
    "dict_type": "a table",
    "model_type": "a table",
    "path_type": "a path in quotes",
}
_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


class ConfigProblems(ConfigError):
    """Everything that is wrong with a configuration; `problems` holds each as its own error."""

    def __init__(self, problems: Iterable[CreateLLMError]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            (only,) = self.problems
            super().__init__(only.what, where=only.where, fixes=only.fixes)
            return
        super().__init__(
            "\n".join(
                [f"the configuration has {len(self.problems)} problems", *_listed(self.problems)]
            ),
            fixes=("correct them, then look at the result: llm config show",),
        )


def raise_all(problems: list[CreateLLMError]) -> None:
    """Raise what was collected, if anything was.

    Raises:
        ConfigProblems: for problems of the configuration, whatever else there is.
        PluginError: where only plugins are the problem.
    """
    if not problems:
        return
    problems = sorted(problems, key=_line)
    if not all(isinstance(problem, PluginError) for problem in problems):
        raise ConfigProblems(problems)
    if len(problems) == 1:
        raise problems[0]
    raise PluginError(
        "\n".join(["several plugins that were asked for cannot be used", *_listed(problems)]),
        fixes=("see what is installed: llm plugins list",),
    )


def _line(problem: CreateLLMError) -> int:
    """The line that a problem points to, if it points to one: people read files downwards."""
    line = (problem.where or "").rpartition(":")[2]
    return int(line) if line.isascii() and line.isdigit() else 0


def _listed(problems: Sequence[CreateLLMError]) -> list[str]:
    lines = []
    for number, problem in enumerate(problems[:MAX_LISTED], start=1):
        place = f"{problem.where}: " if problem.where else ""
        lines.append(f"  {number}. {place}{problem.what}")
        lines.extend(f"     try: {fix}" for fix in problem.fixes)
    more = len(problems) - MAX_LISTED
    return [*lines, f"  … and {more} more"] if more > 0 else lines


def shown(value: object) -> str:
    """A value as llm.toml would spell it, cut short."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


def in_plain_words(error: ErrorDetails) -> str:
    """What a pydantic error says about a value, as the second half of a sentence."""
    kind, context = error["type"], error.get("ctx", {})
    got = f", got {shown(error['input'])}"
    if kind == "missing":
        return "is not set, and has no default"
    if kind == "extra_forbidden":
        return "is not a key that exists here"
    if kind in _EXPECTED:
        return f"must be {_EXPECTED[kind]}{got}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"must be {words} {context[bound]:g}{got}"
    if kind in ("literal_error", "enum"):
        return (
            f"must be {'one of ' if ',' in context['expected'] else ''}{context['expected']}{got}"
        )
    if kind == "string_pattern_mismatch":
        return f"does not have the form that it must have{got}"
    if kind in ("value_error", "assertion_error"):
        return f"cannot be used: {context['error']}"
    return f"{_lower(error['msg'])}{got}"


def fixes_for(key: str, error: ErrorDetails, field: FieldInfo | None) -> tuple[str, ...]:
    """Two or three things to do about an invalid value."""
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        choices = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        near = did_you_mean(error["input"], choices)
    else:
        near = ()
    explain = f"what it does, and which values it takes: llm config explain {key}"
    example = _example(field)
    if error["type"] == "missing" or example is None:
        table, _, name = key.rpartition(".")
        value = shown(field.examples[0]) if field and field.examples else "…"
        return (f"set it in llm.toml, below [{table}]: {name} = {value}", explain)
    return (
        *(near or (f"for example: {key} = {example}",)),
        f"leave it out: the default is {example}",
        explain,
    )


def _example(field: FieldInfo | None) -> str | None:
    if field is None or field.is_required() or field.default_factory is not None:
        return None
    default = field.get_default(call_default_factory=False)
    return None if default is None else shown(default)


def unusable(value: object) -> str | None:
    """Why no key can have this value, or None: what TOML allows and JSON does not."""
    match value:
        case float() if value != value or value in (float("inf"), float("-inf")):
            return f"must be a finite number, got {value}"
        case int() if abs(value) >= 2**63:
            return "is too large a number"
        case str() if any("\ud800" <= character <= "\udfff" for character in value):
            return "is not valid UTF-8 text"
        case Mapping():
            return next(filter(None, map(unusable, [*value.keys(), *value.values()])), None)
        case list() | tuple():
            return next(filter(None, map(unusable, value)), None)
    return None


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
