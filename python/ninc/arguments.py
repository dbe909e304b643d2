"""What users may write for sizes, brought to the one form the core takes.

`where` in every function names the layer or function for the message: "Conv2d".
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Sequence
from typing import Union

from .errors import ArgumentError, ShapeError

Pair = Union[int, Sequence[int]]
Padding = Union[int, Sequence[int], str]

# What the core's sizes can hold (int64), and its seeds (uint64).
LARGEST = 2**63 - 1
LARGEST_SEED = 2**64 - 1


def integer(where: str, name: str, value: int, lowest: int = 1, highest: int = LARGEST) -> int:
    """A Python int of whatever counts as an integer (numpy's too), from `lowest` to `highest`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ArgumentError(f"{where}: {name} must be an integer, got {value!r}") from None
    if number < lowest:
        raise ArgumentError(f"{where}: {name} must be at least {lowest}, got {number}")
    if number > highest:
        raise ArgumentError(f"{where}: {name} must be at most {highest}, got {number}")
    return number


def whole(where: str, name: str, value: float, lowest: int = 1, highest: int = LARGEST) -> int:
    """As `integer`, but 16.0 is 16 too: numbers that were computed often come as floats."""
    if not isinstance(value, bool) and isinstance(value, numbers.Real) and value == value // 1:
        value = int(value)
    return integer(where, name, value, lowest, highest)


def pair(where: str, name: str, value: Pair, lowest: int = 1) -> tuple[int, int]:
    """(height, width); one number stands for both."""
    values = _integers(where, name, value, lowest)
    if len(values) == 1:
        return values[0], values[0]
    if len(values) != 2:
        raise ArgumentError(f"{where}: {name} must be one or two integers, got {value!r}")
    return values[0], values[1]


def sides(
    where: str,
    padding: Padding,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of an int, (h, w), all four, or "same".

    "same" keeps height and width: d * (k - 1) zeros an axis, the odd one at the bottom and right
    as in PyTorch. Like there, it has a meaning for stride 1 alone.
    """
    if isinstance(padding, str):
        if padding != "same":
            raise ArgumentError(f'{where}: padding must be integers or "same", got {padding!r}')
        if stride != (1, 1):
            raise ArgumentError(f'{where}: padding "same" needs stride 1, got {stride}')
        height, width = (d * (k - 1) for d, k in zip(dilation, kernel_size))
        return height // 2, width // 2, height - height // 2, width - width // 2
    values = _integers(where, "padding", padding, 0)
    if len(values) == 1:
        return values * 4
    if len(values) == 2:
        return values * 2
    if len(values) != 4:
        raise ArgumentError(
            f"{where}: padding must be an integer, (h, w), (top, left, bottom, right) or "
            f'"same", got {padding!r}'
        )
    return values


def layout_told(error: ShapeError, shape: Sequence[int]) -> ShapeError:
    """The error, with what helps where x has its channels last, as many libraries keep them."""
    if len(shape) != 4 or shape[3] not in (1, 3) or shape[1] in (1, 3):
        return error
    return ShapeError(
        f"{error}; x of shape {tuple(shape)} looks like N×H×W×C: x.transpose(0, 3, 1, 2) makes "
        "N×C×H×W of it"
    )


def probability(where: str, value: float) -> float:
    """A share in [0, 1) of elements to drop."""
    share = real(where, "p", value)
    if not 0.0 <= share < 1.0:
        raise ArgumentError(f"{where}: p must be in [0, 1), got {value!r}")
    return share


def real(where: str, name: str, value: float) -> float:
    """A Python float of whatever counts as a number (numpy's too)."""
    if isinstance(value, (str, bytes)):  # float() would read them
        raise ArgumentError(f"{where}: {name} must be a number, got {value!r}")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{where}: {name} must be a number, got {value!r}") from None


def _integers(where: str, name: str, value: Pair, lowest: int) -> tuple[int, ...]:
    values = value if isinstance(value, (tuple, list)) else (value,)
    return tuple(integer(where, name, one, lowest) for one in values)
