"""The least picture that a network takes, for whoever gave it a smaller one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from .. import _core
from ..errors import ShapeError, reworded

# No network is asked whether it takes larger squares than this.
_LARGEST = 4096


def size_told(
    model: _core.Model,
    error: ShapeError,
    shape: Sequence[int],
    layers: Sequence[str | None] = (None,),
) -> ShapeError:
    """The error about an input of this shape, N×C×H×W, with what would do where it is too small.

    layers: names of those that are computed; None is the network's output.

    The layer that has too little left of a picture tells of its own input, which nobody knows.
    """
    if len(shape) != 4 or 0 in shape[1:]:
        return error
    _, channels, height, width = map(int, shape)
    if _fits(model, (channels, height, width), layers):
        return error  # it tells of something else, such as the type of its numbers
    least = least_square(model, channels, min(height, width), layers)
    if least is None:
        return error
    words = (
        f"{error}; the network was given {channels}×{height}×{width}, and the least square that it "
        f"takes is {channels}×{least}×{least}"
    )
    told = reworded(error, words)
    assert isinstance(told, ShapeError)
    return told


@contextlib.contextmanager
def least_told(
    model: _core.Model, shape: Sequence[int], layers: Sequence[str | None] = (None,)
) -> Iterator[None]:
    """Lets a ShapeError about an input of this shape say what `size_told` adds."""
    try:
        yield
    except ShapeError as error:
        raise size_told(model, error, shape, layers) from None


def least_square(
    model: _core.Model, channels: int, too_small: int, layers: Sequence[str | None] = (None,)
) -> int | None:
    """The side of the smallest square beyond `too_small`; None where larger ones are refused, too.

    Shapes alone are inferred, nothing is run.
    """

    def fits(side: int) -> bool:
        return _fits(model, (channels, side, side), layers)

    low, high = too_small, 2 * too_small
    while not fits(high):
        low, high = high, 2 * high
        if high > _LARGEST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _fits(model: _core.Model, picture: tuple[int, int, int], layers: Sequence[str | None]) -> bool:
    """Whether the network takes pictures of this shape, C×H×W."""
    try:
        for layer in layers:
            model.output_shape((1, *picture), layer)
    except ShapeError:
        return False
    return True
