"""Curves over the epochs as SVG, drawn so that lines are told apart without colours, too.

A chart's words for those who do not see it are its title and its description; the numbers
themselves stand in a table beside the charts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from .markup import Markup, joined, tag
from .style import LINES
from .words import known

# Of the drawing, in its own units, which are near pixels at every width of the page.
_WIDTH, _HEIGHT = 380, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 12, 10, 36

_DASHES = (None, "7 4", "2 3", "9 3 2 3")
_MOST_MARKS = 40  # more marks than these on one line would hide it

# A loss whose largest value is so many times its least is drawn on a logarithmic scale.
_WIDE = 100.0


@dataclasses.dataclass(frozen=True)
class Series:
    """One line. points: (x, y), y None where there is no finite number. number: tells its look."""

    name: str
    points: Sequence[tuple[float, float | None]]
    number: int

    @property
    def known(self) -> list[tuple[float, float]]:
        return [(x, y) for x, y in self.points if y is not None and known(y)]


@dataclasses.dataclass(frozen=True)
class Scale:
    """From values to places of the drawing: `low` lies at `first`, `high` at `last`."""

    low: float
    high: float
    first: float
    last: float
    ticks: Sequence[float]
    logarithmic: bool = False

    def at(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.first + (value - low) / (high - low) * (self.last - self.first)


def chart(
    ident: str,
    title: str,
    series: Sequence[Series],
    words: Callable[[float | None], str],
    mark: tuple[float, str] | None = None,
) -> Markup:
    """A figure with one chart; "" where there is nothing to draw.

    ident: the start of its elements' ids. words: a value as people read it.
    mark: (x, what it is) of a vertical line.
    """
    drawn = [line for line in series if line.known]
    if not drawn:
        return Markup("")
    x = _epochs(sorted({place for line in drawn for place, _ in line.known}))
    y = _values([value for line in drawn for _, value in line.known])
    parts: list[Markup] = [_grid(x, y, words)]
    if mark is not None and x.low <= mark[0] <= x.high:
        parts.append(_vertical(x.at(mark[0]), mark[1]))
    parts += [_line(line, x, y, words) for line in drawn]
    described = "; ".join(_told(line, words) for line in drawn) + "."
    if mark is not None:
        described += f" {mark[1]}: epoch {mark[0]:g}."
    svg = tag(
        "svg",
        tag("title", title, id=f"{ident}-title"),
        tag("desc", described, id=f"{ident}-desc"),
        *parts,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_labelledby=f"{ident}-title {ident}-desc",
    )
    scale = " (logarithmic scale)" if y.logarithmic else ""
    return tag("figure", tag("h3", title, scale), svg)


def legend(series: Sequence[Series]) -> Markup:
    """A sample of each line beside its name."""
    keys = []
    for line in series:
        sample = joined(
            tag("path", d="M1 6H29", **_look(line.number)), _dot(line.number, 15.0, 6.0, "")
        )
        shown = tag("svg", sample, viewBox="0 0 30 12", aria_hidden="true")
        keys.append(tag("span", shown, tag("span", line.name, class_="name"), class_="key"))
    return tag("p", *keys)


def _told(line: Series, words: Callable[[float | None], str]) -> str:
    """ "held out: 60.1% at epoch 1, 88.4% at epoch 10, between 60.1% and 88.6%"."""
    points = line.known
    (first, begin), (last, end) = points[0], points[-1]
    if len(points) == 1:
        return f"{line.name}: {words(begin)} at epoch {first:g}"
    values = [value for _, value in points]
    return (
        f"{line.name}: {words(begin)} at epoch {first:g}, {words(end)} at epoch {last:g}, between "
        f"{words(min(values))} and {words(max(values))}"
    )


# ---- Scales --------------------------------------------------------------------------------------


def _epochs(places: Sequence[float]) -> Scale:
    low, high = places[0], places[-1]
    if low == high:
        low, high = low - 0.5, high + 0.5
    step = max(1.0, _step(high - low, 6))
    ticks = _multiples(low, high, math.ceil(step))
    return Scale(low, high, _LEFT, _WIDTH - _RIGHT, ticks)


def _values(values: Sequence[float]) -> Scale:
    low, high = min(values), max(values)
    bottom, top = _HEIGHT - _BOTTOM, _TOP
    if low > 0.0 and high > _WIDE * low:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        each = -(-(last - first) // 5)
        ticks = [10.0**power for power in range(first, last + 1, each)]
        return Scale(10.0**first, 10.0**last, bottom, top, ticks, logarithmic=True)
    if low == high:
        reach = abs(low) * 0.1 or 1.0
        low, high = low - reach, high + reach
    step = _step(high - low, 4)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return Scale(low, high, bottom, top, _multiples(low, high, step))


def _step(span: float, count: int) -> float:
    """1, 2 or 5 times a power of ten, of which about `count` make the span."""
    power = 10.0 ** math.floor(math.log10(span / count))
    return next(power * times for times in (1, 2, 5, 10) if power * times * count >= span * 0.999)


def _multiples(low: float, high: float, step: float) -> list[float]:
    """The multiples of `step` from `low` to `high`; without the sums' last bits."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.10g}") for number in range(first, last + 1)]


# ---- Drawing -------------------------------------------------------------------------------------


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _grid(x: Scale, y: Scale, words: Callable[[float | None], str]) -> Markup:
    lines, labels = [], []
    for tick in y.ticks:
        place = _number(y.at(tick))
        lines.append(f"M{_LEFT} {place}H{_WIDTH - _RIGHT}")
        below = _number(y.at(tick) + 4)
        labels.append(tag("text", _shortest(tick, words), x=_LEFT - 6, y=below, text_anchor="end"))
    for tick in x.ticks:
        place = _number(x.at(tick))
        lines.append(f"M{place} {_HEIGHT - _BOTTOM}v4")
        labels.append(
            tag("text", f"{tick:g}", x=place, y=_HEIGHT - _BOTTOM + 17, text_anchor="middle")
        )
    middle = _number((_LEFT + _WIDTH - _RIGHT) / 2)
    labels.append(tag("text", "epoch", x=middle, y=_HEIGHT - 4, text_anchor="middle"))
    return joined(tag("path", d="".join(lines), class_="grid"), *labels)


def _shortest(tick: float, words: Callable[[float | None], str]) -> str:
    """A round number of an axis: "60%" where values are shares, else as few digits as it has."""
    if words(1.0).endswith("%"):
        return f"{100 * tick:.6g}%"
    return f"{tick:.6g}"


def _vertical(place: float, words: str) -> Markup:
    """A dotted line over the whole height, with its words on the side where there is room."""
    right = place > (_LEFT + _WIDTH) / 2
    anchor, shift = ("end", -4) if right else ("start", 4)
    line = tag("path", d=f"M{_number(place)} {_TOP}V{_HEIGHT - _BOTTOM}", class_="mark")
    name = tag("text", words, x=_number(place + shift), y=_TOP + 10, text_anchor=anchor)
    return joined(line, name)


def _look(number: int) -> dict[str, str | None]:
    """The class and the dashes of the line that has this number."""
    dashes = _DASHES[(number + number // LINES) % len(_DASHES)]
    return {"class_": f"curve c{number % LINES}", "stroke_dasharray": dashes}


def _line(line: Series, x: Scale, y: Scale, words: Callable[[float | None], str]) -> Markup:
    """The line, interrupted where there is no number, and its marks with their numbers."""
    path, before = [], False
    for place, value in line.points:
        there = value is not None and known(value)
        if value is not None and there:
            path.append(f"{'L' if before else 'M'}{_number(x.at(place))} {_number(y.at(value))}")
        before = there
    points = line.known
    if len(points) > _MOST_MARKS:
        points = points[-1:]
    marks = [
        _dot(line.number, x.at(px), y.at(py), f"{line.name}, epoch {px:g}: {words(py)}")
        for px, py in points
    ]
    return tag("g", tag("path", d="".join(path), **_look(line.number)), *marks)


def _dot(number: int, x: float, y: float, words: str) -> Markup:
    """A mark of the shape that lines of this number have; its title shows where a mouse rests."""
    r = 3.6
    shapes = (
        f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z",
        f"M{x - 3.2:.1f} {y - 3.2:.1f}h6.4v6.4h-6.4z",
        f"M{x:.1f} {y - 4.4:.1f}l4.2 7.4h-8.4z",
        f"M{x:.1f} {y - 4.6:.1f}l4.6 4.6l-4.6 4.6l-4.6 -4.6z",
    )
    title = tag("title", words) if words else None
    return tag("path", title, d=shapes[number % len(shapes)], class_=f"dot c{number % LINES}")
