"""Numbers on the command line: what may stand behind an option, and the words where it may not."""

from __future__ import annotations

import argparse
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
        if not fits(value):  # not a number fits nowhere
            raise argparse.ArgumentTypeError(f"must be a number {needs}, got {text!r}")
        return value

    return read


_INFINITY = float("inf")

# What counts something; what numbers something, such as a seed.
positive, not_negative = _whole(1), _whole(0)

# A learning rate; a weight decay, which may be none.
positive_real = _real("above 0", lambda value: 0.0 < value < _INFINITY)
not_negative_real = _real("of 0 or more", lambda value: 0.0 <= value < _INFINITY)

# A part that leaves a rest; a momentum, which may be none.
share = _real("between 0 and 1", lambda value: 0.0 < value < 1.0)
share_or_none = _real("from 0 up to but not including 1", lambda value: 0.0 <= value < 1.0)
