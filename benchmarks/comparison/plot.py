"""The comparison as a picture: how many times as fast as each peer ninc is, row by row."""

from __future__ import annotations

from .. import peers
from . import report


def plot(rows: list[dict], path: str) -> None:
    """A panel for each instruction set and number of threads; a PNG or what `path` ends in.

    Engines that are not counted in a row are drawn hollow. Raises ImportError where matplotlib is
    missing.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings = list(dict.fromkeys(report.setting(row) for row in rows))
    order = list(dict.fromkeys(e.name for e in (*peers.INFERENCE, *peers.TRAINING)))
    names = [name for name in order if name != peers.NINC]
    figure = Figure(figsize=(9, 1.2 + 4.2 * len(settings)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(settings), squeeze=False)[:, 0]
    for axes, setting in zip(panels, settings):
        shown = [row for row in rows if report.setting(row) == setting]
        for index, name in enumerate(names):
            _points(axes, shown, name, f"C{index}", (index - len(names) / 2) * 0.09)
        axes.axvline(1.0, color="black", linewidth=1)
        axes.set_yticks(range(len(shown)), [row["row"] for row in shown])
        axes.invert_yaxis()
        axes.set_xscale("log")
        ticks = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.grid(axis="x", alpha=0.3)
        axes.set_title(setting)
    panels[-1].set_xlabel("times as fast as the peer; right of 1 ninc is the faster one")
    handles = {}
    for axes in panels:
        handles.update(zip(*reversed(axes.get_legend_handles_labels())))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=120)


def _points(axes, rows: list[dict], name: str, color: str, shift: float) -> None:
    for index, row in enumerate(rows):
        engine = report.engine_named(row, name)
        if engine is None:
            continue
        hollow = not engine["held"] or engine["disagreement"] is not None
        value = report.ratio(row, engine)
        face = "none" if hollow else color
        axes.plot(value, index + shift, "o", color=color, markerfacecolor=face, label=name)
