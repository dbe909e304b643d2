"""Whether data are what a network was made for: its classes, and pictures framed as it frames them.

A network remembers the names of its classes and how its pictures were brought to their size. Data
are compared with both before anything is trained or tested on them, since labels that are counted
in another order, or pictures cut where others were squashed, give results that only look right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, Union

import numpy as np

from .. import _core
from .._base.arguments import layout_told, quoted
from .._base.array_types import Integers
from ..data import BatchStream, Dataset
from ..data.labels import is_number
from ..data.stream import relabelled
from ..errors import ArgumentError, ShapeError, remark
from ..formats.metadata import class_names, stored_classes, stored_preprocessing
from .least_size import size_told

Data = Union[Dataset, BatchStream]
AnyData = TypeVar("AnyData", Dataset, BatchStream)

_MADE = ("resize", "fit", "ground")  # the parts of a `Framing` that a shape does not show


def matched(model: _core.Model, data: AnyData, where: str, batch_size: int = 1) -> AnyData:
    """`data`, a Dataset or a BatchStream, with labels counted as the network counts its outputs.

    where: the function's name, for messages. batch_size: how many images will run at a time.
    Names in another order, or fewer of them, are mapped by name; data whose classes are mere
    numbers count the outputs. A network without names takes the classes of the data that it is
    first trained on, so that there must be as many as it has outputs. A stream that does not tell
    its classes is taken as it is. Raises ArgumentError, which says how to go on, where the two do
    not fit, and ShapeError as `count_outputs` does.
    """
    check_framing(model, data, where)
    outputs = count_outputs(model, data, batch_size)
    if data.classes is None:
        return data
    names = class_names(model, outputs)
    if stored_classes(model) is not None:
        return by_name(data, names, where, "the network's")
    count = len(data.classes)
    if count == outputs:
        return data
    if where != "fit" and _are_numbers(data.classes):
        return by_name(data, names, where, "the network's", numbered=True)
    raise ArgumentError(
        f"{where}: the network has {outputs} outputs and the data {count} classes: make it with "
        f"num_classes={count}, give it a last layer for them (net.new_head(data.classes)), or name "
        "all its outputs (net.classes = [...])"
    )


def count_outputs(model: _core.Model, data: Data, batch_size: int = 1) -> int:
    """How many classes the network tells apart, given images of this shape.

    Raises ShapeError, with the layer's name, where the network cannot take them or where it gives
    no N×classes.
    """
    shape = (batch_size, *data.input_shape)
    try:
        _, classes, height, width = model.output_shape(shape)
    except ShapeError as error:
        raise size_told(model, layout_told(model, error, shape), shape) from None
    if (height, width) != (1, 1):
        raise ShapeError(
            f"the network's output is {classes}×{height}×{width} an image, not one number a "
            "class; end it with GlobalAvgPool2d or Linear"
        )
    return classes


def by_name(
    data: AnyData, classes: Sequence[str], where: str, whose: str, numbered: bool = False
) -> AnyData:
    """`data` with labels counted in `classes`, which are `whose`; raises as `matched` does.

    numbered: the data's classes are numbers of `classes`, whatever these are called.
    """
    own: Any = data.classes  # whose data have none is not asked
    if own == list(classes):
        return data
    for names, owner in ((own, "the data's"), (classes, whose)):
        twice = [name for name in names if list(names).count(name) > 1]
        if twice:
            raise ArgumentError(
                f"{where}: {twice[0]!r} is the name of several of {owner} classes, which cannot be "
                "told apart by it; give each a name of its own"
            )
    if numbered or (_are_numbers(own) and not _are_numbers(classes)):
        table = _by_number(data, classes, where, whose)
    else:
        table = _by_name(own, classes, where, whose)
    if isinstance(data, BatchStream):
        return relabelled(data, table, classes)
    return data.relabelled(table[data.labels], classes)


def check_framing(model: _core.Model, data: Data, where: str) -> None:
    """Raises ArgumentError where pictures were brought to size otherwise than the network's."""
    preprocessing = stored_preprocessing(model)
    if preprocessing is None:
        return
    if not data.is_pictures:
        if where == "fit":
            remark(
                "fit: the network has preprocessing for pictures stored, which float32 arrays do "
                "not go through: what it predicts of pictures fits these arrays only where they "
                "were made in the same way (net.preprocessing = None forgets it)"
            )
        return
    wanted = preprocessing.framing
    channels, height, width = data.input_shape
    made = getattr(data, "framing", None)
    differs = [
        ("channels", wanted.channels, channels),
        ("size", wanted.size or (height, width), (height, width)),
    ]
    if made is not None:
        differs += [(name, getattr(wanted, name), getattr(made, name)) for name in _MADE]
    differs = [entry for entry in differs if entry[1] != entry[2]]
    if differs:
        told = ", ".join(f"{name} {theirs}" for name, _, theirs in differs)
        needed = ", ".join(f"{name}={ours!r}" for name, ours, _ in differs)
        raise ArgumentError(
            f"{where}: the pictures have {told}, but the network's are {wanted.describe()} on "
            f"ground {wanted.ground}: load them with {needed}, or let the network take these "
            "(net.preprocessing = None, and train it on them)"
        )


def _by_name(names: list[str], classes: Sequence[str], where: str, whose: str) -> Integers:
    """For each name its place among the classes."""
    place = {name: index for index, name in enumerate(classes)}
    others = [name for name in names if name not in place]
    if others:
        raise ArgumentError(
            f"{where}: {quoted(others)} of the data {'is' if len(others) == 1 else 'are'} not "
            f"among {whose} classes, {quoted(classes)}; net.new_head(data.classes) makes a network "
            "with a last layer for the data's (`ninc train --init` does), and Dataset(images, "
            "labels, classes) gives other names to the data"
        )
    return np.array([place[name] for name in names], np.int64)


def _by_number(data: Data, classes: Sequence[str], where: str, whose: str) -> Integers:
    """For each of the data's classes, which are numbers, that number."""
    table = np.array([int(name) for name in data.classes or ()], np.int64)
    used = table[np.unique(data.labels)] if isinstance(data, Dataset) and len(data) else table
    if used.size and used.max() >= len(classes):
        raise ArgumentError(
            f"{where}: label {used.max()} of the data counts beyond {whose} {len(classes)} "
            f"classes, 0 to {len(classes) - 1} ({quoted(classes)}); give the data their names: "
            "Dataset(images, labels, classes)"
        )
    return np.minimum(table, len(classes) - 1)  # no image is of a class beyond them


def _are_numbers(names: Sequence[str]) -> bool:
    return all(map(is_number, names))
