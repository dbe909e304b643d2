"""What a network says of itself beside its graph and weights, as attributes to read and set.

All of it is stored with the network: see `metadata`, which checks it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import _core
from ..preprocess import Preprocessing
from . import metadata
from .held_out import HeldOut


class Described:
    """The part of a `Network` that tells of its pictures, classes and answers."""

    @property
    def core(self) -> _core.Model:
        """The core's model, which keeps the entries."""
        raise NotImplementedError

    @property
    def preprocessing(self) -> dict[str, Any] | None:
        """What is done to pictures first, as `preprocess.Preprocessing.to_dict` gives it, or None.

        Set it to a `Preprocessing`, or to such a dictionary: one of kind "gcn_zca" leaves the
        whitening's arrays as they are. Stored with the network in its file.
        """
        return metadata.entry(self.core, "preprocessing", dict)

    @preprocessing.setter
    def preprocessing(self, settings: Preprocessing | Mapping[str, Any] | None) -> None:
        metadata.store_preprocessing(self.core, settings)

    @property
    def classes(self) -> list[str] | None:
        """Names of the classes in the order of the outputs, or None. Stored with the network.

        Setting others than one for each output is an ArgumentError.
        """
        return metadata.stored_classes(self.core)

    @classes.setter
    def classes(self, names: Sequence[str] | None) -> None:
        metadata.store_classes(self.core, names)

    @property
    def temperature(self) -> float | None:
        """What scores are divided by before the softmax where probabilities are asked for, or None.

            p = softmax(z / T)

        `predict`, `ninc.explain` and programs in C and C++ use it; the network's own output, its
        loss and its answers do not change by it. `calibrate` fits one and `ninc train --validation`
        stores it; a `Trainer.fit` clears it. Setting one below 0.01 or above 100 is an
        ArgumentError.
        """
        return metadata.stored_temperature(self.core)

    @temperature.setter
    def temperature(self, temperature: float | None) -> None:
        metadata.store_temperature(self.core, temperature)

    @property
    def held_out(self) -> HeldOut | None:
        """What was held out of data without a test set, a `HeldOut`, or None.

        Stored with the network, by `ninc train`, and by `Trainer.fit` where it validates on what
        `ninc.data.load(path, "test")` gave; a `fit` on other data clears it. ModelError where the
        file's entry makes no sense.
        """
        return metadata.stored_held_out(self.core)

    @held_out.setter
    def held_out(self, record: HeldOut | None) -> None:
        metadata.store_held_out(self.core, record)
