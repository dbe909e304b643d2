"""The table that `Network.summary` gives."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from .. import _core
from .._base.graph import Node, graph_of
from .plan import ImageShape

_HEADER = ("layer", "output", "parameters", "MMAC")


def summary(model: _core.Model, input_shape: ImageShape) -> str:
    """One row a layer; MMAC: millions of multiplications with an addition, a picture.

    Where the network has several outputs, their names stand below.
    """
    sizes: Counter[str] = Counter()  # node -> how many numbers are trained
    for name, dims, trainable in model.specs():
        if trainable:
            sizes[name.rpartition(".")[0]] += math.prod(dims)
    rows = []
    total = 0
    graph = graph_of(model)
    for node in graph:
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
    names = ", ".join(node.name for node in graph.outputs)
    return _table(rows) + (f"\noutputs: {names}" if len(graph.outputs) > 1 else "")


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
    widths = [max(map(len, column)) for column in zip(_HEADER, *rows)]

    def line(cells: tuple[str, ...]) -> str:
        words, numbers = zip(cells[:2], widths[:2]), zip(cells[2:], widths[2:])
        left = [cell.ljust(width) for cell, width in words]
        right = [cell.rjust(width) for cell, width in numbers]
        return "  ".join(left + right).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([line(_HEADER), rule, *map(line, rows[:-1]), rule, line(rows[-1])])
