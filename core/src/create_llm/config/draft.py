"""Validating one section, or one part's table, of a configuration that is being resolved."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, time
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from pydantic import BaseModel, ValidationError

from create_llm.config.keys import fields_of
from create_llm.config.problems import fixes_for, in_plain_words, shown, unusable
from create_llm.config.schema import SECTIONS
from create_llm.config.toml_file import TomlFile
from create_llm.config.values import Entries, KeyPath, Source, dotted, merge, nest, source_of, under
from create_llm.errors import ConfigError, CreateLLMError, nearest
from create_llm.kernel.plugins import Plugins

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

P = ParamSpec("P")
T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(slots=True)
class Draft:
    """A configuration on its way: the merged entries, and what turned out to be wrong.

    Attributes:
        layers: weakest first, aliases resolved.
        entries: the strongest value of each path.
        complete: whether all layers are there; a template that was asked for may not be.
        own_plugins: what the project's own pyproject.toml brings, installed or not.
    """

    plugins: Plugins
    file: TomlFile
    layers: list[Entries]
    entries: Entries
    problems: list[CreateLLMError]
    complete: bool
    own_plugins: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        plugins: Plugins,
        file: TomlFile,
        layers: list[Entries],
        problems: list[CreateLLMError],
        *,
        complete: bool,
        own_plugins: frozenset[str] = frozenset(),
    ) -> Draft:
        """Merge the layers, and take out what no key can have."""
        draft = cls(plugins, file, layers, merge(layers), problems, complete, own_plugins)
        for path, value in list(draft.entries.items()):
            reason = unusable(value.data)
            if reason:
                draft.problem(
                    f"{dotted(path)} {reason}",
                    value.source.label,
                    f"what it is for, and which values it takes: llm config explain {dotted(path)}",
                )
                del draft.entries[path]
        return draft

    def problem(self, what: str, where: str | None, *fixes: str) -> None:
        self.problems.append(ConfigError(what, where=where, fixes=fixes))

    def attempt(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """The result, or None after noting why there is none."""
        try:
            return action(*args, **kwargs)
        except CreateLLMError as error:
            self.problems.append(error)
            return None

    def place(self, path: KeyPath) -> str | None:
        """Where to point for a value, a table, or something missing in a table."""
        source = source_of(self.entries, path)
        return source.label if source.written else self.file.place(path) or _label(source)

    def validate(
        self, model: type[ModelT], prefix: KeyPath, entries: Entries, *, partial: bool = False
    ) -> ModelT | None:
        """The entries below `prefix` as the model, or None after noting what is wrong.

        Values are validated as strict JSON: a list is a tuple where the model wants one, but
        text is never a number.

        Args:
            partial: a missing key is no problem.
        """
        values = nest(entries, len(prefix))
        try:
            return model.model_validate_json(json.dumps(values, default=_json), strict=True)
        except ValidationError as error:
            details = error.errors(include_url=False)
        retyped = _as_typed(entries, prefix, details)
        if retyped:
            return self.validate(model, prefix, entries | retyped, partial=partial)
        for detail in details:
            if not (partial and detail["type"] == "missing"):
                self._invalid(model, prefix, tuple(_known(values, detail["loc"])), detail)
        return None

    def unknown(self, path: KeyPath, choices: Collection[str], hint: Iterable[str] = ()) -> None:
        """Note a key that nobody has here; `hint` says where there is one of that very name."""
        *table, name = path
        match = nearest(name, choices)
        near = (f"did you mean '{dotted((*table, match))}'?",) if match else ()
        self.problem(
            f"there is no key '{dotted(path)}'",
            self.place(path),
            *(tuple(hint) or elsewhere(name) or near),
            f"see what there is: llm config explain {table[0] if table else 'training'}",
        )

    def _invalid(
        self, model: type[BaseModel], prefix: KeyPath, path: KeyPath, detail: ErrorDetails
    ) -> None:
        field = fields_of(model).get(path[0]) if path else None
        full = (*prefix, *path)
        missing = self.file.place(prefix) or self.place(prefix)
        what = in_plain_words(detail)
        fixes = fixes_for(dotted(full[: len(prefix) + 1]), detail, field)
        clash = () if path else self._involved(prefix, what)
        self.problem(
            f"{dotted(full)} {what}",
            self.place(full) or missing,
            *((*clash, *fixes[1:]) if clash else fixes),
        )

    def _involved(self, prefix: KeyPath, what: str) -> tuple[str, ...]:
        """Zero or one fix line: the keys of a table that do not go together, and who set each."""
        words = set(re.findall(r"\w+", what))
        keys = [
            f"{dotted(path)} = {shown(value.data)} ({value.source})"
            for path, value in under(self.entries, *prefix).items()
            if len(path) == len(prefix) + 1 and path[-1] in words
        ]
        return (f"change {'one of: ' if len(keys) > 1 else ''}{', '.join(keys)}",) if keys else ()


def elsewhere(name: str) -> tuple[str, ...]:
    """Zero or one fix line for a key that stands in the wrong place."""
    if name == "plugins":
        return ("'plugins' stands at the top of llm.toml, before the first [section]",)
    homes = [section for section, its in SECTIONS.items() if name in its.model.model_fields]
    return (f"it belongs to [{homes[0]}]: {homes[0]}.{name}",) if len(homes) == 1 else ()


def _label(source: Source) -> str | None:
    return None if source.label == "default" else source.label


def _known(values: object, location: tuple[int | str, ...]) -> Iterable[str]:
    """The part of a pydantic location that is a path in the data, not a choice of a union."""
    for step in location:
        if isinstance(values, dict) and isinstance(step, str):
            yield step
            values = values.get(step)
        elif isinstance(values, list) and isinstance(step, int):
            yield str(step)
            values = values[step] if step < len(values) else None
        else:
            return


def _as_typed(entries: Entries, prefix: KeyPath, details: list[ErrorDetails]) -> Entries:
    """Values that look like a number but should be text, as the text that was typed."""
    paths = [(*prefix, *map(str, d["loc"])) for d in details if d["type"] == "string_type"]
    return {
        path: replace(entries[path], data=entries[path].text, text=None)
        for path in paths
        if path in entries and entries[path].text is not None
    }


def _json(value: object) -> str:
    return value.isoformat() if isinstance(value, date | time) else str(value)
