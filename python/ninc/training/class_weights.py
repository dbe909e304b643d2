"""How much each class counts in the training loss, as a sequence of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union

import numpy as np

from .._base.arguments import likeness, listed, positive, quoted, shown
from ..data import BatchStream, Dataset
from ..errors import ArgumentError

ClassWeights = Union[None, str, Sequence[float], Mapping[str, float]]

_WANTED = '"balanced", a number for each class, or a mapping from classes\' names'


def weights_of_classes(
    given: ClassWeights, train: Dataset | BatchStream, classes: Sequence[str] | None, outputs: int
) -> list[float]:
    """What `Trainer.fit` calls class_weights as a number for each output; empty for None.

    train: with labels as the network counts its classes; `classes` are these by name where the
    network knows them, else those of the data.

    Raises ArgumentError where the weights do not fit the classes.
    """
    if given is None:
        return []
    if isinstance(given, str):
        if given != "balanced":
            raise ArgumentError(f"fit: class_weights must be {_WANTED}, got {shown(given)}")
        return _balanced(train, outputs)
    if isinstance(given, Mapping):
        return _by_name(given, classes or train.classes, outputs)
    weights = listed("fit", "class_weights", given, _WANTED)
    if len(weights) != outputs:
        raise ArgumentError(
            f"fit: class_weights must have a number for each of the network's {outputs} classes, "
            f"got {len(weights)}"
        )
    return [positive("fit", f"class_weights[{i}]", weight) for i, weight in enumerate(weights)]


def _balanced(train: Dataset | BatchStream, outputs: int) -> list[float]:
    """N / (K * N_c) for the N_c of N pictures that are of class c, one of the K there are.

    A class without pictures counts 1: with label smoothing alone does it count at all.
    """
    if isinstance(train, BatchStream):
        raise ArgumentError(
            'fit: class_weights="balanced" counts the pictures of each class, which a stream does '
            "not tell beforehand; give numbers"
        )
    counts = np.bincount(train.labels, minlength=outputs)
    there = counts > 0
    weights = np.ones(outputs)
    weights[there] = len(train) / (np.count_nonzero(there) * counts[there])
    return [float(weight) for weight in weights]


def _by_name(given: Mapping[Any, Any], classes: Sequence[str] | None, outputs: int) -> list[float]:
    if classes is None:
        raise ArgumentError(
            "fit: class_weights go by the classes' names, which neither the network nor the data "
            "tell; give a number for each class"
        )
    unknown = [name for name in given if name not in classes]
    if unknown:
        likely = likeness(unknown[0], classes) if isinstance(unknown[0], str) else ""
        raise ArgumentError(
            f"fit: class_weights: there is no class {shown(unknown[0])}; the classes are "
            f"{quoted(classes)}{likely}"
        )
    weights = [1.0] * outputs
    for name, weight in given.items():
        weights[list(classes).index(name)] = positive("fit", f"class_weights[{name!r}]", weight)
    return weights
