"""What holds for a part of any kind, and the rule that contract tests cannot be overridden."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from create_llm.authoring.source import package_folder
from create_llm.errors import CreateLLMError
from create_llm.kernel.plugins import PluginRecord, Plugins, default_plugins
from create_llm.kernel.registry import Part
from create_llm.testing.imports import heavy_of, loaded_by

_KIT = "create_llm.testing."


class PartContract:
    """Base of all contracts.

    Attributes:
        kind: the kind of part, as in `KINDS`; each contract sets it.
        name: the part's registered name, or `distribution/name`; you set it. Where several
            packages give the bare name, it is that of the package whose folder the class is in.
        options: the part's section of llm.toml; choose values that make it small and fast.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    options: ClassVar[Mapping[str, object]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for test, original in _contract_tests(cls).items():
            override = inspect.getattr_static(cls, test)
            if override is not original:
                setattr(cls, test, _expected_to_fail(cls, test, original, override))

    @classmethod
    def plugins(cls) -> Plugins:
        """The plugins among which the part is looked for: those that are installed."""
        return default_plugins()

    @classmethod
    def part(cls) -> Part:
        """The registered part; fails the test, in words, where it is not installed."""
        if not hasattr(cls, "name"):
            pytest.fail(f"{cls.__name__} must say `name`, that of the part", pytrace=False)
        try:
            return cls.plugins().registry.get(cls.kind, cls.written())
        except CreateLLMError as error:
            pytest.fail(error.render(), pytrace=False)

    @classmethod
    def written(cls) -> str:
        """The name by which a project chooses the part: in full where others have it too."""
        registry = cls.plugins().registry
        if cls.name not in registry.ambiguous(cls.kind):
            return cls.name
        file = Path(inspect.getfile(cls))
        rivals = [part for part in registry.parts(cls.kind) if part.name == cls.name]
        own = [part for part in rivals if package_folder(file, part.distribution)]
        return f"{own[0].distribution}/{cls.name}" if own else cls.name

    @classmethod
    def config(cls, **changes: object) -> BaseModel | None:
        """`options`, with changes, validated as the part's section is; None where it has none."""
        values, model = {**cls.options, **changes}, cls.part().config_model()
        if model is None:
            assert not values, f"'{cls.name}' registers no config, so it can have no options"
            return None
        try:
            return model.model_validate(values)
        except ValidationError as error:
            pytest.fail(f"the options of {cls.__name__} are refused: {error}", pytrace=False)

    def test_plugin_module_is_light(self) -> None:
        """The plugin's own module loads neither its parts nor heavy packages: every command
        imports it."""
        module = _record(self.plugins(), self.part()).plugin.module
        heavy = heavy_of(module)
        assert not heavy, f"import {module} also loads {', '.join(heavy)}"
        bodies = {_module_of(part.target) for part in self._parts_of_plugin()}
        needed = {body for body in bodies if f"{module}.".startswith(f"{body}.")}
        eager = sorted((bodies - needed) & loaded_by(module))
        assert not eager, f"import {module} also loads {', '.join(eager)}, a part's body"

    def test_target_resolves(self) -> None:
        """The registered `module:attribute` can be imported, and what it requires is installed."""
        assert self.part().load() is not None

    def test_summary_is_one_sentence(self) -> None:
        """The summary is one line for `llm plugins` and `llm --help`: short, ending in a stop."""
        summary = self.part().summary
        assert summary == summary.strip(), f"blanks around the summary: {summary!r}"
        assert 0 < len(summary) <= 100, f"{len(summary)} characters: {summary!r}"
        assert "\n" not in summary, f"more than one line: {summary!r}"
        assert summary.endswith("."), f"no full stop: {summary!r}"

    def test_config_documents_every_key(self) -> None:
        """Every key has a description: `llm config explain` and the docs are made from them."""
        model = self.part().config_model()
        fields = [] if model is None else list(_fields(model))
        silent = [name for name, field in fields if not (field.description or "").strip()]
        assert not silent, f"keys without a description: {', '.join(silent)}"

    def test_config_is_read_without_torch(self) -> None:
        """The config stands in a module of its own, apart from a model: reading llm.toml imports
        it, at every command."""
        config = self.part().config
        if config is not None:
            module = config.partition(":")[0]
            heavy = sorted({"torch", "transformers", "tensorboard"} & loaded_by(module))
            assert not heavy, f"import {module} also loads {', '.join(heavy)}"

    def test_config_refuses_unknown_keys(self) -> None:
        """A misspelt key is an error (`extra="forbid"`): otherwise it would be a wrong run."""
        model = self.part().config_model()
        if model is not None:
            assert self.config() is not None
            extra = model.model_config.get("extra")
            assert extra == "forbid", f'{model.__name__} says extra={extra!r}; make it "forbid"'

    @classmethod
    def _parts_of_plugin(cls) -> tuple[Part, ...]:
        return _record(cls.plugins(), cls.part()).parts


def _contract_tests(cls: type[PartContract]) -> dict[str, Callable[..., None]]:
    """The tests that the kit's own classes among the bases define, each as first found."""
    kit = [base for base in cls.__mro__ if base.__module__.startswith(_KIT)]
    tests: dict[str, Callable[..., None]] = {}
    for base in reversed(kit):
        found = {name: value for name, value in vars(base).items() if name.startswith("test_")}
        tests.update(found)
    return tests


def _expected_to_fail(
    cls: type[PartContract], test: str, original: Callable[..., None], override: object
) -> Callable[..., None]:
    """The contract's own test with the marks of the override, whose body is not used.

    Raises:
        TypeError: the override is not marked as an expected failure with a reason.
    """
    marks = list(getattr(override, "pytestmark", []))
    reasons = [mark.kwargs.get("reason") for mark in marks if mark.name == "xfail"]
    if not reasons or len(reasons) < len(marks) or not all(reasons):
        raise TypeError(
            f"{cls.__name__}.{test} overrides a test of the contract, which only "
            '@pytest.mark.xfail(reason="…") may do'
        )

    @functools.wraps(original)
    def marked(*arguments: Any, **fixtures: Any) -> None:
        original(*arguments, **fixtures)

    marked.pytestmark = marks  # type: ignore[attr-defined]
    return marked


def _record(plugins: Plugins, part: Part) -> PluginRecord:
    return next(record for record in plugins.records if part in record.parts)


def _module_of(target: str) -> str:
    return target.partition(":")[0]


def _fields(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of a section with its dotted name, those of nested tables included."""
    for name, field in model.model_fields.items():
        dotted = f"{above}{field.alias or name}"
        yield dotted, field
        for kind in (field.annotation, *get_args(field.annotation)):
            if inspect.isclass(kind) and issubclass(kind, BaseModel):
                yield from _fields(kind, f"{dotted}.")
