"""Pictures of a training run. Needs matplotlib, which is imported only here."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence

from ..._base.files import write_whole
from ...errors import ArgumentError


def plot_rows(rows: Sequence[Mapping[str, float]], path: str | os.PathLike[str]) -> None:
    """A history's loss on the left, accuracy in percent on the right, over the epochs; a PNG file.

    Raises ArgumentError where matplotlib is missing or there is no epoch, FileError where `path`
    cannot be written.
    """
    try:
        # A Figure with an Agg canvas is used, since pyplot would look for a display and keep global
        # state.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ArgumentError("plotting needs matplotlib: pip install 'ninc[train]'") from error
    if not rows:
        raise ArgumentError("there is no finished epoch to plot")
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    validated = "val_loss" in rows[0]
    epochs = [row["epoch"] for row in rows]
    for axes, column, scale in ((left, "loss", 1.0), (right, "accuracy", 100.0)):
        axes.plot(epochs, [scale * row[column] for row in rows], "o-", label="training")
        if validated:
            held_out = [scale * row["val_" + column] for row in rows]
            axes.plot(epochs, held_out, "s-", label="held out")
            axes.legend(frameon=False)
        axes.set_xlabel("epoch")
        axes.locator_params(axis="x", integer=True)
        axes.grid(alpha=0.3)
    left.set_title("loss")
    right.set_title("accuracy, %")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    write_whole(path, content.getvalue())
