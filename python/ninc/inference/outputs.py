"""What several layers of a network give, computed in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import _core
from .._base.arguments import input_told, is_iterable, likeness, quoted, shown
from .._base.arrays import on_gpu
from ..errors import ArgumentError, ShapeError
from .least_size import size_told
from .probabilities import squeezed


def outputs(model: _core.Model, x: Any, names: Sequence[str] | None) -> dict[str, Any]:
    """Name -> array; see `Network.outputs`."""
    wanted = model.output_names() if names is None else _checked(names, model)
    if not wanted:
        return {}
    if on_gpu(x):
        return dict(zip(wanted, model.run_outputs_on_device(x, wanted)))
    try:
        return dict(zip(wanted, map(squeezed, model.run_outputs(x, wanted))))
    except ShapeError as error:
        told = input_told(model, error, x)
        raise size_told(model, told, getattr(x, "shape", ()), wanted) from None


def _checked(names: Any, model: _core.Model) -> list[str]:
    """The names, each once; ArgumentError where one is no layer's."""
    if isinstance(names, str) or not is_iterable(names):
        raise ArgumentError(f"outputs: names must be a list of layers' names, got {shown(names)}")
    names = list(names)
    for name in names:
        if not isinstance(name, str):
            raise ArgumentError(f"outputs: a layer's name must be a string, got {shown(name)}")
    layers = model.channels() if names else {}
    for name in names:
        if name not in layers:
            raise ArgumentError(
                f"outputs: the network has no layer {shown(name)}; its outputs are "
                f"{quoted(model.output_names())}{likeness(name, layers)}"
            )
    return list(dict.fromkeys(names))
