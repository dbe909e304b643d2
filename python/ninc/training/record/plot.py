"""Pictures of a training run. Needs matplotlib, which is imported only here."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from ..._base.files import write_whole
from ...errors import ArgumentError

if TYPE_CHECKING:
    from .history import History


def plot_history(history: History, path: str | os.PathLike[str]) -> None:
    """Loss on the left, accuracy in percent on the right, over the epochs; a PNG file.

    Raises ArgumentError where matplotlib is missing or there is no epoch, FileError where `path`
    cannot be written.
    """
    try:
        # Figure and its Agg canvas directly: pyplot would look for a display and keep global state.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ArgumentError("plotting needs matplotlib: pip install 'ninc[train]'") from error
    if not len(history):
        raise ArgumentError("there is no finished epoch to plot")
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    validated = "val_loss" in history.rows[0]
    for axes, column, scale in ((left, "loss", 1.0), (right, "accuracy", 100.0)):
        epochs = history["epoch"]
        axes.plot(epochs, [scale * v for v in history[column]], "o-", label="training")
        if validated:
            axes.plot(epochs, [scale * v for v in history["val_" + column]], "s-", label="held out")
            axes.legend(frameon=False)
        axes.set_xlabel("epoch")
        axes.locator_params(axis="x", integer=True)
        axes.grid(alpha=0.3)
    left.set_title("loss")
    right.set_title("accuracy, %")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    write_whole(path, content.getvalue())
