"""Test-time augmentation: a network's scores of a picture and of its mirror image, averaged.

    z = (s(x) + s(mirror x)) / 2,   p = softmax(z)

The scores s are averaged before the softmax, and not the probabilities after it: the loss is then
that of one network which always looks twice, a temperature divides the mean as it would a single
score, and of a network that ends in global average pooling z is the mean over the class maps of
both. The probabilities are the geometric mean of both looks', made to add up to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._base.arguments import shown
from ..errors import ArgumentError

# What may be asked for: the picture and its mirror image, left to right.
TTA = ("flip",)


def is_flipped(where: str, tta: str | None) -> bool:
    """Whether `tta` asks for the mirror image; raises ArgumentError for what is not known."""
    if tta is None:
        return False
    if not isinstance(tta, str) or tta not in TTA:
        raise ArgumentError(f"{where}: tta must be 'flip' or None, got {shown(tta)}")
    return True


def mirrored(pictures: Any, last: bool) -> Any:
    """The pictures mirrored left to right: N×H×W×C where channels come `last`, else N×C×H×W."""
    return np.ascontiguousarray(pictures[:, :, ::-1] if last else pictures[..., ::-1])
