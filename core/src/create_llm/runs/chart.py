"""Line charts as SVG: drawn here, in a few shapes, so that a picture needs no script, font or
network, and core no plotting library of some fifty megabytes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
"""Told apart with every kind of colour vision (Okabe and Ito 2008, jfly.uni-koeln.de/color)."""

WIDTH, HEIGHT = 720, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 700, 62, 296
_FEW = 60
"""Points up to which each is drawn as a dot."""
_NAMESPACE = "http://www.w3.org/2000/svg"
_STYLE = "text{font:12px system-ui,sans-serif;fill:currentColor}.t{font-weight:600;font-size:14px}"


@dataclass(frozen=True, slots=True)
class Line:
    """A named curve; `labels`: what to write beside its points, where there is something to say.

    Attributes:
        joined: whether a line goes through the points.
        steps: whether it stays level between two points.
    """

    name: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[str] = ()
    joined: bool = True
    steps: bool = False


@dataclass(frozen=True, slots=True)
class _Axis:
    """Maps values from low to high onto a line from `start` to `end`, in pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    x_ticks: Mapping[float, str] | None = None,
) -> str:
    """An <svg> element, to stand inside a page; with no points at all it says so.

    Args:
        x_ticks: what stands at the x axis, by value; by default round numbers.
    """
    svg = ET.Element("svg", {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img", "width": "100%"})
    ET.SubElement(svg, "title").text = title
    ET.SubElement(svg, "style").text = _STYLE
    _text(svg, 8, 20, title, css="t")
    points = [point for line in lines for point in line.points]
    if not points:
        _text(svg, WIDTH / 2, HEIGHT / 2, "nothing was measured", anchor="middle")
        return ET.tostring(svg, encoding="unicode")
    x, y = _axes(points)
    _draw_axes(svg, x, y, x_label, y_label, x_ticks)
    _draw_legend(svg, [line.name for line in lines])
    for number, line in enumerate(lines):
        _draw(svg, line, x, y, COLOURS[number % len(COLOURS)])
    return ET.tostring(svg, encoding="unicode")


def svg_file(svg: str) -> str:
    """The same element as a file of its own."""
    return svg.replace("<svg ", f'<svg xmlns="{_NAMESPACE}" ', 1) + "\n"


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten apart) from low to high."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _axes(points: Sequence[tuple[float, float]]) -> tuple[_Axis, _Axis]:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    # A single point, or a level line, has no extent of its own.
    wide = (max(xs) - min(xs)) or 1.0
    tall = (max(ys) - min(ys)) or abs(ys[0]) or 1.0
    x = _Axis(min(xs) - 0.02 * wide, max(xs) + 0.02 * wide, _LEFT, _RIGHT)
    return x, _Axis(min(ys) - 0.06 * tall, max(ys) + 0.1 * tall, _BOTTOM, _TOP)


def _draw_axes(
    svg: ET.Element,
    x: _Axis,
    y: _Axis,
    x_label: str,
    y_label: str,
    x_ticks: Mapping[float, str] | None,
) -> None:
    for value in ticks(y.low, y.high):
        _line(svg, _LEFT, y(value), _RIGHT, y(value), opacity=0.15)
        _text(svg, _LEFT - 6, y(value) + 4, f"{value:,.6g}", anchor="end")
    marks = x_ticks or {value: f"{value:,.6g}" for value in ticks(x.low, x.high)}
    for value, label in marks.items():
        _line(svg, x(value), _BOTTOM, x(value), _BOTTOM + 4)
        _text(svg, x(value), _BOTTOM + 18, label, anchor="middle")
    _line(svg, _LEFT, _BOTTOM, _RIGHT, _BOTTOM)
    _text(svg, (_LEFT + _RIGHT) / 2, HEIGHT - 6, x_label, anchor="middle")
    _text(svg, 8, 38, y_label)


def _draw_legend(svg: ET.Element, names: Sequence[str]) -> None:
    width = (_RIGHT - _LEFT) / len(names)
    for number, name in enumerate(names):
        left, colour = _LEFT + number * width, COLOURS[number % len(COLOURS)]
        ET.SubElement(
            svg,
            "rect",
            {"x": f"{left:g}", "y": "46", "width": "14", "height": "4", "fill": colour},
        )
        # About 7 pixels a letter.
        room = int((width - 24) / 7)
        short = name if len(name) <= room else f"{name[: room - 1]}…"
        _text(svg, left + 18, 52, short)


def _draw(svg: ET.Element, line: Line, x: _Axis, y: _Axis, colour: str) -> None:
    group = ET.SubElement(svg, "g", {"stroke": colour, "fill": colour})
    ET.SubElement(group, "title").text = line.name
    places = [(x(at), y(value)) for at, value in line.points]
    if line.joined and places:
        corners = _stairs(places) if line.steps else places
        path = " ".join(f"{left:g},{top:g}" for left, top in corners)
        style = {"points": path, "fill": "none", "stroke-width": "1.8"}
        ET.SubElement(group, "polyline", style)
    if len(places) <= _FEW and not line.steps:
        for left, top in places:
            ET.SubElement(group, "circle", {"cx": f"{left:g}", "cy": f"{top:g}", "r": "3"})
    for (left, top), label in zip(places, line.labels, strict=False):
        _text(svg, left, top - 8, label, anchor="middle")


def _stairs(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    corners = [places[0]]
    for left, top in places[1:]:
        corners += [(left, corners[-1][1]), (left, top)]
    return corners


def _line(
    svg: ET.Element, x1: float, y1: float, x2: float, y2: float, opacity: float = 0.6
) -> None:
    ends = {"x1": f"{x1:g}", "y1": f"{y1:g}", "x2": f"{x2:g}", "y2": f"{y2:g}"}
    ET.SubElement(svg, "line", {**ends, "stroke": "currentColor", "stroke-opacity": f"{opacity:g}"})


def _text(
    svg: ET.Element, x: float, y: float, text: str, *, anchor: str = "start", css: str = ""
) -> None:
    place = {"x": f"{x:g}", "y": f"{y:g}", "text-anchor": anchor} | ({"class": css} if css else {})
    ET.SubElement(svg, "text", place).text = text
