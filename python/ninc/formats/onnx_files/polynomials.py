"""Polynomials of one value, up to x³, as arithmetic with constants and products make them of it.

A file may write x + 0.044715 * x³ with powers, products and sums in many orders; the polynomial
that comes out is the same for all of them. Its coefficients are 4×C float64, the constant first,
or 4×1 where all channels have the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Optional

import numpy as np

from .steps import AFFINE, Array, Step

DEGREE = 3
# Steps that are looked at: few are enough, and a hostile file has thousands that lead to one.
_MOST_STEPS = 16

# The polynomials of steps; None for those that are none.
Known = dict[Step, Optional[Array]]


def line(slope: Array, constant: Array) -> Array:
    """slope * x + constant; both of one number or one a channel."""
    return _power(slope, 1) + _power(constant, 0)


def polynomial(step: Step, known: Known) -> Array | None:
    """The step as a polynomial; None where it is none, or is one only by way of many steps.

    known: the polynomial of the step that is to be x, and of others; what is found is added.
    """
    if step in known or len(known) >= _MOST_STEPS:
        return known.get(step)
    known[step] = None
    if step.op == AFFINE:
        x = polynomial(step.input, known)
        if x is not None:
            known[step] = x * step.scale.reshape(-1) + _power(step.shift, 0)
    elif step.op in _ARITHMETIC:
        a, b = (polynomial(one, known) for one in step.inputs)
        if a is not None and b is not None:
            known[step] = _ARITHMETIC[step.op](a, b)
    return known[step]


def composed(coefficients: Sequence[float], x: Array) -> Array | None:
    """The polynomial with these coefficients, the constant first, of an x that is one itself."""
    total: Array | None = np.zeros((DEGREE + 1, 1))
    for coefficient in reversed(coefficients):
        total = None if total is None else _product(total, x)
        total = None if total is None else total + _power(np.array(coefficient), 0)
    return total


def _power(coefficient: Array, degree: int) -> Array:
    """coefficient * x^degree"""
    made = np.zeros((DEGREE + 1, coefficient.size))
    made[degree] = coefficient.reshape(-1)
    return made


def _product(a: Array, b: Array) -> Array | None:
    """None where it has higher powers."""
    made = np.zeros((2 * DEGREE + 1, max(a.shape[1], b.shape[1])))
    for degree, row in enumerate(a):
        made[degree : degree + DEGREE + 1] += row * b
    return None if made[DEGREE + 1 :].any() else made[: DEGREE + 1]


_ARITHMETIC: Mapping[str, Callable[[Array, Array], Array | None]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": _product,
}
