"""The rows of the table by themselves: graphs by hand, the formulas in numpy, ONNX Runtime."""

import io
import json
import math

import numpy as np
import pytest

from ninc.formats.onnx_export import export

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from support.formats.onnx_runtime import answer, assert_close, operators, session_of  # noqa: E402


class Described:
    """What an export asks of the core's model, for any graph at all. parameters: name -> array."""

    def __init__(self, *nodes, **parameters):
        self.nodes = [{"name": "x", "op": "Input", "inputs": [], "channels": 3}, *nodes]
        self.parameters = {name.replace("__", "."): a for name, a in parameters.items()}

    def graph_json(self):
        return json.dumps({"nodes": self.nodes, "output": self.nodes[-1]["name"]})

    def specs(self):
        return [(name, array.shape, True) for name, array in self.parameters.items()]

    def state(self):
        return self.parameters, {}, {}

    def metadata(self):
        return {}

    def stored(self):
        return {}, {}


def node(operation, *inputs, name="y", **attributes):
    return {"name": name, "op": operation, "inputs": list(inputs or ("x",)), **attributes}


def exported(described, opset):
    file = io.BytesIO()
    export.export_onnx(described, file, opset)
    model = onnx.load_from_string(file.getvalue())
    onnx.checker.check_model(model, full_check=True)
    return model


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def gelu_tanh(x):
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


FUNCTIONS = {
    "Clip": (dict(low=-1.5, high=2), lambda x: np.clip(x, -1.5, 2)),
    "Elu": (dict(alpha=2), lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0)))),
    "Gelu": ({}, gelu),
    "GeluTanh": ({}, gelu_tanh),
    "HardSigmoid": (dict(alpha=0.25, beta=0.4), lambda x: np.clip(0.25 * x + 0.4, 0, 1)),
    "HardSwish": ({}, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "LeakyRelu": (dict(slope=0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
    "Relu": ({}, lambda x: np.maximum(x, 0)),
    "Relu6": ({}, lambda x: np.clip(x, 0, 6)),
    "Sigmoid": ({}, sigmoid),
    "Silu": ({}, lambda x: x * sigmoid(x)),
    "Tanh": ({}, np.tanh),
}


@pytest.mark.parametrize("opset", [13, 17, 20])
@pytest.mark.parametrize("operation", FUNCTIONS)
def test_functions_of_elements(operation, opset, rng):
    attributes, function = FUNCTIONS[operation]
    x = 4 * rng.standard_normal((2, 3, 5, 7), np.float32)
    for before in ([], [node("Flatten", name="flat")]):
        last = node(operation, "flat" if before else "x", **attributes)
        session = session_of(exported(Described(*before, last), opset))
        expected = function(x.astype(np.float64))
        y = answer(session, x)
        assert_close(y, expected.reshape(y.shape))
        assert len(answer(session, x[:0])) == 0


def test_operators_that_newer_versions_have():
    assert operators(exported(Described(node("HardSwish")), 13)) == ["HardSigmoid", "Mul"]
    assert operators(exported(Described(node("HardSwish")), 14)) == ["HardSwish"]
    assert operators(exported(Described(node("Gelu")), 20)) == ["Gelu"]
    assert operators(exported(Described(node("GeluTanh")), 20)) == ["Gelu"]
    assert "Erf" in operators(exported(Described(node("Gelu")), 19))


def test_prelu_of_maps_and_rows(rng):
    slope = np.array([0.5, -1, 0], np.float32)
    x = rng.standard_normal((2, 3, 4, 5), np.float32)
    described = Described(node("PRelu", channels=3), y__weight=slope)
    model = exported(described, 17)
    assert_close(answer(session_of(model), x), np.where(x > 0, x, slope[:, None, None] * x))
    [weight] = [each for each in model.graph.initializer if each.name == "y.weight"]
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(weight), slope)

    flat = node("Flatten", name="flat")
    described = Described(flat, node("PRelu", "flat", channels=3), y__weight=slope)
    pixels = x[:, :, :1, :1]
    y = answer(session_of(exported(described, 17)), pixels)
    assert_close(y, np.where(pixels > 0, pixels, slope[:, None, None] * pixels)[:, :, 0, 0])


@pytest.mark.parametrize("operation", ["Add", "Sub", "Mul", "Div"])
def test_sums_and_products_spread_one_over_the_other(operation, rng):
    function = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}[operation]
    x = rng.uniform(1, 2, (2, 3, 4, 5)).astype(np.float32)
    mean = x.mean((2, 3), keepdims=True)
    gap, flat = node("GlobalAvgPool2d", name="gap"), node("Flatten", "gap", name="flat")
    for inputs, expected in (
        (("x", "x"), function(x, x)),
        (("x", "gap"), function(x, mean)),
        (("gap", "x"), function(mean, x)),
        (("x", "flat"), function(x, mean)),
        (("flat", "gap"), function(mean, mean)[:, :, 0, 0]),
        (("flat", "flat"), function(mean, mean)[:, :, 0, 0]),
    ):
        described = Described(gap, flat, node(operation, *inputs))
        assert_close(answer(session_of(exported(described, 17)), x), expected)


def test_an_attention_of_channels(rng):
    """Maps times what a pixel says of their channels, as in squeeze-and-excitation."""
    weight = rng.standard_normal((3, 3, 1, 1), np.float32)
    conv = node(
        "Conv2d", "gap", name="c", in_channels=3, out_channels=3, kernel_size=[1, 1],
        stride=[1, 1], dilation=[1, 1], padding=[0] * 4, groups=1, bias=False,
    )  # fmt: skip
    described = Described(
        node("GlobalAvgPool2d", name="gap"), conv, node("Sigmoid", "c", name="s"),
        node("Mul", "x", "s"), c__weight=weight,
    )  # fmt: skip
    model = exported(described, 17)
    assert operators(model) == ["GlobalAveragePool", "Conv", "Sigmoid", "Mul"]
    x = rng.standard_normal((2, 3, 6, 4), np.float32)
    scores = sigmoid(x.mean((2, 3)) @ weight[:, :, 0, 0].T)
    assert_close(answer(session_of(model), x), x * scores[:, :, None, None])
