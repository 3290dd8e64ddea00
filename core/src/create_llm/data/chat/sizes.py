"""How large a value becomes, found out before it is made: characters, elements and numbers' places.

The functions take what the filter or operation of their name takes. What they say is never too
little; where the exact size would be as costly as the value, it is more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

LARGEST = 2**24
"""Characters or elements of a value, and of what is rendered; and the largest number."""

SIZED = (str, bytes, list, tuple, dict)
"""What an operation may make large."""
_WIDTH = re.compile(r"[0-9]+")
_PERCENT = re.compile(r"%(?:\([^)]*\))?[-#0 +]*([0-9*]*)(?:\.([0-9*]*))?")


def length(value: object) -> int:
    """Characters or elements, those in elements not counted."""
    return len(value) if isinstance(value, SIZED) else 0


def extent(*values: object) -> int:
    """About how much text values become, with all that is in them; not counted beyond LARGEST."""
    size, waiting = 0, list(values)
    while waiting and size <= LARGEST:
        item = waiting.pop()
        size += max(length(item), 1)
        if isinstance(item, (list, tuple)):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
    return size


def joined(value: Iterable[object], d: str = "", attribute: object = None) -> int:
    return extent(value) + length(value) * length(d)


def replaced(s: object, old: str, new: str, count: int | None = None) -> int:
    text = str(s) if extent(s) <= LARGEST else ""
    return extent(s) + text.count(str(old)) * length(new)


def percent(value: object, *args: object, **kwargs: object) -> int:
    """Of `value % args`."""
    places = _PERCENT.findall(str(value))
    widths = [LARGEST if "*" in width else int(width or 0) for pair in places for width in pair]
    return length(value) + sum(widths) + max(len(places), 1) * extent(*args, kwargs)


def braces(value: str, *args: object, **kwargs: object) -> int:
    """Of `value.format(args)`. A width may itself be given: `{:{}}`."""
    numbers = [number for number in (*args, *kwargs.values()) if isinstance(number, int)]
    widths = [int(number) for number in _WIDTH.findall(value)] + numbers
    return length(value) + value.count("{") * (max(widths, default=0) + extent(*args, kwargs))


def indented(s: object, width: int | str = 4, first: bool = False, blank: bool = False) -> int:
    text = str(s) if extent(s) <= LARGEST else ""
    step = width if isinstance(width, int) else length(width)
    return extent(s) + (text.count("\n") + 1) * step


def as_json(
    value: object, ensure_ascii: bool = False, indent: int | str | None = None, **options: object
) -> int:
    step = indent if isinstance(indent, int) else length(indent)
    return extent(value) * (1 + step)


FILTERS: Mapping[str, Callable[..., int]] = {
    "format": percent,
    "indent": indented,
    "join": joined,
    "replace": replaced,
    "tojson": as_json,
}
METHODS: Mapping[str, Callable[..., int]] = {
    "format": braces,
    "format_map": lambda value, given: braces(value, **given),
    "join": lambda between, values: joined(values, between),
    "replace": replaced,
}
"""Of text."""
