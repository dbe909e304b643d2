"""The history's columns that may be watched, and the schedules that watch them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# The column that tells which network is the best unless another one is named.
MONITOR = "val_accuracy"

# The columns that a run can get better in.
MONITORS = ("val_loss", "val_accuracy", "loss", "accuracy")


def improves(monitor: str, value: float, best: float | None, min_delta: float) -> bool:
    """Tells whether `value` beats `best` by more than `min_delta`: losses fall, accuracies rise."""
    if best is None:
        return not math.isnan(value)
    return value < best - min_delta if monitor.endswith("loss") else value > best + min_delta


def watched(schedule: Any) -> str | None:
    """The column of held-out data that a schedule watches, or None."""
    column = getattr(schedule, "monitor", None) or ""
    return column if column.startswith("val_") else None


def observe(schedule: Any, row: Mapping[str, float]) -> None:
    """Shows a finished epoch to a schedule that wants to see it."""
    if hasattr(schedule, "observe"):
        schedule.observe(row)


def state_of(schedule: Any) -> dict[str, Any]:
    """What a schedule remembers; it is empty for those that depend on the epoch alone."""
    return schedule.state() if hasattr(schedule, "state") else {}


def load_state(schedule: Any, state: Mapping[str, Any]) -> None:
    """Lets a schedule go on from what it remembered."""
    if hasattr(schedule, "load_state"):
        schedule.load_state(state)
