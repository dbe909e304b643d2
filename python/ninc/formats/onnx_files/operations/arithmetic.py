"""Sums, products and what joins branches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....errors import ModelError
from ..patterns import affine, multiplied
from ..sizes import Size, Unknown, Unsupported
from ..steps import Array, Sizes, scalar
from ..views import Axis, View, aligned, view_as, whole
from ..walk import Job, Operation

_MANY = 10_000


def _binary(op: str) -> Operation:
    def make(job: Job) -> View:
        a, b = job.value(0), job.value(1)
        return _joined(job, op, a, b)

    return Operation(make, (2, 2))


def _joined(job: Job, op: str, a: Array | View, b: Array | View) -> View:
    """The operation on two values, of which one may be a constant."""
    if isinstance(a, View) and isinstance(b, View):
        axes, sizes = broadcast(job, a, b)
        if op == "Mul":
            return View(multiplied(job, a.step, b.step, sizes), axes)
        return View(job.add(op, [a.step, b.step], sizes), axes)
    return _with_constant(job, op, a, b)


def _with_constant(job: Job, op: str, a: Array | View, b: Array | View) -> View:
    is_first = isinstance(b, View)
    view, numbers = (b, a) if is_first else (a, b)
    assert isinstance(view, View) and not isinstance(numbers, View)
    if numbers.dtype.kind != "f":
        raise Unsupported(f"its constant is of type {numbers.dtype}, not of floats")
    view, numbers = aligned(view, numbers)
    if numbers.shape[1:] != (1, 1) or (op == "Div" and is_first):
        return _with_map(job, op, view, numbers, is_first)
    each: Array = numbers.reshape(-1).astype(np.float64)
    each = each.reshape(()) if each.size == 1 else each
    with np.errstate(all="ignore"):
        scale, shift = _scale_and_shift(op, each, is_first)
    return View(affine(job, view.step, scale, shift), view.axes)


def _scale_and_shift(op: str, each: Array, is_first: bool) -> tuple[Any, Any]:
    """What x op each is, or each op x where the constant is the first; c / x is neither."""
    if op == "Mul":
        return each, 0.0
    if op == "Div":
        return 1.0 / each, 0.0
    if op == "Sub":
        return (-1.0, each) if is_first else (1.0, -each)
    return 1.0, each


def _with_map(job: Job, op: str, view: View, numbers: Array, is_first: bool) -> View:
    """With a constant that is a map of its own, or that the value divides."""
    sizes = Sizes(1, *numbers.shape)
    settings = {"value": job.weight(numbers)}
    constant = job.add("Constant", [], sizes, settings, suffix="_constant")
    pair = [constant, view.step] if is_first else [view.step, constant]
    return View(job.add(op, pair, view.step.sizes), view.axes)


def broadcast(job: Job, a: View, b: View) -> tuple[tuple[Axis, ...], Sizes]:
    """The axes and sizes of what two values give element by element, as numpy broadcasts."""
    rank = max(len(a.axes), len(b.axes))
    rows = [((),) * (rank - len(one.axes)) + one.axes for one in (a, b)]
    axes: list[Axis] = []
    for one, other in zip(*rows):
        if not one or not other or _are_same(a, one, b, other):
            axes.append(one if one and not _is_open(one) else other or one)
            continue
        raise Unsupported(f"it joins {a} and {b}, whose axes are not ninc's same ones")
    sizes = [_common(job, *pair) for pair in zip(a.step.sizes, b.step.sizes)]
    return tuple(axes), Sizes(*sizes)


def _are_same(a: View, one: Axis, b: View, other: Axis) -> bool:
    """Whether two axes are the same of ours, as far as their sizes are known."""
    if one == other:
        return True
    if [atom.letter for atom in one] != [atom.letter for atom in other] or len(one) != 1:
        return False
    is_whole = one[0] == whole(a.step, one[0].letter) and other[0] == whole(b.step, one[0].letter)
    return is_whole and (_is_open(one) or _is_open(other))


def _is_open(axis: Axis) -> bool:
    return any(isinstance(atom.size, Unknown) for atom in axis)


def _common(job: Job, a: Size, b: Size) -> Size:
    """The size of an axis that two values share, or that one of them has."""
    if a == 1 or isinstance(a, Unknown):
        return a if b == 1 else b
    return a


def _pow(job: Job) -> View:
    """x² and x³, as products."""
    exponent = scalar(job.constant(1, "exponent"))
    if exponent is None:
        raise Unsupported("it has several exponents, only one for all is known")
    if exponent not in (1, 2, 3):
        raise Unsupported(f"its exponent is {exponent}, only 1, 2 and 3 are known")
    view = job.view(0)
    power = view.step
    for left in range(int(exponent) - 1, 0, -1):
        suffix = "_square" if left > 1 else ""
        power = job.add("Mul", [power, view.step], view.step.sizes, suffix=suffix)
    return View(power, view.axes)


# ---- Sums of many, and channels side by side -----------------------------------------------------


def _sum(job: Job) -> View:
    values = [job.value(place) for place in range(len(job))]
    views = [value for value in values if isinstance(value, View)]
    # A view first: what joins a constant and a value gives a value. There is one, else the node
    # would have been computed by numpy.
    total = views[0]
    others: list[Any] = [value for value in values if not isinstance(value, View)]
    for value in [*views[1:], *others]:
        total = _joined(job, "Add", total, value)
    return total


def _concat(job: Job) -> View:
    axis = job.told.integer("axis", 1)
    views = [_with_axis(job, job.view(place), axis) for place in range(len(job))]
    if len(views) == 1:
        return views[0]
    letters = _letters(job, views, axis)
    steps = [view.step for view in views]
    known = [step.sizes.C for step in steps]
    channels: Size = (
        job.walk.unknown("C") if any(isinstance(one, Unknown) for one in known) else sum(known)
    )
    sides = [_shared(job, [step.sizes.of(one) for step in steps]) for one in "HW"]
    sizes = Sizes(steps[0].sizes.N, channels, *sides)
    return view_as(job.add("Concat", steps, sizes), letters)


def _with_axis(job: Job, view: View, axis: int) -> View:
    if not -len(view.axes) <= axis < len(view.axes):
        raise ModelError(f"{job.what}: joins along axis {axis} of {view}")
    return job.whole(view)


def _letters(job: Job, views: Sequence[View], axis: int) -> list[str]:
    """The axes of what is joined; Unsupported where these are not channels side by side."""
    rows = [view.letters for view in views]
    if len({len(row) for row in rows}) > 1:
        raise ModelError(f"{job.what}: joins values of {' and '.join(map(str, views[:2]))}")
    axis %= len(rows[0])
    for view, row in zip(views, rows):
        if row[axis] not in ("C", "") or (not row[axis] and view.step.sizes.C != 1):
            raise Unsupported(f"its axis is {axis} of {view}, only channels are known")
        row[axis] = "C"
    if any(row != rows[0] for row in rows):
        raise Unsupported(f"it joins {views[0]} with values of other axes")
    return rows[0]


def _shared(job: Job, sizes: Sequence[Size]) -> Size:
    known = {size for size in sizes if not isinstance(size, Unknown)}
    if len(known) > 1:
        raise ModelError(f"{job.what}: joins maps of the sizes {sorted(known)}")
    return next(iter(known), sizes[0])


OPERATIONS = {
    "Add": _binary("Add"),
    "Sub": _binary("Sub"),
    "Mul": _binary("Mul"),
    "Div": _binary("Div"),
    "Pow": Operation(_pow, (2, 2)),
    "Sum": Operation(_sum, (1, _MANY)),
    "Concat": Operation(_concat, (1, _MANY)),
    "Neg": Operation(lambda job: View(affine(job, job.view(0).step, -1.0, 0.0), job.view(0).axes)),
}
