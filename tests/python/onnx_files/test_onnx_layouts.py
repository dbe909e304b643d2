"""Channels last, transposes and the shape arithmetic of exporters leave nothing in the network."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the package onnx reads ONNX files")
pytest.importorskip("onnxruntime", reason="says what is right")
from support.formats.onnx_models import assert_gives, model, node, nodes_of, random  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")

X = (2, 3, 9, 8)  # of what the networks take
LAST, FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
W = random(6, 3, 3, 3)


def operations(network):
    return [one["op"] for one in nodes_of(network)]


def turned(before, nodes, after):
    """Nodes between transposes, as tf2onnx writes them around each operation of TensorFlow."""
    first, last = nodes[0], nodes[-1]
    first.input[0], last.output[0] = f"{before}_for_{after}", f"{after}_first"
    return [
        node("Transpose", before, f"{before}_for_{after}", perm=FIRST),
        *nodes,
        node("Transpose", f"{after}_first", after, perm=LAST),
    ]


CONV = turned("x", [node("Conv", "x w b", "c", pads=[1, 1, 1, 1])], "c")

# Models whose input has the channels last: nodes, constants, and the network's operations.
NETS = {
    "a convolution between transposes": (
        [*CONV, node("Relu", "c")], dict(w=W, b=random(6)), ["Conv2d", "Relu"],
    ),
    "an output that stays last": (CONV[:-1] + [node("Transpose", "c_first", perm=LAST)],
                                  dict(w=W, b=random(6)), ["Conv2d"]),
    "bias and mean along the last axis": (
        [
            *turned("x", [node("Conv", "x w", "c")], "c"), node("Add", "c b", "d"),
            node("Relu", "d", "r"), node("ReduceMean", "r", "m", axes=[1, 2], keepdims=0),
            node("MatMul", "m u", "z"), node("Add", "z v", "s"), node("Softmax", "s"),
        ],
        dict(w=W, b=random(6), u=random(6, 5), v=random(5)),
        ["Conv2d", "Relu", "GlobalAvgPool2d", "Linear", "Softmax"],
    ),
    "channels joined along axis 3": (
        [*CONV, node("Relu", "c", "r"), node("Concat", "c r", axis=3)],
        dict(w=W, b=random(6)), ["Conv2d", "Relu", "Concat"],
    ),
    "softmax along axis 3": (
        [*CONV, node("Softmax", "c", axis=3)], dict(w=W, b=random(6)), ["Conv2d", "Softmax"],
    ),
    "a flat map, channels last": (
        [*CONV, node("Reshape", "c d", "f"), node("MatMul", "f u")],
        dict(w=W, b=random(6), d=np.array([-1, 432]), u=random(432, 4)),
        ["Conv2d", "Flatten", "Linear"],
    ),
    "pads of the axes 1 and 2": (
        [
            node("Pad", "x p", "q"),
            *turned("q", [node("Conv", "q w b", "c", strides=[2, 2])], "c"), node("Relu", "c"),
        ],
        dict(w=W, b=random(6), p=np.array([0, 1, 0, 0, 0, 1, 2, 0])), ["Conv2d", "Relu"],
    ),
    "a sum of two branches": (
        [*CONV, *turned("c", [node("MaxPool", "c", "p", kernel_shape=[3, 3],
                                   auto_pad="SAME_UPPER")], "p"), node("Add", "c p")],
        dict(w=W, b=random(6)), ["Conv2d", "MaxPool2d", "Add"],
    ),
    "a batch norm along the last axis": (
        [*CONV, *turned("c", [node("BatchNormalization", "c s t m v", "n")], "n"),
         node("Relu", "n")],
        dict(w=W, b=random(6), s=random(6), t=random(6), m=random(6), v=random(6, low=0.5)),
        ["Conv2d", "BatchNorm2d", "Relu"],
    ),
    "pixels in a row": (
        [*CONV, node("Reshape", "c d", "r"), node("MatMul", "r u", "z"),
         node("ReduceMean", "z", axes=[1], keepdims=0)],
        dict(w=W, b=random(6), d=np.array([0, -1, 6]), u=random(6, 4)),
        ["Conv2d", "Conv2d", "GlobalAvgPool2d"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("size", ["told", "open"])
def test_channels_last_become_channels_first(name, size):
    nodes, constants, expected = NETS[name]
    told = {"told": [None, 9, 8, 3], "open": [None, None, None, 3]}[size]
    if size == "open" and name == "a flat map, channels last":
        return  # its weights cannot be turned without the size, which test_onnx_refused.py looks at

    network = assert_gives(model(nodes, told, **constants), random(*X), last=True)
    assert operations(network)[1:] == expected


def test_one_channel_last():
    """Nothing in a shape tells where the channels are that are one; the nodes do."""
    w = random(2, 1, 3, 3)
    made = model([*turned("x", [node("Conv", "x w", "c")], "c"), node("Relu", "c")],
                 [None, 9, 8, 1], w=w)  # fmt: skip
    assert_gives(made, random(2, 1, 9, 8), last=True)


def test_channels_first_of_a_picture_three_pixels_wide():
    made = model(node("Conv", "x w"), [None, 7, 9, 3], w=random(2, 7, 3, 3))
    assert_gives(made, random(2, 7, 9, 3))


# ---- Shape arithmetic ----------------------------------------------------------------------------

GAP = node("GlobalAveragePool", "x", "g")
ONE, TWO = np.array([1]), np.array([2])

FLATTENED = {
    "torch: view(x.size(0), -1)": (
        [node("Shape", "g", "s"), node("Gather", "s zero", "n", axis=0),
         node("Unsqueeze", "n axes", "u"), node("Concat", "u minus", "d", axis=0),
         node("Reshape", "g d", "f")],
        dict(zero=np.array(0), axes=np.array([0]), minus=np.array([-1])),
    ),
    "tf: shape, cast, slice, pack": (
        [node("Shape", "g", "s"), node("Cast", "s", "t", to=6), node("Slice", "t a b", "n"),
         node("Concat", "n c", "d", axis=0), node("Cast", "d", "e", to=7),
         node("Reshape", "g e", "f")],
        dict(a=np.array([0]), b=ONE, c=np.array([4], np.int32)),
    ),
    "the product of the other axes": (
        [node("Shape", "g", "s"), node("Slice", "s a b", "r"),
         node("ReduceProd", "r", "p", keepdims=1), node("Concat", "minus p", "d", axis=0),
         node("Reshape", "g d", "f")],
        dict(a=ONE, b=np.array([4]), minus=np.array([-1])),
    ),
    "a constant made of its shape": (
        [node("ConstantOfShape", "two", "ones"), node("Cast", "ones", "i", to=7),
         node("Sub", "i one", "m"), node("Mul", "m mask", "d"), node("Reshape", "g d", "f")],
        dict(two=TWO, one=np.array([1]), mask=np.array([0, 1])),
    ),
    "flatten": ([node("Flatten", "g", "f")], {}),
    "squeeze": ([node("Squeeze", "g axes", "f")], dict(axes=np.array([2, -1]))),
    "squeeze twice": (
        [node("Squeeze", "g last", "h"), node("Squeeze", "h last", "f")], dict(last=np.array([-1])),
    ),
    "what Where chooses": (
        [node("Shape", "g", "s"), node("Equal", "d minus", "is"), node("Where", "is ones d", "e"),
         node("Reshape", "g e", "f")],
        dict(d=np.array([0, -1]), minus=np.array([-2]), ones=np.array([1, 1])),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FLATTENED)
@pytest.mark.parametrize("shape", [[2, 4, 9, 8], ["n", 4, "h", "w"]], ids=["told", "open"])
def test_what_flattens_a_mean_vanishes(name, shape):
    nodes, constants = FLATTENED[name]
    made = model([GAP, *nodes, node("Gemm", "f w")], shape, opset=13, w=random(4, 5), **constants)
    network = assert_gives(made, random(2, 4, 9, 8))
    assert operations(network)[1:] == ["GlobalAvgPool2d", "Linear"]


def test_constants_in_nodes():
    numbers = random(6, 4, 3, 3)
    nodes = [
        node("Constant", "", "w", value=model([], [1], w=numbers).graph.initializer[0]),
        node("Constant", "", "b", value_floats=[1.0] * 6),
        node("Conv", "x w b"),
    ]
    assert_gives(model(nodes, [None, 4, 9, 8]), random(2, 4, 9, 8))


def test_weights_that_are_turned_and_cut():
    nodes = [
        node("Transpose", "w", "t", perm=[3, 2, 0, 1]), node("Slice", "t a b", "c"),
        node("Mul", "c half", "d"), node("Conv", "x d"),
    ]  # fmt: skip
    constants = dict(w=random(3, 3, 4, 8), a=np.array([1]), b=np.array([7]), half=np.float32(0.5))
    assert_gives(model(nodes, [None, 4, 9, 8], **constants), random(2, 4, 9, 8))


def test_a_map_that_was_flat_for_a_while():
    nodes = [
        node("Flatten", "x", "f"), node("Relu", "f", "r"), node("Shape", "x", "s"),
        node("Reshape", "r s", "t"), node("Conv", "t w"),
    ]  # fmt: skip
    for shape in ([None, 3, 9, 8], ["n", 3, "h", "w"]):
        network = assert_gives(model(nodes, shape, w=W), random(*X))
        assert operations(network)[1:] == ["Relu", "Conv2d"]


def test_a_map_that_two_layers_read_flat():
    nodes = [
        node("Flatten", "x", "f", "flat"), node("MatMul", "f w", "a"), node("MatMul", "f v", "b"),
        node("Add", "a b"),
    ]  # fmt: skip
    made = model(nodes, [None, 3, 9, 8], w=random(216, 5), v=random(216, 5, seed=1))
    network = assert_gives(made, random(*X))
    assert [one["name"] for one in nodes_of(network)] == ["x", "flat", "a", "b", "y"]
