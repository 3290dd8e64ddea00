"""HTML pages that need nothing but themselves: no script, no font, no image from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_FOLDER = Path(__file__).with_name("pages")
# A model may write any character: these have no place in HTML, and halves of pairs none in UTF-8.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def render(page: str, **values: object) -> str:
    """A page of `pages/`; texts are escaped, `Markup` (a chart) is taken as it is."""
    return _environment().get_template(page).render(**values)


def picture(svg: str) -> Markup:
    """A chart, to stand in a page as what it is."""
    return Markup(printable(svg))


def printable(text: str) -> str:
    """The text with U+FFFD for each character that no page may hold."""
    return _UNPRINTABLE.sub("\ufffd", text)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters["figure"] = figure
    return environment


def _finalize(value: object) -> object:
    return printable(value) if type(value) is str else value


def figure(value: object) -> str:
    """A value for people: up to four digits after the point, thousands apart, a dash for none."""
    if value is None:
        return "-"
    if isinstance(value, float) and abs(value) >= 100:
        return f"{value:,.1f}"
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
