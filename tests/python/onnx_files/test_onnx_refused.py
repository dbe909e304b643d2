"""What ninc cannot take over is told at once: each such node, its operation and the reason."""

import re

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx reads ONNX files")
import ninc  # noqa: E402
from support.formats.onnx_models import model, node, random  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")

SHAPE = [None, 4, 9, 8]
W = random(6, 4, 3, 3)

# Name -> nodes, constants and the words after "what ninc cannot take over: ".
REFUSED = {
    "an operation that is not there": (
        [node("Resize", "x - s", name="up")], dict(s=np.float32([1, 1, 2, 2])),
        "up (Resize): ninc has no such operation",
    ),
    "all of them": (
        [node("ConvTranspose", "x w", "a", name="one"), node("Selu", "a", "b", name="two"),
         node("Conv", "b k", "c", name="three"), node("Selu", "c", "d", name="four"),
         node("LogSoftmax", "d", name="five")],
        dict(w=random(4, 4, 2, 2), k=random(4, 4, 3)),
        "one (ConvTranspose): ninc has no such operation; two, four (Selu): ninc has no such "
        "operation; three (Conv): its weight has the shape 4×4×3, only kernels of two axes are "
        "known; five (LogSoftmax): ninc has no such operation",
    ),
    "an operation of somebody else": (
        [node("FusedConv", "x w", domain="com.microsoft")], dict(w=W),
        "node 1 (FusedConv): it is of com.microsoft, only ONNX's own operations are known",
    ),
    "an output that is a constant": (
        [node("Relu", "x", "y"), node("Identity", "w", "z")], dict(output="y z", w=W),
        "z (output): it is a constant; what comes before it is read: "
        "load_onnx(path, outputs=['y'])",
    ),
    "indices of a pool": (
        [node("MaxPool", "x", "p i", kernel_shape=[2, 2]), node("Cast", "i", "f", to=1),
         node("Add", "p f")], {},
        "node 1 (MaxPool): its output 2 is used, only the first is known",
    ),
    "a pool's dilation": (
        [node("MaxPool", kernel_shape=[2, 2], dilations=[2, 2])], {},
        "node 1 (MaxPool): its dilations are (2, 2), only 1 is known",
    ),
    "a mean of padding alone": (
        [node("AveragePool", kernel_shape=[2, 2], pads=[0, 0, 2, 0])], {},
        "node 1 (AveragePool): its pads are [0, 0, 2, 0], and a window lies in them altogether",
    ),
    "weights that depend on the picture": (
        [node("Conv", "x x")], {},
        "node 1 (Conv): its weight depends on the picture, a constant is needed",
    ),
    "a product of two values": (
        [node("MatMul", "x x")], {},
        "node 1 (MatMul): both of its inputs depend on the picture",
    ),
    "softmax over the width": (
        [node("Softmax", axis=3)], {},
        "node 1 (Softmax): it is over the axis 3 of N×4×9×8, only channels are known",
    ),
    "a mean over the channels": (
        [node("ReduceMean", axes=[1])], {},
        "node 1 (ReduceMean): it goes over the axes [1] of N×4×9×8, only height and width are "
        "known",
    ),
    "maps above one another": (
        [node("Relu", "x", "r"), node("Concat", "x r", axis=2)], {},
        "node 2 (Concat): its axis is 2 of N×4×9×8, only channels are known; what comes before "
        "it is read: load_onnx(path, outputs=['r'])",
    ),
    "pads that mirror": (
        [node("Pad", "x p", mode="reflect")], dict(p=np.array([0, 0, 1, 1, 0, 0, 1, 1])),
        "node 1 (Pad): its mode is 'reflect', only 'constant' is known",
    ),
    "a flip": (
        [node("Slice", "x b e a s")],
        dict(b=np.array([-1]), e=np.array([-100]), a=np.array([3]), s=np.array([-1])),
        "node 1 (Slice): it takes -1:-100:-1 of axis 3 of N×4×9×8, only parts of channels, height "
        "and width are known, and of channels in steps of 1",
    ),
    "training": (
        [node("BatchNormalization", "x s s s s", "y m v", training_mode=1)],
        dict(s=np.ones(4, np.float32)),
        "node 1 (BatchNormalization): its training_mode is set: it normalises by each batch's "
        "statistics; in inference, as model.eval() exports it, it does not",
    ),
    "an attribute that is not known": (
        [node("Relu", shade=2.0)], {}, "node 1 (Relu): its attribute shade is not known",
    ),
    "a reshape across the axes": (
        [node("Reshape", "x d")], dict(d=np.array([-1, 6, 9, 8])),
        "node 1 (Reshape): it makes -1×6×9×8 of N×4×9×8, which goes across its axes",
    ),
    "axes that stay apart": (
        [node("Reshape", "x d")], dict(d=np.array([-1, 2, 2, 72])),
        "y (output): it needs the axes of N×2×2×72 in an order that no layer of ninc's gives",
    ),
    "a function that is no pattern": (
        [node("Erf")], {},
        "node 1 (Erf): only as a part of GELU, x * (1 + erf(x / sqrt(2))) / 2, is it known",
    ),
    "a root": (
        [node("Pow", "x half")], dict(half=np.float32(0.5)),
        "node 1 (Pow): its exponent is 0.5, only 1, 2 and 3 are known",
    ),
    "a constant that differs from picture to picture": (
        [node("Mul", "x c")], dict(c=random(2, 1, 1, 1)),
        "node 1 (Mul): its constant has other numbers for each picture of a batch",
    ),
    "an output that no picture has part in": (
        [node("Relu", "x", "z"), node("Identity", "c", "y")], dict(c=random(3)),
        "y (output): it is a constant",
    ),
}  # fmt: skip


def refusal(made):
    with pytest.raises(ninc.ModelError) as error:
        ninc.load_onnx(made.SerializeToString())
    return str(error.value)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_taken_over_is_told(name):
    nodes, told, words = REFUSED[name]
    assert refusal(model(nodes, SHAPE, **told)) == f"bytes: what ninc cannot take over: {words}"


def test_kernels_of_one_axis():
    made = model(node("Conv", "x w", name="c"), [None, 4, 9], w=random(6, 4, 3))
    assert refusal(made) == (
        "bytes: what ninc cannot take over: its input 'x' has 3 axes, a picture's has 4; c (Conv): "
        "its weight has the shape 6×4×3, only kernels of two axes are known"
    )


def test_padding_that_depends_on_a_size_that_is_open():
    made = model(node("Conv", "x w", auto_pad="SAME_UPPER", strides=[2, 2]), [None, 4, None, 8],
                 w=W)  # fmt: skip
    assert (
        "its auto_pad depends on the size of the pictures, which the file leaves open"
        in refusal(made)
    )


# Name -> nodes, constants and what the message has.
DAMAGED = {
    "channels": ([node("Conv", "x w", name="c")], dict(w=random(6, 5, 3, 3)),
                 r"c \(Conv\): its weight is for 5 channels, and it is given 4"),
    "a bias": ([node("Conv", "x w b")], dict(w=W, b=random(5)), "its bias has the shape 5, its"),
    "groups": ([node("Conv", "x w", group=4)], dict(w=random(6, 1, 3, 3)), "for 4 groups"),
    "a norm's numbers": ([node("BatchNormalization", "x s s s t")],
                         dict(s=random(4), t=random(3)), "its running_var has the shape 3"),
    "a matrix": ([node("Flatten", "x", "f"), node("MatMul", "f w")], dict(w=random(287, 5)),
                 "its matrix has 287 rows, and it is given N×288"),
    "an attribute's type": ([node("MaxPool", kernel_shape=3)], {}, "must be integers, got an int"),
    "what nothing gives": ([node("Add", "x z")], {}, "takes 'z', which no node before it gives"),
    "an order": ([node("Relu", "z", "y"), node("Relu", "x", "z")], {},
                 "takes 'z', which no node before it gives"),
    "one name twice": ([node("Relu", "x", "z"), node("Elu", "x", "z"), node("Relu", "z")], {},
                       r"node 2 \(Elu\) gives 'z', which node 1 \(Relu\) gives, too"),
    "too few inputs": ([node("Add", "x")], {}, "takes 1 inputs instead of 2"),
    "shape arithmetic": ([node("Add", "a b", "d"), node("Reshape", "x d")],
                         dict(a=np.array([1, 2]), b=np.array([1, 2, 3])),
                         "cannot be computed of its constants"),
    "a division by 0": ([node("Div", "a b", "d"), node("Reshape", "x d")],
                        dict(a=np.array([1, 2]), b=np.array([0, 1])),
                        "a whole number divided by 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_what_makes_no_sense_names_the_node(name):
    nodes, told, words = DAMAGED[name]
    made = model(nodes, SHAPE, **told)
    assert re.search(words, refusal(made)), refusal(made)


def test_means_without_uneven_pads_of_maps_of_any_size():
    made = model(node("AveragePool", kernel_shape=[3, 3], pads=[0, 0, 1, 1]), [None, 4, None, 8])
    assert (
        "its pads are [0, 0, 1, 1], and it leaves them out of its means, which ninc does for pads "
        "of one size before and behind, or for maps of one size"
    ) in refusal(made)


def test_constants_for_channels_that_cannot_be():
    """Where the file leaves the channels open, two constants may still contradict each other."""
    made = model([node("Add", "x a", "p"), node("Mul", "p b")], [None, None, 9, 8],
                 a=random(3, 1, 1), b=random(5, 1, 1))  # fmt: skip
    assert "node 2 (Mul): constants are for 3 channels and for 5" in refusal(made)


def test_opsets_that_are_not_read():
    for opset in (6, 29):
        made = model(node("Relu"), SHAPE)
        made.opset_import[0].version = opset
        assert f"is of ONNX's opset {opset}, and 7 to 28 are read" in refusal(made)
    made = model(node("Relu"), SHAPE)
    del made.opset_import[:]
    assert "does not say of which opset" in refusal(made)


def test_two_inputs():
    made = model(node("Add", "x z"), SHAPE)
    made.graph.input.append(onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, SHAPE))
    assert refusal(made).endswith("over: a network has one input, and it takes x, z")
    made.graph.node[0].input[1] = "x"  # an input that nothing reads is none
    ninc.load_onnx(made.SerializeToString())


def test_an_input_of_whole_numbers():
    made = model(node("Relu"), SHAPE)
    made.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    assert "its input 'x' is of ONNX's type uint8, floats are needed" in refusal(made)
