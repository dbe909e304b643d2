"""Arithmetic with constants, and the functions that files write as several nodes.

    x * sigmoid(x)                          SiLU
    x * hard_sigmoid(x), x * relu6(x + 3) / 6    HardSwish
    x * (1 + erf(x / sqrt(2))) / 2          GELU

Constant factors may stand anywhere among these: what was found is scaled by the factor that is
left, and scales one after another become one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .steps import AFFINE, ERF, Array, Sizes, Step, scalar
from .walk import Job

# Constants in files are float32: 1/6 is off by some 1e-8, and products of a few by more.
_CLOSE = 1e-6


def affine(job: Job, step: Step, scale: Any, shift: Any) -> Step:
    """scale * step + shift, both of one number or one a channel."""
    scale, shift = np.asarray(scale, np.float64), np.asarray(shift, np.float64)
    with np.errstate(all="ignore"):  # numbers of a stranger, who may have stored infinity
        if step.op == AFFINE:
            step, scale, shift = step.input, step.scale * scale, step.shift * scale + shift
    factor, added = scalar(scale), scalar(shift)
    if factor is not None and added == 0.0:
        if abs(factor - 1.0) < _CLOSE / 4:
            return step
        is_gate = step.op == "ReLU6" and abs(6.0 * factor - 1.0) < _CLOSE
        x = step.input if is_gate else None
        if x is not None and x.op == AFFINE and _is(x.scale, 1.0) and _is(x.shift, 3.0):
            step.absorbed = True
            settings = dict(alpha=1 / 6, beta=0.5)
            return job.add("HardSigmoid", [x.input], step.sizes, settings)
    job.walk.program.tensors.budget.take(scale.nbytes + shift.nbytes, f"what {job.node} needs")
    return job.add(AFFINE, [step], step.sizes, dict(scale=scale, shift=shift))


def multiplied(job: Job, a: Step, b: Step, sizes: Sizes) -> Step:
    """a * b; one of the functions above where the two are parts of it."""
    for one, gate in ((a, b), (b, a)):
        for x, factor in _unscaled(one):
            found = _gated(job, x, gate, factor)
            if found is not None:
                return found
    return job.add("Mul", [a, b], sizes)


def _gated(job: Job, x: Step, gate: Step, factor: float) -> Step | None:
    base, scale = list(_unscaled(gate))[-1]
    factor *= scale
    told = base.settings
    if base.op == "Sigmoid" and base.input is x:
        return _found(job, "SiLU", x, base, factor)
    if base.op == "HardSigmoid" and base.input is x:
        if _is(told["alpha"], 1 / 6) and _is(told["beta"], 0.5):
            return _found(job, "HardSwish", x, base, factor)
    if base.op == "ReLU6" and _is_affine_of(base.input, x, 1.0, 3.0):
        return _found(job, "HardSwish", x, base, 6.0 * factor)
    if gate.op == AFFINE and gate.input.op == ERF:
        half, shift = scalar(gate.scale), scalar(gate.shift)
        if half and shift is not None and _is(shift, half):
            if _is_affine_of(gate.input.input, x, math.sqrt(0.5), 0.0):
                return _found(job, "GELU", x, gate.input, 2.0 * half * factor / scale)
    return None


def _found(job: Job, op: str, x: Step, part: Step, factor: float) -> Step:
    part.absorbed = True
    return affine(job, job.add(op, [x], x.sizes), factor, 0.0)


def _unscaled(step: Step) -> Iterator[tuple[Step, float]]:
    """The step, and last what it is a multiple of, with the factor."""
    yield step, 1.0
    if step.op == AFFINE and not step.shift.any():
        factor = scalar(step.scale)
        if factor:
            yield step.input, factor


def _is_affine_of(step: Step, x: Step, scale: float, shift: float) -> bool:
    """Whether step = scale * x + shift, both perhaps being scaled and shifted of a third."""
    base, a, b = _normal(step)
    of, c, d = _normal(x)
    with np.errstate(all="ignore"):
        return base is of and _is(a, c * scale) and _is(b, d * scale + shift)


def _normal(step: Step) -> tuple[Step, Array, Array]:
    if step.op == AFFINE:
        return step.input, step.scale, step.shift
    return step, np.array(1.0), np.array(0.0)


def _is(numbers: Any, wanted: Any) -> bool:
    return bool(np.allclose(numbers, wanted, rtol=_CLOSE, atol=_CLOSE / 100))
