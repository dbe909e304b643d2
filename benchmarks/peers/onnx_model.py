"""A network as an ONNX model of one input shape, for the engines that read those."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper, numpy_helper

from .chain import chain, unsupported

# The oldest that has every operator as it is used here: engines of several years read it.
_OPSET = 17
_IR_VERSION = 8


def model(network, input_shape) -> onnx.ModelProto:
    """Input "x" of `input_shape`, output "logits", N×classes; weights are inside."""
    nodes, value = [], "x"
    for node in chain(network):
        made = _nodes(node, value, network.core.output_shape(tuple(input_shape), node["inputs"][0]))
        nodes += made
        value = made[-1].output[0] if made else value
    nodes[-1].output[0] = "logits"
    used = {name for node in nodes for name in node.input}
    weights = [
        numpy_helper.from_array(array, name)
        for name, array in network.state_dict().items()
        if name in used
    ]
    classes = network.core.output_shape(tuple(input_shape))[1]
    graph = helper.make_graph(
        nodes,
        "ninc",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (input_shape[0], classes))],
        weights,
    )
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
    )
    onnx.checker.check_model(made, full_check=True)
    return made


def save(network, input_shape, path) -> None:
    onnx.save(model(network, input_shape), path)


def _nodes(node, value: str, shape) -> list[onnx.NodeProto]:
    """The operators for one node that reads `value` of N×C×H×W `shape`; none for dropout."""
    op, name = node["op"], node["name"]

    def make(operator, inputs=(), output=name, **attributes):
        return helper.make_node(operator, [value, *inputs], [output], name=output, **attributes)

    if op == "Conv2d":
        inputs = [f"{name}.weight"] + ([f"{name}.bias"] if node["bias"] else [])
        return [
            make(
                "Conv",
                inputs,
                kernel_shape=node["kernel_size"],
                strides=node["stride"],
                dilations=node["dilation"],
                pads=node["padding"],
                group=node["groups"],
            )
        ]
    if op == "BatchNorm2d":
        suffixes = ("weight", "bias", "running_mean", "running_var")
        inputs = [f"{name}.{suffix}" for suffix in suffixes]
        return [make("BatchNormalization", inputs, epsilon=node["eps"])]
    if op == "Relu":
        return [make("Relu")]
    if op == "Dropout":
        return []
    if op in ("GlobalAvgPool2d", "GlobalMaxPool2d"):
        # As a pool over the whole map: OpenVINO 2026.4 makes a reduction of GlobalAveragePool that
        # stays on AVX-512 where the rest is held to AVX2, and reads that layout wrongly.
        pooled = f"{name}.pooled"
        return [
            make(
                "AveragePool" if op == "GlobalAvgPool2d" else "MaxPool",
                output=pooled,
                kernel_shape=shape[2:],
            ),
            helper.make_node("Flatten", [pooled], [name], name=name, axis=1),
        ]
    if op not in ("MaxPool2d", "AvgPool2d"):
        raise unsupported(node)
    window = {
        "kernel_shape": node["kernel_size"],
        "strides": node["stride"],
        "pads": [*node["padding"], *node["padding"]],
        "ceil_mode": int(node["ceil_mode"]),
    }
    if op == "MaxPool2d":
        return [make("MaxPool", **window)]
    return [make("AveragePool", **window, count_include_pad=int(node["count_include_pad"]))]
