"""ONNX files for tests: made of a few nodes, and what ONNX Runtime gives for them."""

import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import ninc


def node(op, inputs="x", outputs="y", name="", **told):
    """A node; inputs and outputs are names with spaces between, "-" for one that is left out."""
    names = ["" if one == "-" else one for one in inputs.split()]
    return helper.make_node(op, names, outputs.split(), name, **told)


def model(nodes, shape, opset=17, output="y", **constants):
    """A model whose input is x, of this shape; a text or None in it is a size that is left open.

    constants: initialisers by name; a name cannot have a dot or dash in it here.
    """
    tensors = [numpy_helper.from_array(np.asarray(one), key) for key, one in constants.items()]
    outputs = output.split()
    graph = helper.make_graph(
        [nodes] if not isinstance(nodes, list) else nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(one, TensorProto.FLOAT, None) for one in outputs],
        tensors,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 8 if opset < 21 else 10
    return made


def small_net(classes):
    """The bytes of a network for pictures of any size: two convolutions and their mean."""
    nodes = [
        node("Conv", "x w b", "c", "/conv1/Conv", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r", "/relu/Relu"),
        node("Conv", "r v", "d", "/conv2/Conv"),
        node("GlobalAveragePool", "d", "g", "/pool/GlobalAveragePool"),
        node("Flatten", "g", "y", "/Flatten"),
    ]
    weights = dict(w=random(8, 3, 3, 3), b=random(8), v=random(classes, 8, 1, 1))
    return model(nodes, ["n", 3, "h", "w"], **weights).SerializeToString()


def random(*shape, seed=0, low=None):
    """Normal numbers; or those from `low` to low + 1."""
    rng = np.random.default_rng(seed + sum(shape))
    numbers = rng.standard_normal(shape) if low is None else rng.uniform(low, low + 1, shape)
    return numbers.astype(np.float32)


def runtime(content, x):
    """What ONNX Runtime gives for the bytes of a model."""
    ort = pytest.importorskip("onnxruntime")
    ort.set_default_logger_severity(4)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    [given] = session.get_inputs()
    [y] = session.run(None, {given.name: x})
    return y


def load(made, **options):
    """The network of a model, or of its bytes."""
    content = made if isinstance(made, bytes) else made.SerializeToString()
    network = ninc.load_onnx(content, **options)
    network.precision = "strict"  # plain float32 on every processor
    return network


def nodes_of(network):
    """The core's description of a network's layers, each a dictionary; the input is the first."""
    return json.loads(network.core.graph_json())["nodes"]


def assert_gives(made, x, last=False, tolerance=1e-5):
    """The network of a model gives what ONNX Runtime gives, relative to the largest output.

    x: as the network takes it, N×C×H×W. last: the model takes it with the channels last. A map that
    comes out with the channels last is turned.
    """
    expected = runtime(made.SerializeToString(), x.transpose(0, 2, 3, 1).copy() if last else x)
    network = load(made)
    y = network(x.reshape(*x.shape, *[1] * (4 - x.ndim)))
    if expected.ndim == 4 and last:
        expected = expected.transpose(0, 3, 1, 2)
    if expected.ndim == 4 and expected.shape[2:] == (1, 1):
        expected = expected[:, :, 0, 0]
    assert y.shape == expected.shape
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(y, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    return network
