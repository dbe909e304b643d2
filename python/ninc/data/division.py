"""How `load` divided data that have no test set of their own."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Division:
    """One of the two parts, "train" or "test", of the data at `place`.

    share, seed, limit: as `load` was given them; there the share is `held_out`. Two parts that
    differ in nothing but `part` are those of one division.
    """

    place: str
    part: str
    share: float
    seed: int
    limit: int | None

    def is_held_out_of(self, other: Division | None) -> bool:
        """Whether this is what was left out of the other part."""
        return self.part == "test" and other == dataclasses.replace(self, part="train")
