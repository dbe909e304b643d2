"""Numbers as a report writes them. What is not there, or not finite, is a dash."""

from __future__ import annotations

import math

from .._base.memory import size_text
from .._base.progress import loss_text, time_text

NOTHING = "–"


def known(value: object) -> bool:
    """True for a finite number."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def percent(share: float | None, places: int = 1) -> str:
    """ "93.0%" of a share."""
    return NOTHING if share is None or not known(share) else f"{share:.{places}%}"


def loss(value: float | None) -> str:
    return NOTHING if value is None or not known(value) else loss_text(value)


def plain(value: float | None) -> str:
    """Four digits of a number whose size is not known."""
    return NOTHING if value is None or not known(value) else f"{value:.4g}"


def duration(seconds: float | None) -> str:
    """ "12:40" minutes; below ten seconds "3.2 s"."""
    if seconds is None or not known(seconds):
        return NOTHING
    return f"{seconds:.2g} s" if seconds < 9.95 else time_text(seconds)


def memory(count: float | None) -> str:
    return NOTHING if count is None or not known(count) else size_text(count)


def several(count: int, noun: str) -> str:
    """ "1 picture", "10,000 pictures"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share found among `count` pictures (Wilson 1927, equation 4).

    (p + z²/2n ± z·sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n),  z = 1.96
    """
    z2 = 1.96**2
    middle = share + z2 / (2 * count)
    reach = 1.96 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return (middle - reach) / (1 + z2 / count), (middle + reach) / (1 + z2 / count)
