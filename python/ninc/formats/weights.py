"""Takes over from a dictionary the weights that fit a network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from .. import _core
from .._base.arguments import flag
from .._base.array_types import FloatsLike
from .._base.arrays import plain
from ..errors import DTypeError, ModelError, ShapeError, remark


@dataclasses.dataclass(frozen=True)
class LoadedWeights:
    """What `Network.load_state_dict` did with each name.

    taken: names whose arrays the network has now.
    missing: names of the network that the dictionary lacks; their arrays are as they were.
    unknown: names of the dictionary that the network lacks.
    other_shape: names that both have, with arrays of two shapes; the network's is as it was.
    """

    taken: list[str]
    missing: list[str]
    unknown: list[str]
    other_shape: list[str]


def load_weights(
    model: _core.Model, values: Mapping[str, FloatsLike], strict: bool
) -> LoadedWeights:
    """See `Network.load_state_dict`."""
    strict = flag("load_state_dict", "strict", strict)
    specs = {name: tuple(dims) for name, dims, _ in model.specs()}
    shapes = {name: _shape(name, values[name]) for name in specs if name in values}
    loaded = LoadedWeights(
        taken=[name for name, shape in shapes.items() if shape == specs[name]],
        missing=[name for name in specs if name not in shapes],
        unknown=[str(name) for name in values if name not in specs],
        other_shape=[name for name, shape in shapes.items() if shape != specs[name]],
    )
    if strict:
        wrong = [
            f"{name} is {_dims(shapes[name])} instead of {_dims(specs[name])}"
            for name in loaded.other_shape
        ]
        parts = (
            ("missing", loaded.missing),
            ("unknown", loaded.unknown),
            ("of another shape", wrong),
        )
        problems = [f"{what}: {', '.join(names)}" for what, names in parts if names]
        if problems:
            kind = ModelError if loaded.missing or loaded.unknown else ShapeError
            raise kind(f"load_state_dict: {'; '.join(problems)}")
    elif not loaded.taken:
        remark(
            "load_state_dict: nothing was taken: no array has both the name and the shape of one "
            f"of the network's ({', '.join(list(specs)[:4])}, ...)"
        )
    arrays = {name: plain(f"load_state_dict: {name}", values[name]) for name in loaded.taken}
    model.set_parameters(arrays)
    return loaded


def _shape(name: str, value: FloatsLike) -> tuple[int, ...]:
    try:
        return np.shape(value)
    except ValueError as error:
        raise DTypeError(f"load_state_dict: {name} is no array ({error})") from error


def _dims(dims: tuple[int, ...]) -> str:
    return "×".join(map(str, dims)) or "a scalar"
