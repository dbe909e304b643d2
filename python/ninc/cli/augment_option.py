"""Reads `ninc train --augment`: steps with commas between them, a step's numbers behind colons.

Behind an @ stands in how many of the first epochs a step is taken: "padcrop:2@10,flip".
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ArgumentError
from . import numbers

if TYPE_CHECKING:
    from ..training.augment import Augmentation


class _Step(NamedTuple):
    """form: how it is written. least, most: how many values it takes. make: of their texts."""

    form: str
    least: int
    most: int
    make: Callable[..., Augmentation]


def augmentation(text: str) -> Augmentation:
    """The augmentation that "padcrop:4,flip,cutout:8" means; ArgumentTypeError where none."""
    from ..training.augment import Compose

    steps = [_step(part.strip(), text) for part in text.split(",")]
    return steps[0] if len(steps) == 1 else Compose(*steps)


def forms() -> str:
    """All steps as they are written."""
    return ", ".join(step.form for step in _steps().values())


def _step(part: str, text: str) -> Augmentation:
    part, until, epochs = part.partition("@")
    if until:
        return _until(_step(part, text), epochs, text)
    name, *values = part.split(":")
    known = _steps().get(name)
    if known is None:
        raise argparse.ArgumentTypeError(
            f"must be steps with commas between them, of {forms()}; got {name!r} in {text!r}"
        )
    if not known.least <= len(values) <= known.most:
        raise argparse.ArgumentTypeError(f"a step is written {known.form}, got {part!r}")
    try:
        return known.make(*values)
    except (ArgumentError, ValueError, argparse.ArgumentTypeError) as error:
        raise argparse.ArgumentTypeError(
            f"a step is written {known.form}, got {part!r}: {error}"
        ) from None


def _until(step: Augmentation, epochs: str, text: str) -> Augmentation:
    from ..training.augment import Until

    if not epochs.isdecimal():
        raise argparse.ArgumentTypeError(
            f"behind @ stands in how many of the first epochs a step is taken; got {epochs!r} in "
            f"{text!r}"
        )
    return Until(int(epochs), step)


def _steps() -> dict[str, _Step]:
    from ..training import augment

    def cut(low: str = "0.08", high: str = "1") -> Augmentation:
        return augment.RandomResizedCrop((float(low), float(high)))

    def turn(degrees: str, *ground: str) -> Augmentation:
        return augment.Rotation(float(degrees), *map(numbers.colour, ground))

    def real(kind: Callable[..., Augmentation]) -> Callable[..., Augmentation]:
        return lambda *values: kind(*map(float, values))

    return {
        "padcrop": _Step("padcrop:PIXELS", 1, 1, lambda n: augment.PadCrop(int(n))),
        "resizedcrop": _Step("resizedcrop[:LEAST[:MOST]]", 0, 2, cut),
        "rotate": _Step("rotate:DEGREES[:GROUND]", 1, 2, turn),
        "jitter": _Step(
            "jitter:BRIGHTNESS[:CONTRAST[:SATURATION[:HUE]]]", 1, 4, real(augment.ColorJitter)
        ),
        "flip": _Step("flip[:SHARE]", 0, 1, real(augment.Flip)),
        "alternatingflip": _Step("alternatingflip", 0, 0, augment.AlternatingFlip),
        "cutout": _Step("cutout:PIXELS", 1, 1, lambda n: augment.Cutout(int(n))),
    }
