"""Folds what stands between layers into them: scales, shifts and zeros around maps.

A convolution, linear layer or batch norm takes over the scale and shift that follow it, and a
convolution the zeros that are put around its input, where nothing else reads what is in between.
Functions that a file has behind a flattened map get their place behind `Flatten` again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from .steps import AFFINE, Array, Step, live, puts_zeros_around

_LINEAR = frozenset(("Conv2d", "Linear", "BatchNorm2d"))


def simplified(outputs: Sequence[Step]) -> list[Step]:
    """The outputs of the same computation in fewer steps. Steps are replaced, none is changed."""
    steps = live(outputs)
    readers = Counter(id(one) for step in steps for one in step.inputs)
    readers.update(id(one) for one in outputs)
    made: dict[int, Step] = {}
    for step in steps:
        inputs = [made[id(one)] for one in step.inputs]
        new = Step(**{**vars(step), "inputs": inputs})
        is_alone = len(inputs) == 1 and readers[id(step.input)] == 1
        if is_alone and step.op == AFFINE and inputs[0].op in _LINEAR:
            new = _scaled(inputs[0], new)
        elif is_alone and step.op == "Conv2d" and puts_zeros_around(inputs[0]):
            new = _padded(inputs[0], new)
        elif step.op == "Flatten":
            new = _in_file_order(step, readers, made)
        made[id(step)] = new
    return [made[id(one)] for one in outputs]


def _scaled(layer: Step, affine: Step) -> Step:
    """The layer with its weights times the scale, and its bias times the scale plus the shift."""
    weights = dict(layer.weights)
    settings = dict(layer.settings)
    with np.errstate(all="ignore"):  # numbers of a stranger
        weight = weights["weight"].astype(np.float64)
        scale = np.broadcast_to(affine.scale.reshape(-1), weight.shape[:1])
        bias = weights.get("bias", np.zeros(1)).astype(np.float64) * scale + affine.shift
        if layer.op == "BatchNorm2d" or "bias" in weights or affine.shift.any():
            weights["bias"] = np.broadcast_to(bias, scale.shape).astype(np.float32)
            if layer.op != "BatchNorm2d":
                settings["bias"] = True
        turned = scale.reshape(-1, *[1] * (weight.ndim - 1))
        weights["weight"] = np.ascontiguousarray(weight * turned, np.float32)
    return Step(**{**vars(layer), "settings": settings, "weights": weights})


def _in_file_order(flatten: Step, readers: Counter[int], made: Mapping[int, Step]) -> Step:
    """The layer in front of the functions that are behind it in the file, and these.

    readers: how many steps read each. made: what each step became.
    """
    functions = []
    step = flatten.input
    while step.is_after_reshape and readers[id(step)] == 1:
        functions.append(step)
        step = step.input
    new = Step(**{**vars(flatten), "inputs": [made[id(step)]]})
    for function in reversed(functions):
        new = Step(**{**vars(function), "inputs": [new], "sizes": flatten.sizes})
    return new


def _padded(pad: Step, conv: Step) -> Step:
    (top, bottom), (left, right) = (pad.settings.get(one, (0, 0)) for one in ("height", "width"))
    told = conv.settings["padding"]
    padding = (told[0] + top, told[1] + left, told[2] + bottom, told[3] + right)
    settings = {**conv.settings, "padding": padding}
    return Step(**{**vars(conv), "inputs": pad.inputs, "settings": settings})


def channel_map(numbers: Array) -> Array:
    """C×1×1 of one number or one a channel, as a constant of a network has it."""
    return np.ascontiguousarray(numbers.reshape(-1, 1, 1), np.float32)
