"""The conditions of `llm runs list --where`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from create_llm.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from create_llm.runs.history import Entry

_CONDITION = re.compile(r"([\w.-]+)\s*(<=|>=|=|<|>)\s*(.*)", re.DOTALL)
_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """What a value has to be."""

    key: str
    order: str
    value: str

    def holds(self, found: object) -> bool:
        """Numbers as numbers, everything else letter for letter; nothing holds of no value."""
        if isinstance(found, int | float) and not isinstance(found, bool):
            try:
                return _ORDERS[self.order](found, float(self.value))
            except ValueError:
                return False
        if self.order != "=" or found is None:
            return False
        text = str(found).lower() if isinstance(found, bool) else str(found)
        return text == self.value


def matching(conditions: Sequence[str], entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The rows of the entries for which every condition holds.

    Raises:
        ConfigError: not a condition, or of a key that no entry has.
    """
    from create_llm.runs.settings import flat

    parsed = [_parsed(text) for text in conditions]
    found = [(row := entry.row(), {**flat(entry.config), **row}) for entry in entries]
    known = {key for _, values in found for key in values}
    for condition in parsed:
        if found and condition.key not in known:
            raise ConfigError(
                f"no run has a '{condition.key}'",
                where="--where",
                fixes=(*did_you_mean(condition.key, sorted(known)), "see them: llm runs show V"),
            )
    return [row for row, values in found if all(c.holds(values.get(c.key)) for c in parsed)]


def _parsed(text: str) -> Condition:
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise ConfigError(
            f"'{text}' is no condition",
            where="--where",
            fixes=("for example: --where model.layers=4", "or: --where 'val_loss<3'"),
        )
    return Condition(match[1], match[2], match[3].strip())
