"""What the comparison is to show: ratios that must be reached, and those hoped for."""

from __future__ import annotations

import dataclasses

from .. import peers
from . import report, rows

# One thread may fall this much behind the ratio that all threads must reach.
_ONE_THREAD = 0.85
# What a second thread must bring.
_SCALING = 1.8


@dataclasses.dataclass(frozen=True)
class Goal:
    """ninc is to be `must` (hoped: `hope`) times as fast as the fastest of `against` in `row`."""

    row: str
    against: tuple[str, ...]
    must: float
    hope: float


_ANY_ONNX = (peers.ONNX_RUNTIME, peers.OPENVINO)
# Of networks that other people use, on each of these instruction sets.
IMPORTED = (
    Goal("resnet20-b1", _ANY_ONNX, 1.2, 1.4),
    Goal("resnet20-b16", _ANY_ONNX, 2.0, 2.4),
    Goal("resnet50-b1", _ANY_ONNX, 1.1, 1.3),
    Goal("resnet50-b16", _ANY_ONNX, 1.1, 1.3),
    Goal("vgg19-b1", _ANY_ONNX, 2.5, 2.5),
    Goal("squeezenet-b1", _ANY_ONNX, 1.1, 1.3),
    Goal("squeezenet-b16", _ANY_ONNX, 1.1, 1.3),
    Goal("mobilenet-0.25-b1", _ANY_ONNX, 1.0, 1.3),
    Goal("mobilenet-0.25-b16", _ANY_ONNX, 1.0, 1.3),
    Goal("mobilenet-1.0-b1", _ANY_ONNX, 1.0, 1.05),
    Goal("mobilenet-1.0-b16", _ANY_ONNX, 1.0, 1.05),
    Goal("text-direction-b1", _ANY_ONNX, 1.0, 1.0),
    Goal("text-direction-b16", _ANY_ONNX, 1.0, 1.0),
    Goal("resnet20-train", peers.TORCH, 2.0, 2.0),
    Goal("mobilenet-0.25-train", peers.TORCH, 3.0, 3.0),
)
# Of AVX-512, and of what a processor has beyond it.
WIDE = (
    Goal("cifar-b1", (peers.OPENVINO,), 1.5, 1.7),
    Goal("cifar-b128", (peers.OPENVINO,), 1.8, 2.0),
    Goal("imagenet-b1", (peers.OPENVINO,), 1.4, 1.6),
    Goal("imagenet-b16", (peers.OPENVINO,), 1.4, 1.6),
    Goal("cifar-train", peers.TORCH, 2.8, 3.5),
    Goal("cifar-train", (peers.TORCH_BF16,), 1.0, 1.0),
    Goal("cifar-train-bn", peers.TORCH, 3.0, 4.0),
    Goal("imagenet-train", peers.TORCH, 1.6, 2.0),
    *IMPORTED,
)
AVX2 = (
    Goal("cifar-b1", (peers.OPENVINO,), 1.5, 1.8),
    Goal("cifar-b128", (peers.OPENVINO,), 1.5, 1.8),
    Goal("imagenet-b1", (peers.OPENVINO,), 1.5, 1.8),
    Goal("imagenet-b16", (peers.OPENVINO,), 1.5, 1.8),
    Goal("cifar-train", peers.TORCH, 3.0, 3.0),
    *IMPORTED,
)


def lines(results: list[dict], memory: list[dict]) -> list[str]:
    """A line for each goal that these results can answer."""
    cells = [("row", "setting", "against", "measured", "must", "hoped", "")]
    for row in results:
        goals = {"amx": WIDE, "avx512": WIDE, "avx2": AVX2}.get(row["target"], ())
        part = _ONE_THREAD if row["threads"] == 1 else 1.0
        for goal in goals:
            if goal.row == row["row"]:
                cells.append(_cells(goal, row, part))
    cells += _scaling(results)
    cells += _memory(memory)
    return report.columns(cells, left=(0, 1, 2, 6)) if len(cells) > 1 else []


def _cells(goal: Goal, row: dict, part: float) -> tuple[str, ...]:
    peer = report.best_peer(row, goal.against)
    against = peer["name"] if peer else " or ".join(goal.against)
    line = _line(
        row["row"],
        report.setting(row),
        against,
        report.ratio(row, peer),
        goal.must * part,
        goal.hope * part,
    )
    missing = [gone["name"] for gone in row["left_out"] if gone["name"] in goal.against]
    if peer and missing:  # what the peers left out would have given is not known
        line = (*line[:-1], f"{line[-1]}; without {', '.join(missing)}")
    return _marked(line, row)


def _marked(line: tuple[str, ...], measured: dict) -> tuple[str, ...]:
    """The line, and whether others kept cores busy while this was measured."""
    return (*line[:-1], f"{line[-1]} (disturbed)") if report.disturbance(measured) else line


def _scaling(results: list[dict]) -> list[tuple[str, ...]]:
    """Two threads against one, of ninc alone, as they took turns, and what the machine gave.

    Of the NINs: no goal is set for other networks, some of which have too little work to share.
    """
    lines = []
    for row in results:
        scaling = row.get("scaling")
        if row["threads"] != 2 or not scaling or row["row"] not in rows.NINS:
            continue
        gain = scaling["one_thread"] / scaling["all_threads"]
        line = _line(row["row"], report.setting(row), "1 thread", gain, _SCALING)
        if scaling.get("limit_gain"):  # files from before it was measured have none
            line = (*line[:-1], f"{line[-1]}; the machine {scaling['limit_gain']:.2f}")
        lines.append(_marked(line, scaling))
    return lines


def _memory(memory: list[dict]) -> list[tuple[str, ...]]:
    """Peak memory of inference: how many times as much each peer takes."""
    peak = {e["name"]: e["peak_mb"] for e in memory if e["row"] == rows.MEMORY_ROWS[0]}
    return [
        _line("memory", "batch 128, peak", name, peak[name] / peak[peers.NINC], 1.0)
        for name in (peers.ONNX_RUNTIME, peers.OPENVINO, peers.OPENVINO_DEFAULT)
        if name in peak
    ]


def _line(row, setting, against, measured, must, hope=None) -> tuple[str, ...]:
    """One line's cells; `measured` is None where the peer gave no figure that counts."""
    hope = must if hope is None else hope
    if measured is None:
        verdict = "no peer that counts"
    elif measured >= hope:
        verdict = "reached"
    else:
        verdict = "reached, short of what is hoped" if measured >= must else "not reached"
    shown = "-" if measured is None else f"{measured:.2f}"
    return (row, setting, against, shown, f"{must:.2f}", f"{hope:.2f}", verdict)
