"""Writes into docs/plugins/*.md what the code says: hooks, kinds, and the tests of contracts."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path

from create_llm import hookspecs
from create_llm.kernel.kinds import KINDS, Kind
from create_llm.runs.events import Event
from create_llm.testing.base import PartContract
from create_llm.training.dispatch import METHODS

PAGES = Path(__file__).with_name("plugins")


def render(page: Path) -> str:
    """The page with the stretches between its marks written anew."""
    text = page.read_text(encoding="utf-8")
    for mark, content in _stretches(page.stem).items():
        parts = re.split(rf"(?s)(?<=<!-- {mark} -->\n).*?(?=<!-- /{mark} -->)", text)
        if len(parts) != 2:
            raise ValueError(f"{page.name} has {len(parts) - 1} stretches of {mark}, not one")
        text = f"{parts[0]}{content}\n{parts[1]}"
    return text


def contract_of(kind: Kind) -> type[PartContract]:
    module, _, attribute = kind.contract.partition(":")
    contract: type[PartContract] = getattr(import_module(module), attribute)
    return contract


def _stretches(name: str) -> dict[str, str]:
    if name == "README":
        register = inspect.getsource(hookspecs.Register)
        return {
            "kinds": _table("kind", "a part is", [_kind_row(kind) for kind in KINDS.values()]),
            "register": _python(register),
            "contract": _contract(PartContract),
        }
    kind = KINDS[name]
    hook = inspect.getsource(getattr(hookspecs, kind.hook))
    stretches = {"hook": _python(hook), "contract": _contract(contract_of(kind))}
    return stretches | ({"events": _events()} if name == "callbacks" else {})


def _events() -> str:
    """What each event holds, by the method that gets it."""
    classes = {event.name: event for event in Event.__subclasses__()}
    own = {name: [f.name for f in fields(event)] for name, event in classes.items()}
    rows = [
        (f"`{method}`", ", ".join(f"`{field}`" for field in own[name] if field != "step"))
        for name, method in METHODS.items()
    ]
    return _table("method", "its event's fields", rows)


def _kind_row(kind: Kind) -> tuple[str, str]:
    page = f"{kind.name}.md"
    says = getattr(hookspecs, kind.hook).__doc__.partition("Target:")[0]
    return f"[{kind.name}]({page})", _line(says)


def _contract(contract: type[PartContract]) -> str:
    tests = {name: test for name, test in vars(contract).items() if name.startswith("test_")}
    rows = [
        (f"`{name.removeprefix('test_')}`", _line(test.__doc__)) for name, test in tests.items()
    ]
    return _table(f"`{contract.__name__}`", "demands", rows)


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _table(left: str, right: str, rows: list[tuple[str, str]]) -> str:
    return "\n".join([f"| {left} | {right} |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


def _python(source: str) -> str:
    return f"```python\n{source.strip()}\n```"


if __name__ == "__main__":
    for page in sorted(PAGES.glob("*.md")):
        page.write_text(render(page), encoding="utf-8")
