"""Each operation of ONNX gives what ONNX Runtime gives, with all of its settings."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the package onnx reads ONNX files")
pytest.importorskip("onnxruntime", reason="says what is right")
from support.formats.onnx_models import assert_gives, model, node, random  # noqa: E402
from support.formats.onnx_runtime import assert_comes_back  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")

X = (2, 4, 9, 8)  # of what these models take
PIXELS = dict(shape=(2, 6))

W3, W1, B = random(6, 4, 3, 3), random(6, 4, 1, 1), random(6)
NORM = dict(s=random(4), b=random(4), m=random(4), v=random(4, low=0.5))


def conv(inputs="x w", **told):
    return [node("Conv", inputs, **told)]


def unary(op, **told):
    return [node(op, **told)]


# Name -> nodes, or (nodes, what `model` takes besides).
CASES = {
    # Convolutions
    "conv": (conv(), dict(w=W3)),
    "conv, bias": (conv("x w b"), dict(w=W3, b=B)),
    "conv, all settings": (
        conv("x w b", strides=[2, 1], dilations=[1, 2], pads=[1, 0, 2, 3], kernel_shape=[3, 3]),
        dict(w=W3, b=B),
    ),
    "conv, groups": (conv(group=2), dict(w=random(6, 2, 3, 3))),
    "conv, depthwise": (conv(group=4, pads=[1, 1, 1, 1]), dict(w=random(4, 1, 3, 3))),
    "conv, valid": (conv(auto_pad="VALID"), dict(w=W3)),
    "conv, same upper": (conv(auto_pad="SAME_UPPER", strides=[2, 2]), dict(w=W3)),
    "conv, same lower": (conv(auto_pad="SAME_LOWER", strides=[2, 2]), dict(w=W3)),
    "conv, same, even kernel": (conv(auto_pad="SAME_UPPER"), dict(w=random(6, 4, 2, 4))),
    "conv, weight of float64": (
        [node("Cast", "w64", "w", to=1), node("Conv", "x w")],
        dict(w64=W3.astype(np.float64)),
    ),
    "conv, weight of float16": (
        [node("Cast", "w16", "w", to=1), node("Conv", "x w")],
        dict(w16=W3.astype(np.float16)),
    ),
    # Products with matrices
    "matmul and add over channels that are last": (
        [
            node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("MatMul", "t w", "p"),
            node("Add", "p b", "q"), node("Transpose", "q", "y", perm=[0, 3, 1, 2]),
        ],
        dict(w=random(4, 6), b=B),
    ),
    "gemm of a flat map": (
        [node("Flatten", "x", "f"), node("Gemm", "f w b", transB=1)],
        dict(w=random(5, 288), b=random(5)),
    ),
    "gemm, all settings": (
        [node("GlobalAveragePool", "x", "g"), node("Flatten", "g", "f"),
         node("Gemm", "f w b", alpha=0.5, beta=2.0)],
        dict(w=random(4, 5), b=random(1, 5)),
    ),
    "gemm, one number for all": (
        [node("GlobalAveragePool", "x", "g"), node("Flatten", "g", "f"), node("Gemm", "f w b")],
        dict(w=random(4, 5), b=np.float32(0.5)),
    ),
    "matmul and add": (
        [node("ReduceMean", "x", "g", axes=[2, 3], keepdims=0), node("MatMul", "g w", "p"),
         node("Add", "b p")],
        dict(w=random(4, 5), b=random(5)),
    ),
    "matmul of rows": ([node("MatMul", "x w")], dict(w=random(6, 3), shape=(2, 6))),
    "matmul of what was transposed before it was flat": (
        [node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("Flatten", "t", "f"),
         node("MatMul", "f w")],
        dict(w=random(288, 5)),
    ),
    # Norms
    "batch norm": ([node("BatchNormalization", "x s b m v", epsilon=1e-3)], NORM),
    "batch norm of rows": (
        [node("GlobalAveragePool", "x", "g"), node("Flatten", "g", "f"),
         node("BatchNormalization", "f s b m v")],
        NORM,
    ),
    "lrn": ([node("LRN", size=3, alpha=0.01, beta=0.6, bias=1.5)], {}),
    "lrn, wider than there are channels": ([node("LRN", size=5)], {}),
    # Pools
    "max pool": (unary("MaxPool", kernel_shape=[3, 2], strides=[2, 1]), {}),
    "max pool, padded": (
        unary("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), {},
    ),
    "max pool, ceil": (unary("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), {}),
    "max pool, ceil, padded": (
        unary("MaxPool", kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1, pads=[1, 1, 1, 1]), {},
    ),
    "max pool, padded behind": (
        unary("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]), {},
    ),
    "max pool, same upper": (
        unary("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"), {},
    ),
    "max pool, same lower": (
        unary("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"), {},
    ),
    "max pool, padded before": (
        unary("MaxPool", kernel_shape=[3, 3], strides=[1, 1], pads=[2, 2, 0, 1]), {},
    ),
    "max pool, valid": (unary("MaxPool", kernel_shape=[2, 2], auto_pad="VALID"), {}),
    "max pool over all": (unary("MaxPool", kernel_shape=[9, 8]), {}),
    "average pool": (unary("AveragePool", kernel_shape=[3, 2], strides=[2, 1]), {}),
    "average pool, padded": (
        unary("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), {},
    ),
    "average pool, pads count": (
        unary("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1), {},
    ),
    "average pool, uneven pads count": (
        unary("AveragePool", kernel_shape=[3, 3], pads=[0, 2, 1, 1], count_include_pad=1), {},
    ),
    "average pool, padded behind": (
        unary("AveragePool", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 0]), {},
    ),
    "average pool, ceil": (
        unary("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), {},
    ),
    "average pool, padded behind for a stride of 1": (
        unary("AveragePool", kernel_shape=[2, 2], pads=[0, 0, 1, 1]), {},
    ),
    "average pool, uneven pads": (
        unary("AveragePool", kernel_shape=[3, 4], strides=[1, 2], pads=[0, 2, 1, 3]), {},
    ),
    "average pool, uneven pads, ceil": (
        unary("AveragePool", kernel_shape=[4, 3], strides=[3, 2], pads=[0, 1, 2, 0], ceil_mode=1),
        {},
    ),
    "average pool, same lower": (
        unary("AveragePool", kernel_shape=[2, 4], auto_pad="SAME_LOWER"), {},
    ),
    "average pool, padded by more than half a kernel": (
        unary("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[2, 2, 2, 2]), {},
    ),
    "average pool, uneven pads, one result": (
        unary("AveragePool", kernel_shape=[6, 5], strides=[5, 4], pads=[1, 1, 0, 0]), {},
    ),
    "average pool over all": (unary("AveragePool", kernel_shape=[9, 8]), {}),
    "average pool over all and pads": (
        unary("AveragePool", kernel_shape=[10, 9], pads=[0, 0, 1, 1]), {},
    ),
    "global average pool": (unary("GlobalAveragePool"), {}),
    "global max pool": (unary("GlobalMaxPool"), {}),
    "reduce mean": (unary("ReduceMean", axes=[2, 3]), {}),
    "reduce mean, without axes": (unary("ReduceMean", axes=[-1, -2], keepdims=0), {}),
    "reduce mean, axes as input": ([node("ReduceMean", "x a")], dict(a=np.array([2, 3]), opset=18)),
    "reduce max": (unary("ReduceMax", axes=[2, 3], keepdims=0), {}),
    "reduce sum": ([node("ReduceSum", "x a", keepdims=0)], dict(a=np.array([2, 3]))),
    "mean of what was flattened by halves": (
        [node("Reshape", "x d", "r"), node("ReduceMean", "r", "y", axes=[2], keepdims=0)],
        dict(d=np.array([0, 4, -1])),
    ),
    # Functions of each element
    "relu": (unary("Relu"), {}),
    "leaky relu": (unary("LeakyRelu", alpha=0.2), {}),
    "prelu": ([node("PRelu", "x w")], dict(w=random(4, 1, 1))),
    "prelu, one slope": ([node("PRelu", "x w")], dict(w=random(1))),
    "elu": (unary("Elu", alpha=0.7), {}),
    "sigmoid": (unary("Sigmoid"), {}),
    "hard sigmoid": (unary("HardSigmoid", alpha=0.3, beta=0.4), {}),
    "tanh": (unary("Tanh"), {}),
    "hard swish": (unary("HardSwish"), {}),
    "gelu": (unary("Gelu"), dict(opset=20)),
    "gelu, approximate": (unary("Gelu", approximate="tanh"), dict(opset=20)),
    "clip": ([node("Clip", "x l h")], dict(l=np.float32(-0.5), h=np.float32(0.75))),
    "clip to 6": ([node("Clip", "x l h")], dict(l=np.float32(0), h=np.float32(6))),
    "clip from 0": ([node("Clip", "x l")], dict(l=np.float32(0))),
    "clip from above": ([node("Clip", "x - h")], dict(h=np.float32(0.25))),
    "clip to nothing": ([node("Clip", "x")], {}),
    "clip by attributes": (unary("Clip", min=-0.5, max=0.5), dict(opset=10)),
    "softmax": (unary("Softmax", axis=1), {}),
    "softmax of rows": (unary("Softmax"), dict(shape=(2, 6))),
    "softmax of rows, older": (unary("Softmax"), dict(shape=(2, 6), opset=11)),
    "softmax of a flat map": ([node("Flatten", "x", "f"), node("Softmax", "f")], {}),
    # Arithmetic
    "scale and shift after a convolution": (
        [node("Conv", "x w", "c"), node("Mul", "c s", "m"), node("Add", "m b")],
        dict(w=W3, s=random(6, 1, 1), b=random(1, 6, 1, 1)),
    ),
    "scale and shift after a batch norm": (
        [node("BatchNormalization", "x s b m v", "n"), node("Div", "n t", "d"),
         node("Sub", "one d")],
        dict(**NORM, t=random(4, 1, 1, low=0.5), one=np.float32(1)),
    ),
    "scale of what others read, too": (
        [node("Conv", "x w", "c"), node("Mul", "c two", "m"), node("Concat", "c m", axis=1)],
        dict(w=W3, two=np.float32(2)),
    ),
    "scale and shift of the input": (
        [node("Sub", "x m", "s"), node("Div", "s d", "n"), node("Conv", "n w", pads=[1, 1, 1, 1])],
        dict(m=random(1, 4, 1, 1), d=random(4, 1, 1, low=0.5), w=W3),
    ),
    "a map of constants": ([node("Mul", "x c")], dict(c=random(4, 9, 8))),
    "a row of constants": ([node("Add", "x c")], dict(c=random(8))),
    "a constant over a map": ([node("Add", "x one", "a"), node("Abs", "k", "p"),
                               node("Div", "p a")],
                              dict(one=np.float32(9), k=random(4, 1, 1))),
    "neg": (unary("Neg"), {}),
    "square": ([node("Pow", "x two")], dict(two=np.float32(2))),
    "cube, by whole numbers": ([node("Pow", "x three")], dict(three=np.array([3]))),
    "power of 1": ([node("Pow", "x one", "p"), node("Relu", "p")], dict(one=np.float32(1))),
    "shift, and a scale before and behind": (
        [node("Mul", "x s", "a"), node("Add", "a t", "b"), node("Mul", "b u", "c"),
         node("Softmax", "c", axis=1)],
        dict(s=random(4, 1, 1), t=random(1), u=np.float32(3)),
    ),
    "add": ([node("Conv", "x w", "c"), node("Conv", "x v", "d"), node("Add", "c d")],
            dict(w=W3, v=random(6, 4, 3, 3, seed=3))),
    "sub": ([node("Relu", "x", "c"), node("Sub", "c x")], {}),
    "mul": ([node("Relu", "x", "c"), node("Mul", "c x")], {}),
    "div": ([node("Softmax", "x", "c", axis=1), node("Div", "x c")], {}),
    "sum": ([node("Relu", "x", "c"), node("Softmax", "x", "d", axis=1), node("Sum", "c x d")], {}),
    "sum of one": ([node("Sum", "x", "s"), node("Relu", "s")], {}),
    "squeeze and excite": (
        [node("GlobalAveragePool", "x", "g"), node("Conv", "g w", "c"), node("Sigmoid", "c", "s"),
         node("Mul", "x s")],
        dict(w=random(4, 4, 1, 1)),
    ),
    "a number a picture": (
        [node("Conv", "x w", "c"), node("Add", "x c")], dict(w=random(1, 4, 1, 1)),
    ),
    "concat": ([node("Relu", "x", "c"), node("Concat", "c x c", axis=1)], {}),
    "concat, from behind": ([node("Relu", "x", "c"), node("Concat", "c x", axis=-3)], {}),
    "concat of flat maps": (
        [node("Relu", "x", "r"), node("Flatten", "x", "a"), node("Flatten", "r", "b"),
         node("Concat", "a b", axis=1)],
        {},
    ),
    # Shapes
    "identity, cast, dropout": (
        [node("Identity", "x", "i"), node("Cast", "i", "c", to=1), node("Dropout", "c", "d"),
         node("Relu", "d")],
        {},
    ),
    "pad": ([node("Pad", "x p v")], dict(p=np.array([0, 1, 2, 0, 0, 0, 1, 3]), v=np.float32(2))),
    "pad before a convolution": (
        [node("Pad", "x p", "q"), node("Conv", "q w", pads=[1, 0, 0, 0])],
        dict(p=np.array([0, 0, 0, 1, 0, 0, 2, 1]), w=W3),
    ),
    "pad by attributes": (unary("Pad", pads=[0, 0, 1, 1, 0, 0, 1, 1], value=1.0), dict(opset=10)),
    "pad of chosen axes": (
        [node("Pad", "x p - a")], dict(p=np.array([1, 2]), a=np.array([-1]), opset=18),
    ),
    "slice": ([node("Slice", "x b e a s")],
              dict(b=np.array([1, -8]), e=np.array([3, 2**40]), a=np.array([1, 2]),
                   s=np.array([1, 2]))),
    "slice, from the end": ([node("Slice", "x b e a")],
                            dict(b=np.array([-5, 1]), e=np.array([-1, 100]), a=np.array([2, 3]))),
    "slice by attributes": (unary("Slice", starts=[1], ends=[-1], axes=[3]), dict(opset=9)),
    "split": ([node("Split", "x", "a b", axis=1), node("Add", "a b")], {}),
    "split into uneven parts": (
        [node("Split", "x p", "a b", axis=1), node("Concat", "b a", axis=1)],
        dict(p=np.array([1, 3])),
    ),
    "split, of which a part is used": ([node("Split", "x", "a y", axis=2, split=[4, 5])],
                                       dict(opset=11)),
    "channel shuffle": (
        [node("Reshape", "x a", "r"), node("Transpose", "r", "t", perm=[0, 2, 1, 3, 4]),
         node("Reshape", "t b")],
        dict(a=np.array([0, 2, 2, 9, 8]), b=np.array([0, 4, 9, 8])),
    ),
    "flatten": (unary("Flatten"), {}),
    "rows of rows": ([node("Unsqueeze", "x a", "u"), node("Relu", "u", "r"),
                      node("Squeeze", "r a")], dict(a=np.array([2]), shape=(2, 6))),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_operation_gives_what_onnx_runtime_gives(name):
    nodes, told = CASES[name]
    told = dict(told)
    shape = told.pop("shape", X)
    made = model(nodes, [None, *shape[1:]], **told)
    network = assert_gives(made, random(*shape))
    if name != "channel shuffle":  # without a layer that says how many there are to be shuffled
        assert_comes_back(network)


# The same with sizes that the file leaves open, where nothing depends on them.
OPEN = [
    "conv, all settings", "conv, groups", "conv, valid", "conv, same, even kernel", "batch norm",
    "max pool, padded", "max pool, ceil", "average pool, padded", "global average pool",
    "reduce mean, without axes", "mean of what was flattened by halves", "relu", "sum", "concat",
    "gemm, all settings", "squeeze and excite", "flatten", "softmax",
    "max pool, padded behind", "average pool, uneven pads count", "channel shuffle, any size",
    "slice, from the end",
]  # fmt: skip
CASES_OF_ANY_SIZE = CASES | {
    "channel shuffle, any size": (
        [
            node("Shape", "x", "s"), node("Slice", "s two four", "hw"),
            node("Slice", "s zero one", "n"), node("Concat", "n parts hw", "a", axis=0),
            node("Reshape", "x a", "r"), node("Transpose", "r", "t", perm=[0, 2, 1, 3, 4]),
            node("Concat", "n minus hw", "b", axis=0), node("Reshape", "t b"),
        ],
        dict(two=np.array([2]), four=np.array([4]), zero=np.array([0]), one=np.array([1]),
             parts=np.array([2, 2]), minus=np.array([-1])),
    )
}  # fmt: skip


@pytest.mark.parametrize("name", OPEN)
def test_sizes_that_are_open(name):
    nodes, told = CASES_OF_ANY_SIZE[name]
    made = model(nodes, ["n", 4, "h", "w"], **told)
    for shape in (X, (1, 4, 12, 7)):
        assert_gives(made, random(*shape))


@pytest.mark.parametrize("opset", [7, 8, 9, 10, 11, 12, 13, 15, 18, 21, 22])
def test_a_network_of_each_opset(opset):
    made = model(
        [
            node("Conv", "x w b", "c", pads=[1, 1, 1, 1]),
            node("BatchNormalization", "c s t m v", "n"),
            node("Relu", "n", "r"),
            node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
            node("GlobalAveragePool", "p", "g"),
            node("Flatten", "g", "f"),
            node("Gemm", "f u q", "z", transB=1),
            node("Softmax", "z"),
        ],
        [None, 4, 9, 8], opset,
        w=W3, b=B, s=random(6), t=random(6), m=random(6), v=random(6, low=0.5),
        u=random(3, 6), q=random(3),
    )  # fmt: skip
    assert_gives(made, random(*X))
