"""What a user of bulk inference may choose, and what is taken where nothing is chosen.

The command line reads this before it loads the core.
"""

from __future__ import annotations

import dataclasses

PARQUET, JSON_LINES = "parquet", "jsonl"  # what files end in, too
KINDS = (PARQUET, JSON_LINES)

PART_SIZE = 1024  # pictures a part

UNSURE = "unsure"  # the class of a picture whose likeliest one is not as likely as was asked for


@dataclasses.dataclass(frozen=True)
class Settings:
    """What answers depend on: pictures computed at a time, and what a `Predictor` says of these."""

    batch_size: int
    tta: str | None
    at_least: float | None
