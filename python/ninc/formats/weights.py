"""Takes over from a dictionary the weights that fit a network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from .. import _core
from .._base.arguments import flag, one_of
from .._base.array_types import FloatsLike
from .._base.arrays import plain
from ..errors import DTypeError, ModelError, ShapeError, remark
from .by_order import pair_by_order
from .shapes import dims_text

MATCHES = ("name", "order")


@dataclasses.dataclass(frozen=True)
class LoadedWeights:
    """What `Network.load_state_dict` did with each name.

    taken: names whose arrays the network has now.
    missing: names of the network that the dictionary lacks; their arrays are as they were.
    unknown: names of the dictionary that the network lacks.
    other_shape: names that both have, with arrays of two shapes; the network's is as it was. By
        order, the network's name at which shapes or names ceased to fit.
    sources: of what was taken, the network's name -> the dictionary's, where the two differ.
    passed_over: by order, names of the dictionary that are no weights: scalars, and what ends in
        num_batches_tracked.
    """

    taken: list[str]
    missing: list[str]
    unknown: list[str]
    other_shape: list[str]
    sources: dict[str, str] = dataclasses.field(default_factory=dict)
    passed_over: list[str] = dataclasses.field(default_factory=list)


def load_weights(
    model: _core.Model, values: Mapping[str, FloatsLike], strict: bool, match: str
) -> LoadedWeights:
    """See `Network.load_state_dict`."""
    strict = flag("load_state_dict", "strict", strict)
    if one_of("load_state_dict", "match", match, MATCHES) == "order":
        return _load_by_order(model, values, strict)
    specs = {name: tuple(dims) for name, dims, _ in model.specs()}
    prefix = _common_prefix(specs, values)
    sources = {name: prefix + name for name in specs if prefix + name in values}
    shapes = {name: _shape(source, values[source]) for name, source in sources.items()}
    known = set(sources.values())
    loaded = LoadedWeights(
        taken=[name for name, shape in shapes.items() if shape == specs[name]],
        missing=[name for name in specs if name not in shapes],
        unknown=[str(name) for name in values if name not in known],
        other_shape=[name for name, shape in shapes.items() if shape != specs[name]],
    )
    if prefix:
        loaded.sources.update((name, sources[name]) for name in loaded.taken)
    if strict:
        wrong = [
            f"{name} is {dims_text(shapes[name])} instead of {dims_text(specs[name])}"
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
            told = f"load_state_dict: {'; '.join(problems)}"
            if not loaded.taken and loaded.missing and loaded.unknown:
                told += (
                    '; match="order" takes weights by their order and shape, whatever their names'
                )
            raise kind(told)
    elif not loaded.taken:
        remark(
            "load_state_dict: nothing was taken: no array has both the name and the shape of one "
            f"of the network's ({', '.join(list(specs)[:4])}, ...)"
        )
    arrays = {
        name: plain(f"load_state_dict: {sources[name]}", values[sources[name]])
        for name in loaded.taken
    }
    model.set_parameters(arrays)
    return loaded


def _load_by_order(
    model: _core.Model, values: Mapping[str, FloatsLike], strict: bool
) -> LoadedWeights:
    specs = [(name, tuple(dims), trained) for name, dims, trained in model.specs()]
    found = pair_by_order(specs, values, strict)
    if not found.arrays and not strict:
        remark(
            "load_state_dict: nothing was taken: the dictionary's first array has another shape "
            "than the network's first"
        )
    model.set_parameters(found.arrays)
    untaken = [name for name, _, _ in specs if name not in found.arrays]
    return LoadedWeights(
        taken=list(found.arrays),
        missing=[name for name in untaken if name not in found.misfits],
        unknown=found.left,
        other_shape=found.misfits,
        sources={name: source for name, source in found.sources.items() if name != source},
        passed_over=found.passed_over,
    )


def _common_prefix(specs: Mapping[str, object], values: Mapping[str, object]) -> str:
    """The "module." that all names of the dictionary begin with and none of the network's; or "".

    It is one name and a dot, and counts only where a name without it is one of the network's.
    """
    first = next(iter(values), None)
    if not isinstance(first, str) or "." not in first:
        return ""
    prefix = first[: first.index(".") + 1]
    if not all(isinstance(name, str) and name.startswith(prefix) for name in values):
        return ""
    if any(name.startswith(prefix) for name in specs):
        return ""
    return prefix if any(prefix + name in values for name in specs) else ""


def _shape(name: str, value: FloatsLike) -> tuple[int, ...]:
    try:
        return np.shape(value)
    except ValueError as error:
        raise DTypeError(f"load_state_dict: {name} is no array ({error})") from error
