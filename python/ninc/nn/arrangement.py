"""Layers that put values elsewhere, or bring their own, and compute nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._base.arguments import integer, real, shown
from .._base.array_types import Floats, FloatsLike
from .._base.arrays import as_numpy
from ..errors import ArgumentError, ShapeError
from .layer import Layer

# How the core says that a range goes on to the end, whatever the size.
_TO_THE_END = 1 << 20


class Slice(Layer):
    """Part of the channels, rows and columns, as numpy's x[:, channels, height, width].

    channels, height, width: slice(start, stop, step) or a tuple of its numbers; None for all.
        Places below 0 count from the end; a step is at least 1.

    Raises ShapeError, when run, where nothing is left of a picture.
    """

    op = "Slice"

    def __init__(
        self,
        channels: slice | tuple[int | None, ...] | None = None,
        height: slice | tuple[int | None, ...] | None = None,
        width: slice | tuple[int | None, ...] | None = None,
    ) -> None:
        self.channels = _range("channels", channels)
        self.height = _range("height", height)
        self.width = _range("width", width)

    def fields(self) -> dict[str, Any]:
        return {name: list(getattr(self, name)) for name in ("channels", "height", "width")}

    def __repr__(self) -> str:
        ranges = {name: getattr(self, name) for name in ("channels", "height", "width")}
        shown = {
            name: (start, None if stop == _TO_THE_END else stop, step)
            for name, (start, stop, step) in ranges.items()
        }
        told = (f"{name}={one}" for name, one in shown.items() if one != (0, None, 1))
        return f"Slice({', '.join(told)})"


class Pad(Layer):
    """A margin of one value around x; one below 0 takes part of x away.

    channels, height, width: (before, after)
    """

    op = "Pad"

    def __init__(
        self,
        channels: tuple[int, int] = (0, 0),
        height: tuple[int, int] = (0, 0),
        width: tuple[int, int] = (0, 0),
        value: float = 0.0,
    ) -> None:
        self.channels = _margin("channels", channels)
        self.height = _margin("height", height)
        self.width = _margin("width", width)
        self.value = real("Pad", "value", value)

    def fields(self) -> dict[str, Any]:
        margins = {name: list(getattr(self, name)) for name in ("channels", "height", "width")}
        return {**margins, "value": self.value}


class ChannelShuffle(Layer):
    """Channel i * (C / groups) + j becomes channel j * groups + i (ShuffleNet, Zhang et al., 2017).

    C must be a multiple of the groups.
    """

    op = "ChannelShuffle"
    settings = ("groups",)

    def __init__(self, groups: int) -> None:
        self.groups = integer("ChannelShuffle", "groups", groups)


class Constant(Layer):
    """The same numbers for every picture: `Graph.add` takes it without an input.

    value: C×H×W, of which sizes of 1 stand for any where it meets other values (`Add`, `Mul`, ...).
        The network holds it as a buffer, H×W×C; training leaves it as it is.
    """

    op = "Constant"
    inputs = 0

    def __init__(self, value: FloatsLike) -> None:
        array = as_numpy("Constant: value", value)
        if array.dtype != np.float32 or array.ndim != 3 or array.size == 0:
            raise ShapeError(
                f"Constant: value: expected a float32 array of C×H×W, got {array.dtype} of shape "
                f"{array.shape}"
            )
        self.value = array.copy()  # whoever gave it may go on writing to it

    def fields(self) -> dict[str, Any]:
        channels, height, width = self.value.shape
        return {"channels": channels, "height": height, "width": width}

    def buffers(self) -> dict[str, Floats]:
        return {"value": np.ascontiguousarray(self.value.transpose(1, 2, 0))}

    def __repr__(self) -> str:
        return f"Constant({'×'.join(map(str, self.value.shape))})"


def _range(name: str, value: slice | tuple[int | None, ...] | None) -> tuple[int, int, int]:
    """(start, stop, step) with numbers for what is left out."""
    if value is None:
        value = (None, None, None)
    if isinstance(value, slice):
        value = (value.start, value.stop, value.step)
    if not isinstance(value, (tuple, list)) or len(value) not in (2, 3):
        raise ArgumentError(
            f"Slice: {name} must be (start, stop), (start, stop, step) or a slice, got "
            f"{shown(value)}"
        )
    start, stop, step = (*value, None)[:3]
    lowest = -_TO_THE_END
    return (
        0 if start is None else integer("Slice", f"start of {name}", start, lowest, _TO_THE_END),
        _TO_THE_END
        if stop is None
        else integer("Slice", f"stop of {name}", stop, lowest, _TO_THE_END),
        1 if step is None else integer("Slice", f"step of {name}", step, 1, _TO_THE_END),
    )


def _margin(name: str, value: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ArgumentError(f"Pad: {name} must be (before, after), got {shown(value)}")
    before, after = (integer("Pad", name, one, -_TO_THE_END, _TO_THE_END) for one in value)
    return before, after
