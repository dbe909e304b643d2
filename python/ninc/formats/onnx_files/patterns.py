"""Arithmetic with constants, and the functions that files write as several nodes.

    x * sigmoid(x)                                              SiLU
    x * hard_sigmoid(x), x * relu6(x + 3) / 6                   HardSwish
    x * (1 + erf(x / sqrt(2))) / 2                              GELU
    x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x³))) / 2      GELU by tanh

Constant factors may stand anywhere among these, and what is inside a function may be written in
any order: it is compared as a polynomial of x. What was found is scaled by the factor that is left,
and scales one after another become one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .polynomials import DEGREE, Known, composed, line, polynomial
from .sizes import Unsupported
from .steps import AFFINE, ERF, Array, Sizes, Step, scalar
from .walk import Job

# Constants in files are float32: 1/6 is off by some 1e-8, and products of a few by more.
_CLOSE = 1e-6

_LARGEST = 1e3  # of factors; those of files are 6 and below, and what is far from 1 may overflow
_MOST_TRIED = 8  # of the scales of one value: the last ones


@dataclasses.dataclass(frozen=True)
class _Gated:
    """x * (function(inner(x)) + shift) = layer(x) * factor

    function: a step's op, and its settings. inner: the polynomial's coefficients, the constant
    first. layer: a step's op, and its settings.
    """

    function: tuple[str, Mapping[str, float]]
    inner: tuple[float, ...]
    layer: tuple[str, Mapping[str, Any]]
    shift: float = 0.0
    factor: float = 1.0


_ROOT = math.sqrt(2.0 / math.pi)
_X = (0.0, 1.0)

_PATTERNS = (
    _Gated(("Sigmoid", {}), _X, ("SiLU", {})),
    _Gated(("HardSigmoid", dict(alpha=1 / 6, beta=0.5)), _X, ("HardSwish", {})),
    _Gated(("ReLU6", {}), (3.0, 1.0), ("HardSwish", {}), factor=6.0),
    _Gated(("Clip", dict(low=0.0, high=1.0)), (0.5, 1 / 6), ("HardSwish", {})),
    _Gated((ERF, {}), (0.0, math.sqrt(0.5)), ("GELU", {}), shift=1.0, factor=2.0),
    _Gated(
        ("Tanh", {}), (0.0, _ROOT, 0.0, 0.044715 * _ROOT), ("GELU", dict(approximate="tanh")),
        shift=1.0, factor=2.0,
    ),
)  # fmt: skip


def affine(job: Job, step: Step, scale: Any, shift: Any) -> Step:
    """scale * step + shift, both of one number or one a channel."""
    scale, shift = np.asarray(scale, np.float64), np.asarray(shift, np.float64)
    names = {"scale": job.node.name, "shift": job.node.name}
    with np.errstate(all="ignore"):  # numbers of a stranger, who may have stored infinity
        if step.op == AFFINE:
            counts = sorted({one.size for one in (step.scale, step.shift, scale, shift)} - {1})
            if len(counts) > 1:  # of a value whose channels the file leaves open
                raise Unsupported(f"constants are for {counts[0]} channels and for {counts[1]}")
            if not shift.any():
                names["shift"] = step.names["shift"]
            elif scalar(scale) == 1.0:
                names["scale"] = step.names["scale"]
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
    made = job.add(AFFINE, [step], step.sizes, dict(scale=scale, shift=shift, names=names))
    job.walk.scaled.setdefault(id(step), []).append(made)
    return made


def multiplied(job: Job, a: Step, b: Step, sizes: Sizes) -> Step:
    """a * b; one of the functions above where the two are parts of it."""
    for one, gate in ((a, b), (b, a)):
        found = _gated(job, one, gate)
        if found is not None:
            return found
    return job.add("Mul", [a, b], sizes)


def _gated(job: Job, one: Step, gate: Step) -> Step | None:
    """one * gate as a layer, where gate is a scaled function of what `one` is a multiple of."""
    part, scale, shift = _normal(gate)
    share = scalar(scale)
    for pattern in _PATTERNS:
        (function, told), (layer, settings) = pattern.function, pattern.layer
        if part.op != function or not all(_is(part.settings[name], told[name]) for name in told):
            continue
        if not share or not _is(shift, share * pattern.shift):
            continue
        argument = _argument(job, one, part.input, pattern.inner)
        if argument is not None:
            x, factor = argument
            part.absorbed = True
            made = job.add(layer, [x], x.sizes, settings)
            return affine(job, made, factor * share * pattern.factor, 0.0)
    return None


def _argument(
    job: Job, one: Step, given: Step, wanted: tuple[float, ...]
) -> tuple[Step, float] | None:
    """x and a factor such that one = factor * x and given = wanted(x), a polynomial; or None."""
    base, slope, constant = _normal(one)
    known: Known = {base: line(np.ones(1), np.zeros(1))}
    if job.walk.comparable <= 0:
        return None
    try:
        with np.errstate(all="ignore"):
            found = polynomial(given, known)
            job.walk.comparable -= sum(each.size for each in known.values() if each is not None)
            if found is None:
                return None
            factor = _factor(slope, found, wanted)
            if not 1 / _LARGEST < abs(factor) < _LARGEST:
                return None
            x = line(slope, constant) / factor
            expected = composed(wanted, x)
            if expected is None or not _are_same(found, expected, x):
                return None
            if factor == 1.0:
                return one, factor
            # The file has x itself where others read it, too.
            for other in (base, *job.walk.scaled.get(id(base), [])[-_MOST_TRIED:]):
                if _are_same(line(*_normal(other)[1:]), x, x):
                    return other, factor
    except ValueError:  # constants for different numbers of channels, where the file leaves it open
        return None
    return affine(job, one, 1.0 / factor, 0.0), factor


def _factor(slope: Array, found: Array, wanted: tuple[float, ...]) -> float:
    """By the highest powers: found has wanted * (slope / factor)^degree.

    It is infinite or NaN where there is none.
    """
    degree = len(wanted) - 1
    slopes, highest = np.broadcast_arrays(slope.reshape(-1), found[degree])
    place = int(np.abs(slopes).argmax())
    power = wanted[-1] * slopes[place] ** degree / highest[place]
    factor = float(np.copysign(np.abs(power) ** (1 / degree), power))
    plain = float(f"{factor:.4g}")  # 0.5 of float32 constants whose product is 0.50000003
    return plain if _is(factor, plain) else factor


def _are_same(a: Array, b: Array, x: Array) -> bool:
    """Whether two polynomials are the same but for the rounding of constants.

    x: what both are polynomials of, a line. Small slopes of it make small coefficients, and small
    differences between these matter as much.
    """
    units = np.abs(x[1]) ** np.arange(DEGREE + 1)[:, None]
    return bool((np.abs(a - b) <= _CLOSE * np.abs(b) + _CLOSE / 100 * units).all())


def _normal(step: Step) -> tuple[Step, Array, Array]:
    """What the step is a scale and a shift of, and these."""
    if step.op == AFFINE:
        return step.input, step.scale, step.shift
    return step, np.array(1.0), np.array(0.0)


def _is(numbers: Any, wanted: Any) -> bool:
    return bool(np.allclose(numbers, wanted, rtol=_CLOSE, atol=_CLOSE / 100))
