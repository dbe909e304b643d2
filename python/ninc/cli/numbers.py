"""Checks the values of the command line's options, with words for what an option needs."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable


def _whole(lowest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = lowest - 1
        if value < lowest:
            raise argparse.ArgumentTypeError(
                f"must be a whole number of at least {lowest}, got {text!r}"
            )
        return value

    return read


def _real(needs: str, fits: Callable[[float], bool]) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not fits(value):  # NaN fits no option
            raise argparse.ArgumentTypeError(f"must be a number {needs}, got {text!r}")
        return value

    return read


# The first is for what counts something, the second for what numbers something, such as a seed.
positive, not_negative = _whole(1), _whole(0)

# The first is for a learning rate, the second for a weight decay, which may be 0.
positive_real = _real("above 0", lambda value: 0.0 < value < math.inf)
not_negative_real = _real("of 0 or more", lambda value: 0.0 <= value < math.inf)

# The first is for a part that leaves a rest, the second for a momentum, which may be 0.
share = _real("between 0 and 1", lambda value: 0.0 < value < 1.0)
share_or_none = _real("from 0 up to but not including 1", lambda value: 0.0 <= value < 1.0)


def size(text: str) -> tuple[int, int]:
    """(height, width) of "64" or "48x64"."""
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() and int(side) for side in sides):
        raise argparse.ArgumentTypeError(
            f"must be pixels a side, or height x width, such as 64 or 48x64, got {text!r}"
        )
    return int(sides[0]), int(sides[-1])


def row(text: str) -> tuple[float, ...]:
    """The numbers of "0.485,0.456,0.406"."""
    try:
        found = tuple(map(float, text.split(",")))
    except ValueError:
        found = (math.nan,)
    if not all(map(math.isfinite, found)):
        raise argparse.ArgumentTypeError(
            f"must be numbers with commas between them, such as 0.485,0.456,0.406, got {text!r}"
        )
    return found


def colour(text: str) -> tuple[int, int, int]:
    """RGB of a colour's name or of "#rrggbb"."""
    names = {"white": (255, 255, 255), "grey": (128, 128, 128), "black": (0, 0, 0)}
    if text in names:
        return names[text]
    if re.fullmatch("#[0-9A-Fa-f]{6}", text):
        red, green, blue = bytes.fromhex(text[1:])
        return red, green, blue
    raise argparse.ArgumentTypeError(
        f"must be {', '.join(names)} or #rrggbb such as #d0e8ff, got {text!r}"
    )
