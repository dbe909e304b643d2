"""What a training run recorded, an entry for each epoch."""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterator, Mapping

from ..._base.arguments import listed, shown
from ..._base.arguments import path as file_path
from ..._base.files import write_whole
from ..._base.plain_json import json_text
from ...errors import ArgumentError
from .plot import plot_rows

Row = dict[str, float]  # column name -> number

# Columns that differ between two runs of the same settings; no checkpoint holds them.
WALL_CLOCK = ("seconds", "images_per_second", "waited")
# All columns in their order; a checkpoint stores them in alphabetical order.
_SETTINGS = ("lr", "momentum", "beta1", "beta2", "weight_decay")
_RESULTS = ("val_loss", "val_accuracy", "val_top5_accuracy")
_COLUMNS = ("epoch", *_SETTINGS, "loss", "accuracy", *WALL_CLOCK, *_RESULTS)


def in_order(row: Row) -> Row:
    """The row with its columns in their order; columns that are not known here come last."""
    known = {name: row[name] for name in _COLUMNS if name in row}
    return {**known, **row}


class History:
    """Rows of numbers, one for each finished epoch.

    epoch: counted from 1.
    lr: of its last step, as it was used: the optimiser's times the schedule's factor, before the
        groups' multipliers.
    momentum, or Adam's beta1 and beta2, and weight_decay: at its end, before what groups say
        otherwise.
    loss, accuracy: means over the epoch's augmented training batches, while the weights moved;
        the loss weighted where classes have weights.
    seconds, images_per_second: how long it took, and how fast.
    waited: the share of the seconds in which the trainer waited for a batch.
    val_loss, val_accuracy, and val_top5_accuracy for more than five classes: with validation, on
        what `fit` was given for it (`ninc train` without --validation: the test set), of the
        weights or their averages at the epoch's end.

    An epoch that was interrupted and resumed has seconds, images_per_second and waited of its last
    part.
    """

    def __init__(self, rows: list[Row] | None = None) -> None:
        self.rows: list[Row] = []
        if rows is not None:
            for row in listed("History", "rows", rows, "a list of rows"):
                self.append(row)

    def append(self, row: Row) -> None:
        if not isinstance(row, Mapping) or not all(
            isinstance(name, str) and isinstance(value, numbers.Real) for name, value in row.items()
        ):
            raise ArgumentError(
                f"History: a row must hold a number for each column's name, got {shown(row)}"
            )
        self.rows.append(row)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, column: str) -> list[float]:
        """One column, for example history["val_accuracy"]; KeyError where there is none."""
        return [row[column] for row in self.rows]

    def __repr__(self) -> str:
        if not self.rows:
            return "History(no epochs)"
        last = ", ".join(f"{name} {value:.4g}" for name, value in self.rows[-1].items())
        return f"History({last})"

    def save(self, path: str | os.PathLike[str]) -> None:
        """One JSON object a line, null for what is no finite number; whole or not at all.

        Raises FileError.
        """
        lines = "".join(json_text(row) + "\n" for row in self.rows)
        write_whole(file_path("History.save", "path", path), lines.encode())

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Loss and accuracy over the epochs as a picture (PNG); needs matplotlib."""
        plot_rows(self.rows, file_path("History.plot", "path", path))
