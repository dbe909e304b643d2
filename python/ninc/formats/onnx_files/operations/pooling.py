"""Pools of windows and of whole maps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..folding import axes_of, room
from ..patterns import affine
from ..sizes import Unknown, Unsupported, product
from ..steps import Array, Sizes, Step, puts_zeros_around
from ..views import View, view_as
from ..walk import Job, Operation
from .windows import Window, output_sizes, window_of

# What a window never has as its largest number while it holds any other.
LOWEST = float(np.finfo(np.float32).min)


def _pool(average: bool) -> Callable[[Job], View]:
    def make(job: Job) -> View:
        counts_pad = job.told.flag("count_include_pad", False) if average else False
        job.told.ignore(*(() if average else ("storage_order",)))  # of an output that is refused
        view = job.maps(job.view(0))
        step = view.step
        window = window_of(job, step.sizes, None)
        if window.dilation != (1, 1):
            raise Unsupported(f"its dilations are {window.dilation}, only 1 is known")
        sizes = output_sizes(job, step.sizes, window, step.sizes.C)
        if _covers(step, window, counts_pad):
            whole = "GlobalAvgPool2d" if average else "GlobalMaxPool2d"
            return view_as(job.add(whole, [step], sizes), "NCHW")
        counted = _with_zeros(step, window) if average and not counts_pad else None
        if counted is not None:
            step, window = counted
            counts_pad = True
        own = _own(step, window, average and counts_pad)
        if own is None and average and not counts_pad:
            return view_as(_mean_without_pads(job, step, window, sizes), "NCHW")
        if own is None:
            value = 0.0 if average else LOWEST
            step, own = _put_around(job, step, window, value, fills=not average)
        settings = _settings(own)
        if average:
            settings["count_include_pad"] = counts_pad
        made = job.add("AvgPool2d" if average else "MaxPool2d", [step], sizes, settings)
        return view_as(made, "NCHW")

    return make


def _settings(window: Window) -> dict[str, Any]:
    return dict(
        kernel_size=window.kernel,
        stride=window.stride,
        padding=window.before,
        ceil_mode=window.ceil,
    )


def _covers(step: Step, window: Window, counts_pad: bool) -> bool:
    """Whether one window takes in all of a map of the declared size, and nothing else counts."""
    sides = (step.sizes.H, step.sizes.W)
    if sides == (1, 1) or (counts_pad and any(window.padding)):
        return False
    return all(
        isinstance(size, int)
        and window.output(axis, size) == 1
        and window.kernel[axis] - window.before[axis] >= size
        for axis, size in enumerate(sides)
    )


def _with_zeros(step: Step, window: Window) -> tuple[Step, Window] | None:
    """A mean over zeros around a map, as over the map with padding that counts; None for none.

    So ninc's exporter writes a mean that counts its padding and rounds up: what hangs over beyond
    the padding does not count, and is padding to the pool.
    """
    if not puts_zeros_around(step) or window.ceil or any(window.before):
        return None
    pads = [step.settings.get(side, (0, 0)) for side in ("height", "width")]
    for axis, (before, after) in enumerate(pads):
        kernel = window.kernel[axis]
        reached = min(before + window.stride[axis], kernel) - 1
        if before != after or 2 * before > kernel or before + window.after[axis] != reached:
            return None
    around = (pads[0][0], pads[1][0])
    return step.input, dataclasses.replace(window, before=around, after=around, ceil=True)


def _own(step: Step, window: Window, counts_pad: bool) -> Window | None:
    """The window as ninc's pools can have it; None where the map has to be padded for it.

    ninc's pads are the same before and behind, and half a kernel at most.
    """
    if any(2 * pad > side for pad, side in zip(window.before, window.kernel)):
        return None
    if window.before == window.after:
        return window
    # Pads do not count where the largest is sought or the mean of what is there. So windows that
    # begin at the same places, and are as many, give the same whatever is behind the map.
    for ceil in () if counts_pad else (False, True):
        other = dataclasses.replace(window, after=window.before, ceil=ceil)
        if all(_as_many(step, window, other, axis) for axis in (0, 1)):
            return other
    return None


def _mean_without_pads(job: Job, step: Step, window: Window, sizes: Sizes) -> Step:
    """Means of what is there, whatever the pads: sums over a map with zeros around it, divided.

    What they are divided by differs from place to place, so it is a constant for maps of this size.
    """
    sides = [step.sizes.H, step.sizes.W]
    if any(isinstance(side, Unknown) for side in sides):
        raise Unsupported(
            f"its pads are {list(window.padding)}, and it leaves them out of its means, which ninc "
            "does for pads of one size before and behind, or for maps of one size"
        )
    room(job, [int(size) for size in (sizes.H, sizes.W)], np.float64)
    rows, columns = (_counts(window, axis, int(side)) for axis, side in enumerate(sides))
    if min(rows.min(), columns.min()) < 1:
        raise Unsupported(
            f"its pads are {list(window.padding)}, and a window lies in them altogether"
        )
    padded, own = _put_around(job, step, window, 0.0, fills=True)
    means = job.add("AvgPool2d", [padded], sizes, _settings(own), suffix="_mean")
    factors = math.prod(window.kernel) / np.outer(rows, columns)
    settings = {"value": job.weight(factors[None])}
    constant = job.add("Constant", [], Sizes(1, 1, *sizes[2:]), settings, suffix="_constant")
    return job.add("Mul", [means, constant], sizes)


def _counts(window: Window, axis: int, size: int) -> Array:
    """Along one axis, how many places of the map each window has."""
    begins = np.arange(window.output(axis, size)) * window.stride[axis] - window.before[axis]
    ends = begins + window.kernel[axis]
    return np.minimum(ends, size) - np.maximum(begins, 0)


def _put_around(
    job: Job, step: Step, window: Window, value: float, fills: bool
) -> tuple[Step, Window]:
    """A map with the pads around it, and the window that slides over it without any.

    value: what the pads are filled with. fills: they reach as far as the last window, which may
    hang over, so that all windows are whole; else what hangs over does not count.

    What is put around counts as map, where a last window may begin that began in padding before. So
    rounding up is said by more pads where these change nothing, or left out.
    """
    sides: list[Any] = []
    pads: list[tuple[int, int]] = []
    rounds: set[bool] = set()
    for axis, size in enumerate((step.sizes.H, step.sizes.W)):
        before, after = window.before[axis], window.after[axis]
        if isinstance(size, Unknown):
            if window.ceil:
                raise Unsupported(
                    f"its pads are {list(window.padding)}, and its ceil_mode rounds up for a size "
                    "that the file leaves open"
                )
            sides.append(job.walk.unknown("P") if before or after else size)
        else:
            over = dataclasses.replace(window, before=(0, 0), after=(0, 0), ceil=False)
            wanted = window.output(axis, size)
            needed = (wanted - 1) * window.stride[axis] + window.kernel[axis] - size - before
            after = max(after, needed) if fills else after
            sides.append(size + before + after)
            if over.output(axis, size + before + after) != wanted:
                if fills:
                    after = max(0, needed)
                    sides[-1] = size + before + after
                elif dataclasses.replace(over, ceil=True).output(axis, sides[-1]) == wanted:
                    rounds.add(True)
                    pads.append((before, after))
                    continue
                else:
                    raise Unsupported(f"its pads are {list(window.padding)}, and it rounds up")
            rounds.add(False)
        pads.append((before, after))
    if len(rounds) > 1:
        raise Unsupported(f"its pads are {list(window.padding)}, and it rounds up on one axis")
    settings = dict(height=pads[0], width=pads[1], value=value)
    sizes = Sizes(step.sizes.N, step.sizes.C, *sides)
    padded = job.add("Pad", [step], sizes, settings, suffix="_pad")
    return padded, dataclasses.replace(window, before=(0, 0), after=(0, 0), ceil=rounds == {True})


def _as_many(step: Step, window: Window, other: Window, axis: int) -> bool:
    """Whether two windows give equally many results, for maps of each size or of the declared.

    With as many zeros more behind as a stride passes over, rounding down is rounding up; those that
    a kernel does not reach from the map would make a window in the padding alone, which ninc does
    not have.
    """
    before, after, stride = window.before[axis], window.after[axis], window.stride[axis]
    if not window.ceil and not other.ceil and after == before:
        return True
    if window.ceil and other.ceil and after == before:
        return True
    reached = min(before + stride, window.kernel[axis]) - 1
    if not window.ceil and other.ceil and after == reached:
        return True
    size = (step.sizes.H, step.sizes.W)[axis]
    return isinstance(size, int) and window.output(axis, size) == other.output(axis, size)


# ---- Whole maps ----------------------------------------------------------------------------------


def _global(op: str) -> Callable[[Job], View]:
    def make(job: Job) -> View:
        view = job.view(0)
        if len(view.axes) < 3 or view.letters[:2] not in (["N", "C"], ["N", ""]):
            view = job.maps(view)
        return _over_maps(job, op, view, range(2, len(view.axes)), True)

    return make


def _over_maps(job: Job, op: str, view: View, axes: range | list[int], keeps: bool) -> View:
    """A pool over whole maps. axes: of the view; they have to hold all of H and W."""
    step = view.step
    atoms = {atom for axis in axes for atom in view.axes[axis]}
    wanted = {atom for axis in view.axes for atom in axis if atom.letter in "HW"}
    if atoms != wanted:
        raise Unsupported(
            f"it goes over the axes {list(axes)} of {view}, only height and width are known"
        )
    made = job.add(op, [step], Sizes(step.sizes.N, step.sizes.C, 1, 1))
    left = [
        () if axis in axes else atoms
        for axis, atoms in enumerate(view.axes)
        if keeps or axis not in axes
    ]
    return View(made, tuple(left))


def _reduction(op: str) -> Callable[[Job], View]:
    def make(job: Job) -> View:
        keeps = job.told.flag("keepdims", True)
        is_nothing = job.told.flag("noop_with_empty_axes", False)
        view = job.view(0)
        rank = len(view.axes)
        axes = axes_of(job, 1, rank)
        if not axes and is_nothing:
            return view
        axes = axes or list(range(rank))
        if op != "Sum":
            return _over_maps(job, op, view, axes, keeps)
        count = product([view.step.sizes.H, view.step.sizes.W])
        if isinstance(count, Unknown):
            raise Unsupported("it sums over maps whose size the file leaves open")
        mean = _over_maps(job, "GlobalAvgPool2d", view, axes, keeps)
        return View(affine(job, mean.step, np.float64(count), np.float64(0.0)), mean.axes)

    return make


OPERATIONS = {
    "MaxPool": Operation(_pool(average=False)),
    "AveragePool": Operation(_pool(average=True)),
    "GlobalAveragePool": Operation(_global("GlobalAvgPool2d")),
    "GlobalMaxPool": Operation(_global("GlobalMaxPool2d")),
    "ReduceMean": Operation(_reduction("GlobalAvgPool2d"), (1, 2)),
    "ReduceMax": Operation(_reduction("GlobalMaxPool2d"), (1, 2)),
    "ReduceSum": Operation(_reduction("Sum"), (1, 2)),
}
