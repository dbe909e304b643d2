"""The table that `Network.summary` gives."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from .. import _core
from .._base.graph import Node, graph_of
from .plan import ImageShape

HEADER = ("layer", "output", "parameters", "MMAC")


def summary(model: _core.Model, input_shape: ImageShape) -> str:
    """The table of `summary_rows` as text.

    Where the network has several outputs, their names stand below.
    """
    outputs = graph_of(model).outputs
    names = ", ".join(node.name for node in outputs)
    told = f"\noutputs: {names}" if len(outputs) > 1 else ""
    return _table(summary_rows(model, input_shape)) + told


def summary_rows(model: _core.Model, input_shape: ImageShape) -> list[tuple[str, ...]]:
    """One row a layer below `HEADER`, the last row in all.

    MMAC: millions of multiplications with an addition, a picture.
    """
    sizes: Counter[str] = Counter()  # node -> how many numbers are trained
    for name, dims, trainable in model.specs():
        if trainable:
            sizes[name.rpartition(".")[0]] += math.prod(dims)
    rows: list[tuple[str, ...]] = []
    total = 0
    for node in graph_of(model):
        output = model.output_shape(input_shape, node.name)
        multiplications = _multiplications(node, output)
        total += multiplications
        rows.append(
            (
                f"{node.name} ({node.operation})",
                "×".join(map(str, output[1:])),
                f"{sizes[node.name]:,}" if node.name in sizes else "",
                f"{multiplications / 1e6:,.2f}" if multiplications else "",
            )
        )
    rows.append(("total", "", f"{sum(sizes.values()):,}", f"{total / 1e6:,.2f}"))
    return rows


def _multiplications(node: Node, output: ImageShape) -> int:
    """Those for one picture: a convolution's output is a sum of C / groups * R * S products."""
    told = node.attributes
    if node.operation == "Linear":
        return told["in_features"] * told["out_features"]
    if node.operation == "Conv2d":
        window = told["in_channels"] // told["groups"] * math.prod(told["kernel_size"])
        return window * math.prod(output[1:])
    return 0


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(HEADER, *rows)]

    def line(cells: tuple[str, ...]) -> str:
        words, numbers = zip(cells[:2], widths[:2]), zip(cells[2:], widths[2:])
        left = [cell.ljust(width) for cell, width in words]
        right = [cell.rjust(width) for cell, width in numbers]
        return "  ".join(left + right).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([line(HEADER), rule, *map(line, rows[:-1]), rule, line(rows[-1])])
