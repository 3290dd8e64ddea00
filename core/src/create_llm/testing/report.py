"""A pytest plugin for `llm plugins test`: only the contracts of chosen parts, results as JSON."""

from __future__ import annotations

import json
from collections.abc import Generator
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from create_llm.kernel.plugins import default_plugins
from create_llm.testing.base import PartContract

_LONGEST_MESSAGE = 300
_SENTENCES = (
    AssertionError,
    NotImplementedError,
    pytest.fail.Exception,
    pytest.skip.Exception,
)
"""What says in its message what is wrong; of other errors the type is needed as well."""


class DefaultOptions(PartContract):
    """Mixed into a contract that no author has filled in: it skips what it cannot know."""

    @classmethod
    def config(cls, **changes: object) -> BaseModel | None:
        model = cls.part().config_model()
        fields = model.model_fields.items() if model else ()
        missing = [name for name, field in fields if field.is_required() and name not in changes]
        if missing:
            pytest.skip(f"the author's test must give {', '.join(missing)} in its options")
        return super().config(**changes)


def default_contract(kind: str, name: str) -> type[PartContract]:
    """The contract of a part with the defaults of its configuration."""
    module, _, attribute = default_plugins().registry.kinds[kind].contract.partition(":")
    contract: type[PartContract] = getattr(import_module(module), attribute)
    # Contracts start the sentence about what they lack with the name of their class.
    return type("the author's test", (DefaultOptions, contract), {"name": name})


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("create-llm")
    group.addoption("--contract-of", action="append", default=[], metavar="KIND/[DIST/]NAME")
    group.addoption("--contract-report", metavar="FILE")


def pytest_configure(config: pytest.Config) -> None:
    report = config.getoption("--contract-report")
    if report:
        config.pluginmanager.register(_Reporter(config.getoption("--contract-of"), Path(report)))


class _Reporter:
    """Args: the parts by each of their names, as `kind/name`; the file to write."""

    def __init__(self, parts: list[str], file: Path) -> None:
        self._parts = parts
        self._file = file
        self._results: list[dict[str, str]] = []
        self._errors: list[str] = []

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        chosen = [item for item in items if self._part_of(item) is not None]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            lines = report.longreprtext.strip().splitlines()
            self._errors.append(f"{report.nodeid}: {lines[-1].removeprefix('E').strip()}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        error = call.excinfo.value if call.excinfo else None
        outcome, message = _outcome(report, error)
        # Without an author nobody has said how to fill in what a contract leaves open.
        if isinstance(error, NotImplementedError) and issubclass(_class_of(item), DefaultOptions):
            outcome = report.outcome = "skipped"
            report.longrepr = (str(item.path), 0, message)
        if call.when == "call" or outcome != "passed":
            part = self._part_of(item) or ""
            result = {"part": part, "test": item.nodeid, "outcome": outcome, "message": message}
            self._results.append(result)
        return report

    def pytest_sessionfinish(self) -> None:
        content = {"results": self._results, "errors": self._errors}
        self._file.write_text(json.dumps(content), encoding="utf-8")

    def _part_of(self, item: pytest.Item) -> str | None:
        """The part that a test is about; of a contract without a name, the first of its kind."""
        cls = _class_of(item)
        if not issubclass(cls, PartContract):
            return None
        if hasattr(cls, "name"):
            name = f"{cls.kind}/{cls.name}"
            return name if name in self._parts else None
        return next((part for part in self._parts if part.startswith(f"{cls.kind}/")), None)


def _class_of(item: pytest.Item) -> type:
    found = getattr(item, "cls", None)
    return found if isinstance(found, type) else object


def _outcome(report: pytest.TestReport, error: BaseException | None) -> tuple[str, str]:
    """ "passed", "failed", "skipped" or "xfailed", and why in one line."""
    expected = getattr(report, "wasxfail", None)
    if report.outcome == "skipped" and expected is not None:
        return "xfailed", str(expected).removeprefix("reason: ")
    if error is None:
        return report.outcome, ""
    sentence = _sentence(str(error))
    if sentence and isinstance(error, _SENTENCES):
        return report.outcome, sentence
    return report.outcome, f"{type(error).__name__}: {sentence}"


def _sentence(text: str) -> str:
    """The message of an error in one line, without what pytest explains below it."""
    first, *rest = text.strip().splitlines() or [""]
    explained = ("assert ", " +") if not first.startswith("assert ") else ("",)
    message = [first, *takewhile(lambda line: not line.startswith(explained), rest)]
    return " ".join(line.strip() for line in message)[:_LONGEST_MESSAGE]
