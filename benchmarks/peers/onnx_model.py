"""A network as an ONNX file of one input shape, for the engines that read those."""

from __future__ import annotations

import io

import onnx
from onnx import helper


def save(network, input_shape, path, windows: bool = False) -> None:
    """Writes what `export_onnx` does, for pictures of `input_shape` alone.

    windows: pools of the whole map are written as pools of a window as large.
    """
    written = io.BytesIO()
    network.export_onnx(written)
    model = onnx.load_from_string(written.getvalue())
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, input_shape):
        dim.dim_value = size
    for step in model.graph.node:
        if windows and step.op_type in ("GlobalAveragePool", "GlobalMaxPool"):
            (source,) = network.graph[step.name].inputs
            size = network.core.output_shape(tuple(input_shape), source)[2:]
            step.op_type = step.op_type.removeprefix("Global")
            step.attribute.append(helper.make_attribute("kernel_shape", size))
    onnx.save(model, path)
