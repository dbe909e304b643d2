"""Checks what users write for arguments, and brings it to the one form that the core takes.

The checks raise ArgumentError where a value makes no sense. `where` is the layer or function
that the message names, such as "Conv2d"; `name` is the argument's name.
"""

from __future__ import annotations

import itertools
import math
import numbers
import operator
import os
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union, cast

import numpy as np
import numpy.typing as npt

from ..errors import ArgumentError, DTypeError, ShapeError
from .arrays import check_unmasked, made
from .files import user_path

if TYPE_CHECKING:  # the command line looks at the environment before it loads the core
    from .. import _core

Pair = Union[int, Sequence[int]]
Padding = Union[int, Sequence[int], str]

# The largest numbers that the core's sizes (int64) and its seeds (uint64) can hold.
LARGEST = 2**63 - 1
LARGEST_SEED = 2**64 - 1

_MOST_NAMES = 8  # a message shows so many of a list
_MOST_COMPARED = 10_000  # names among which one like a wrong one is looked for
_LONGEST_COMPARED = 200  # characters of such a name


def integer(where: str, name: str, value: int, lowest: int = 1, highest: int = LARGEST) -> int:
    """The value as a Python int from `lowest` to `highest`; numpy's integers are taken, too."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ArgumentError(f"{where}: {name} must be an integer, got {shown(value)}") from None
    if number < lowest:
        raise ArgumentError(f"{where}: {name} must be at least {lowest}, got {shown(number)}")
    if number > highest:
        raise ArgumentError(f"{where}: {name} must be at most {highest}, got {shown(number)}")
    return number


def whole(where: str, name: str, value: float, lowest: int = 1, highest: int = LARGEST) -> int:
    """Does as `integer`, but takes 16.0 for 16, since computed numbers often come as floats."""
    if not isinstance(value, bool) and isinstance(value, numbers.Real) and value == value // 1:
        return integer(where, name, int(value), lowest, highest)
    return integer(where, name, cast(int, value), lowest, highest)  # which tells what is none


def pair(where: str, name: str, value: Pair, lowest: int = 1) -> tuple[int, int]:
    """Returns (height, width) of two numbers, or of one number that stands for both."""
    values = _integers(where, name, value, lowest)
    if len(values) == 1:
        return values[0], values[0]
    if len(values) != 2:
        raise ArgumentError(f"{where}: {name} must be one or two integers, got {shown(value)}")
    return values[0], values[1]


def sides(
    where: str,
    padding: Padding,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int, int]:
    """Returns (top, left, bottom, right) of an int, of (h, w), of all four, or of "same".

    "same" keeps height and width: it puts d * (k - 1) zeros on each axis, the odd one at the bottom
    and right as in PyTorch. As there, it has a meaning for stride 1 alone.
    """
    if isinstance(padding, str):
        if padding != "same":
            raise ArgumentError(
                f'{where}: padding must be integers or "same", got {shown(padding)}'
            )
        if stride != (1, 1):
            raise ArgumentError(f'{where}: padding "same" needs stride 1, got {stride}')
        height, width = (d * (k - 1) for d, k in zip(dilation, kernel_size))
        return height // 2, width // 2, height - height // 2, width - width // 2
    values = _integers(where, "padding", padding, 0)
    if len(values) in (1, 2):  # for all sides, or (h, w) for both sides of each axis
        values *= 4 // len(values)
    if len(values) != 4:
        raise ArgumentError(
            f"{where}: padding must be an integer, (h, w), (top, left, bottom, right) or "
            f'"same", got {shown(padding)}'
        )
    top, left, bottom, right = values
    return top, left, bottom, right


def input_told(model: _core.Model, error: ShapeError, x: Any) -> ShapeError:
    """The network's error about x, and what helps where x holds pictures as libraries keep them."""
    # Other libraries have types of their own: "torch.uint8".
    if str(getattr(x, "dtype", "")).rpartition(".")[2] != "uint8":
        return layout_told(model, error, getattr(x, "shape", ()))
    told = str(error).partition("; ")[0]  # the core would only propose to convert x
    return DTypeError(
        f"{told}; a network takes normalised pictures as N×C×H×W float32: predict and ninc.explain "
        "take them as they are and normalise them"
    )


def layout_told(model: _core.Model, error: ShapeError, shape: Sequence[int]) -> ShapeError:
    """Adds to the error about x what helps where x is one picture, or has its channels last.

    Many libraries keep pictures so. Channels are last where the network takes them so turned.
    """
    if len(shape) == 3:
        last = shape[2] in (1, 3) and shape[0] not in (1, 3)
        planes = "x.transpose(2, 0, 1)" if last else "x"
        return ShapeError(f"{error}; {planes}[np.newaxis] makes N×C×H×W of one picture")
    if len(shape) != 4 or shape[3] not in (1, 3) or shape[1] in (1, 3):
        return error
    try:
        model.output_shape((1, shape[3], shape[1], shape[2]))
    except ShapeError:
        return error
    return ShapeError(
        f"{error}; x of shape {tuple(shape)} looks like N×H×W×C: x.transpose(0, 3, 1, 2) makes "
        "N×C×H×W of it"
    )


def real(where: str, name: str, value: float) -> float:
    """The value as a Python float; numpy's numbers are taken, too."""
    # float() would also read a number out of a text, and it takes bytes of every kind for texts.
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        raise ArgumentError(f"{where}: {name} must be a number, got {shown(value)}")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{where}: {name} must be a number, got {shown(value)}") from None


def limits(where: str, low: float, high: float) -> tuple[float, float]:
    """Both as Python floats, low not above high; infinite ones are taken."""
    lower, upper = real(where, "low", low), real(where, "high", high)
    if not lower <= upper:
        raise ArgumentError(
            f"{where}: low must not be above high, got low {shown(low)} and high {shown(high)}"
        )
    return lower, upper


def response_norm_settings(
    where: str, size: int, alpha: float, beta: float, k: float
) -> tuple[int, float, float, float]:
    """Those of local response normalization; ArgumentError where one is out of range."""
    if integer(where, "size", size) % 2 == 0:
        raise ArgumentError(f"{where}: size must be odd, got {shown(size)}")
    return (
        int(size),
        not_negative(where, "alpha", alpha),
        not_negative(where, "beta", beta),
        positive(where, "k", k),
    )


def _real_that(fits: Callable[[float], bool], needs: str) -> Callable[[str, str, float], float]:
    """A check as `real` is one, of numbers that also fit; NaN fits nothing."""

    def check(where: str, name: str, value: float) -> float:
        number = real(where, name, value)
        if not fits(number):
            raise ArgumentError(f"{where}: {name} must {needs}, got {shown(value)}")
        return number

    return check


share = _real_that(lambda value: 0.0 <= value <= 1.0, "lie in 0..1")
share_below_1 = _real_that(lambda value: 0.0 <= value < 1.0, "lie in 0..1, 1 excluded")
share_between = _real_that(lambda value: 0.0 < value < 1.0, "lie between 0 and 1")
not_negative = _real_that(lambda value: 0.0 <= value < math.inf, "be a number of 0 or more")
positive = _real_that(lambda value: 0.0 < value < math.inf, "be a number above 0")


def flag(where: str, name: str, value: bool) -> bool:
    """The value as True or False, of which numpy's and 1 and 0 are taken, too.

    Other values count as true in Python in ways that nobody meant here.
    """
    if isinstance(value, np.bool_):
        return bool(value)
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if number not in (0, 1):
        raise ArgumentError(f"{where}: {name} must be True or False, got {shown(value)}")
    return bool(number)


def one_of(where: str, name: str, value: str, known: Sequence[str]) -> str:
    """The value where it is one of a few words."""
    # An array compares with each word element by element; only a text can be one.
    if not isinstance(value, str) or value not in known:
        words = " or ".join((", ".join(map(repr, known[:-1])), repr(known[-1])))
        raise ArgumentError(f"{where}: {name} must be {words}, got {shown(value)}")
    return value


def listed(where: str, name: str, value: Iterable[Any], what: str) -> list[Any]:
    """The value as a list, where it holds several things in an order.

    A text is one thing, a mapping's keys are not what its owner means, and a set has another order
    in each run; all three are refused.
    """
    check_unmasked(f"{where}: {name}", value)
    single = isinstance(value, (str, bytes, bytearray, memoryview, Mapping))
    if single or isinstance(value, (set, frozenset)) or not is_iterable(value):
        raise ArgumentError(f"{where}: {name} must be {what}, got {shown(value)}")
    return list(value)


def is_iterable(value: Any) -> bool:
    """Tells whether a value can be iterated, without beginning to iterate it.

    The beginning alone may cost work or be noticed.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        return value.ndim > 0  # numpy's numbers look as if they had elements
    return isinstance(value, Iterable) or hasattr(type(value), "__getitem__")


def path(where: str, name: str, value: str | os.PathLike[str]) -> str:
    """The value as a file's name, with the home folder in the place of "~".

    Numbers are refused, though Python takes some of them for open files.
    """
    try:
        text = os.fsdecode(value)
    except TypeError:
        raise ArgumentError(f"{where}: {name} must be a file name, got {shown(value)}") from None
    if "\0" in text:
        raise ArgumentError(f"{where}: {name} must be a file name, got one with a NUL in it")
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise ArgumentError(
            f"{where}: {name} must be a file name, got {shown(text)} ({error})"
        ) from None
    return user_path(text)


def array(where: str, name: str, value: Any) -> npt.NDArray[Any]:
    """The value as an array, where numpy can make one of it; see `arrays.made`."""
    return made(f"{where}: {name}", value)


def function(where: str, name: str, value: Any, what: str) -> Any:
    """The value where it can be called or is None."""
    if value is not None and not callable(value):
        raise ArgumentError(f"{where}: {name} must be {what}, got {shown(value)}")
    return value


def shown(value: object) -> str:
    """The value as a message shows it: on one line, and cut where it is long."""
    try:
        return " ".join(reprlib.repr(value).split())
    except ValueError:  # Python refuses to write out integers of thousands of digits
        return f"an {type(value).__name__} of {cast(int, value).bit_length():,} bits"


def _integers(where: str, name: str, value: Pair, lowest: int) -> tuple[int, ...]:
    values = value if isinstance(value, (tuple, list)) else (value,)
    return tuple(integer(where, name, one, lowest) for one in values)


def quoted(names: Sequence[str]) -> str:
    """ "'a', 'b' and 7 more", for a message."""
    told = ", ".join(map(repr, list(names)[:_MOST_NAMES]))
    return f"{told} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else told


def likeness(name: str, names: Iterable[str]) -> str:
    """ "; did you mean 'a', 'b'?" of names like a wrong one, for a message; "" where none are."""
    import difflib

    some = [one for one in itertools.islice(names, _MOST_COMPARED) if len(one) <= _LONGEST_COMPARED]
    near = difflib.get_close_matches(name[:_LONGEST_COMPARED], some, 3)
    return f"; did you mean {quoted(near)}?" if near else ""


def few(names: Sequence[str]) -> str:
    """The first ten names, for a message, with dots after them where there are more."""
    return f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
