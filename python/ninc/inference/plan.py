"""How a network runs on inputs of one shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import _core
from .._base.arguments import flag, integer, shown
from ..errors import ArgumentError

ImageShape = tuple[int, int, int, int]  # N, C, H, W


class Plan:
    """A network compiled for one input shape: steps, algorithms, memory.

    The core keeps plans and uses them again; this object shows one.
    """

    def __init__(self, model: _core.Model, input_shape: ImageShape, training: bool) -> None:
        self._model = model
        self.input_shape = input_shape
        self.training = flag("plan", "training", training)
        self._info = model.plan_info(input_shape, self.training)

    def describe(self) -> str:
        """A table of the steps that run, with algorithms, shapes, memory and FLOPs."""
        return self._model.describe(self.input_shape, self.training)

    @property
    def flops(self) -> float:
        """Floating point operations of one run, convolutions counted as direct ones."""
        return self._info["flops"]

    @property
    def arena_bytes(self) -> int:
        """Memory for all values of one run."""
        return self._info["arena_bytes"]

    @property
    def packed_bytes(self) -> int:
        """Memory for weights in the order in which the kernels read them."""
        return self._info["packed_bytes"]

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.input_shape))
        mode = "training" if self.training else "inference"
        return f"<Plan for {shape}, {mode}, {self.flops / 1e9:.3g} GFLOP>"


def image_shape(where: str, shape: Sequence[int]) -> ImageShape:
    """(N, C, H, W) of a shape (N, C, H, W), or of (C, H, W) with N = 1."""
    if isinstance(shape, np.ndarray) and shape.ndim == 1:
        shape = tuple(shape)
    if not isinstance(shape, (tuple, list)) or len(shape) not in (3, 4):
        raise ArgumentError(
            f"{where}: input_shape must be (N, C, H, W) or (C, H, W), got {shown(shape)}"
        )
    numbers = [integer(where, "input_shape", number, 0) for number in shape]
    n, c, h, w = numbers if len(numbers) == 4 else (1, *numbers)
    return n, c, h, w
