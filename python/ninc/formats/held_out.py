"""Records what was held out of the data that a network was trained on, to find it again."""

from __future__ import annotations

import dataclasses
import operator
import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from .._base.arguments import LARGEST_SEED, integer, share_between
from ..errors import ArgumentError

if TYPE_CHECKING:
    from ..data import Dataset


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """The pictures that `ninc.data.load(path, "test")` takes of data without a test set.

    share, seed, limit: as `ninc.data.load` was given them (there the share is `held_out`); limit
        may be None.
    images: how many pictures that were.
    fingerprint: theirs, see `Dataset.fingerprint`.
    """

    share: float
    seed: int
    limit: int | None
    images: int
    fingerprint: str

    def __post_init__(self) -> None:
        share_between("held_out", "share", self.share)
        integer("held_out", "seed", self.seed, 0, LARGEST_SEED)
        integer("held_out", "images", self.images)
        if self.limit is not None:
            integer("held_out", "limit", self.limit)
        digits = self.fingerprint
        if not (isinstance(digits, str) and len(digits) == 32 and set(digits) <= _HEX):
            raise ArgumentError(
                f"held_out: fingerprint must be 32 hex digits, got {reprlib.repr(digits)}"
            )

    @classmethod
    def of(cls, data: Dataset, share: float, seed: int, limit: int | None = None) -> HeldOut:
        """The record of `data`, which were held out with these options."""
        return cls(share, seed, limit, len(data), data.fingerprint())

    @classmethod
    def of_training(cls, train: Any, held_out: Dataset | None) -> HeldOut | None:
        """The record of `held_out` where `load` left just that out of `train`, or None."""
        part = None if held_out is None else held_out.division
        if part is None or not part.is_held_out_of(getattr(train, "division", None)):
            return None
        return cls.of(cast("Dataset", held_out), part.share, part.seed, part.limit)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> HeldOut:
        """The inverse of `to_dict`; raises ArgumentError for entries missing or without sense."""
        try:
            return cls(*operator.itemgetter(*_FIELDS)(stored))
        except (KeyError, TypeError) as error:
            raise ArgumentError(
                f"held_out: bad record {reprlib.repr(stored)} (it needs {', '.join(_FIELDS)})"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a model file and in run.json."""
        return dataclasses.asdict(self)

    def describe(self) -> str:
        """ "5,000 pictures (share 0.1, seed 0)"."""
        limit = "" if self.limit is None else f", limit {self.limit}"
        return f"{self.images:,} pictures (share {self.share:g}, seed {self.seed}{limit})"


_FIELDS = tuple(field.name for field in dataclasses.fields(HeldOut))
_HEX = frozenset("0123456789abcdef")
