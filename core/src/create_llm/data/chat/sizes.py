"""How large a value becomes, found out before it is made: characters, elements and numbers' places.

The functions take what the filter or operation of their name takes. What they say is never too
little; where the exact size would be as costly as the value, it is more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sized

LARGEST = 2**24
"""Characters or elements of a value, and of what is rendered; and the largest number."""

SIZED = (str, bytes, list, tuple, dict)
"""What an operation may make large."""
_VIEWS: tuple[type[Sized], ...] = (type({}.keys()), type({}.values()), type({}.items()))
_COUNTED: tuple[type[Sized], ...] = (*SIZED, range, *_VIEWS)
_WIDTH = re.compile(r"[0-9]+")
_PERCENT = re.compile(r"%(?:\([^)]*\))?[-#0 +]*([0-9*]*)(?:\.([0-9*]*))?")


CALL, DECISION = 256, 64
"""Characters that are looked through in the time of one call of a filter or a function; of one
decision whether an item takes its turn."""
_ITEM, _ITEM_OF_FILTER, _ITEM_FOR_FILTER = 16, 64, 128
"""The same of an item that is compared, that a filter compares, that a filter takes in hand."""

# Filters that take a collection as one, and write nothing of it out.
OF_COLLECTIONS = frozenset(
    {"attr", "batch", "count", "d", "default", "dictsort", "first", "groupby", "items", "last"}
    | {"length", "list", "map", "max", "min", "random", "reject", "rejectattr", "reverse"}
    | {"select", "selectattr", "slice", "sort", "sum", "unique"}
)
# Those of them that compare what is in the items.
_OF_ITEMS = frozenset({"dictsort", "groupby", "max", "min", "sort", "unique"})
# Those of them that take one look, however large the collection.
_AT_ONCE = frozenset(
    {"attr", "count", "d", "default", "first", "items", "last", "length", "random"}
)


def length(value: object) -> int:
    """Characters or elements, those in elements not counted."""
    return len(value) if isinstance(value, _COUNTED) else 0


def reading(value: object, each: int = _ITEM) -> int:
    """What it takes to look through a value and all that is in it, in characters."""
    return extent(value, each=each) if length(value) else 0


def extent(*values: object, each: int = 1) -> int:
    """About how much text values become, with all that is in them; not counted beyond LARGEST.

    Args:
        each: characters that an item of a collection counts as, before what is in it.
    """
    size, waiting = 0, list(values)
    while waiting and size <= LARGEST:
        item = waiting.pop()
        size += max(length(item), 1) if isinstance(item, str) else each * max(length(item), 1)
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


def look_of_filter(name: str) -> Callable[[object], int]:
    """What a filter looks through of the value that it is put behind, in characters."""
    if name in _AT_ONCE:
        return lambda value: 0
    if name in _OF_ITEMS:
        return lambda value: reading(value, _ITEM_OF_FILTER)
    if name in OF_COLLECTIONS:
        return lambda value: _ITEM_FOR_FILTER * length(value)
    return reading


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
