"""Functions of each element, dropout, and softmax."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ....errors import ModelError
from ..sizes import Unsupported
from ..steps import ERF
from ..views import View, aligned, axis_of, joined
from ..walk import Job, Operation


def _function(op: str, told: Callable[[Job], Mapping[str, Any]] = lambda job: {}) -> Operation:
    """A layer that gives what has the shape of its input. told: its settings."""

    def make(job: Job) -> View:
        settings = told(job)
        return job.kept(op, job.view(0), settings)

    return Operation(make)


def _gelu(job: Job) -> Mapping[str, Any]:
    approximate = job.told.text("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise Unsupported(f"its approximate is {approximate[:40]!r}")
    return {"approximate": approximate}


def _swish(job: Job) -> Mapping[str, Any]:
    if job.told.number("alpha", 1.0) != 1.0:
        raise Unsupported(f"its alpha is {job.told.number('alpha', 1.0):g}, only 1 is known")
    return {}


def _hard_sigmoid(job: Job) -> Mapping[str, Any]:
    return dict(alpha=job.told.number("alpha", 0.2), beta=job.told.number("beta", 0.5))


def _clip(job: Job) -> View:
    if job.opset < 11:
        low = job.told.any_number("min", -math.inf)
        high = job.told.any_number("max", math.inf)
    else:
        low, high = _number(job, 1, "min", -math.inf), _number(job, 2, "max", math.inf)
    if not low <= high:
        raise Unsupported(f"its limits are {low:g} and {high:g}")
    # A file's word for no limit is also the largest number that there is.
    largest = float(np.finfo(np.float32).max)
    low, high = (-math.inf if low <= -largest else low), (math.inf if high >= largest else high)
    view = job.view(0)
    if (low, high) == (-math.inf, math.inf):
        return view
    op = {(0.0, math.inf): "ReLU", (0.0, 6.0): "ReLU6"}.get((low, high), "Clip")
    return job.kept(op, view, dict(low=low, high=high) if op == "Clip" else {})


def _number(job: Job, place: int, name: str, default: float) -> float:
    """A number that is an input; it may be infinite or NaN."""
    if not job.has(place):
        return default
    numbers = job.floats(place, name)
    if numbers.size != 1:
        raise ModelError(f"{job.what}: its {name} has {numbers.size:,} numbers instead of one")
    return float(numbers.reshape(-1)[0])


def _prelu(job: Job) -> View:
    slope = job.floats(1, "slope")
    view = job.view(0)
    view, numbers = aligned(view, slope)
    if numbers.shape[1:] != (1, 1):
        raise Unsupported("its slope has numbers for places of a map, only for channels are known")
    settings = {"channels": len(numbers)}
    weights = {"weight": numbers.reshape(-1)}
    made = job.add("PReLU", [view.step], view.step.sizes, settings, weights)
    return View(made, view.axes)


def _dropout(job: Job) -> View:
    """A layer that drops while the network trains; whether the file is in training is all one."""
    job.told.ignore("seed")
    if job.has(2):
        job.constant(2, "training_mode")
    ratio = job.told.number("ratio", 0.5) if job.opset < 12 else _number(job, 1, "ratio", 0.5)
    if not 0.0 <= ratio < 1.0:
        raise Unsupported(f"its ratio is {ratio:g}, a number from 0 to below 1 is needed")
    if job.is_used(1):
        raise Unsupported("its second output, mask, is used")
    view = job.view(0)
    return job.kept("Dropout", view, {"p": ratio}) if ratio else view


def _softmax(job: Job) -> View:
    is_newer = job.opset >= 13
    axis = job.told.integer("axis", -1 if is_newer else 1)
    view = job.view(0)
    rank = len(view.axes)
    if not -rank <= axis < rank:
        raise ModelError(f"{job.what}: its axis is {axis}, of {view}")
    axis %= rank
    # Before opset 13 it is over all axes from this one on.
    if view.letter(axis) == "?":
        view = job.whole(view)
    atoms = joined([a for one in view.axes[axis : axis + 1 if is_newer else rank] for a in one])
    step = view.step
    if atoms != axis_of(step, "C"):
        raise Unsupported(
            f"it is over the {'axis' if is_newer else 'axes from'} {axis} of {view}, only channels "
            "are known"
        )
    return View(job.add("Softmax", [step], step.sizes), view.axes)


OPERATIONS = {
    "Relu": _function("ReLU"),
    "LeakyRelu": _function("LeakyReLU", lambda job: {"slope": job.told.number("alpha", 0.01)}),
    "Elu": _function("ELU", lambda job: {"alpha": job.told.number("alpha", 1.0)}),
    "Sigmoid": _function("Sigmoid"),
    "HardSigmoid": _function("HardSigmoid", _hard_sigmoid),
    "HardSwish": _function("HardSwish"),
    "Swish": _function("SiLU", _swish),
    "Tanh": _function("Tanh"),
    "Gelu": _function("GELU", _gelu),
    "Erf": _function(ERF),
    "PRelu": Operation(_prelu, (2, 2)),
    "Clip": Operation(_clip, (1, 3)),
    "Dropout": Operation(_dropout, (1, 3), 2),
    "Softmax": Operation(_softmax),
}
