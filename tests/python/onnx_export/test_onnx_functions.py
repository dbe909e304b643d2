"""Functions of elements, arithmetic and values at other places as ONNX Runtime computes them."""

import numpy as np
import pytest

from ninc import nn

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from support.formats.onnx_runtime import (  # noqa: E402
    answer,
    assert_agrees,
    assert_close,
    exported,
    operators,
    session_of,
    with_numbers,
)

FUNCTIONS = {
    "Clip": nn.Clip(-1.5, 2),
    "Clip from below": nn.Clip(low=-0.5),
    "ELU": nn.ELU(2),
    "GELU": nn.GELU(),
    "GELU by tanh": nn.GELU("tanh"),
    "HardSigmoid": nn.HardSigmoid(0.25, 0.4),
    "HardSwish": nn.HardSwish(),
    "LeakyReLU": nn.LeakyReLU(0.1),
    "LocalResponseNorm": nn.LocalResponseNorm(3, 0.5, 0.75, 1.5),
    "PReLU": nn.PReLU(3),
    "PReLU of one slope": nn.PReLU(),
    "ReLU": nn.ReLU(),
    "ReLU6": nn.ReLU6(),
    "SiLU": nn.SiLU(),
    "Sigmoid": nn.Sigmoid(),
    "Tanh": nn.Tanh(),
}


@pytest.mark.parametrize("opset", [13, 17, 20])
@pytest.mark.parametrize("what", FUNCTIONS)
@pytest.mark.parametrize("flat", [False, True], ids=["maps", "rows"])
def test_functions_of_elements(what, opset, flat, rng):
    layers = [nn.GlobalMaxPool2d()] if flat else []
    network = with_numbers(nn.Sequential(*layers, FUNCTIONS[what]))
    x = 4 * rng.standard_normal((2, 3, 5, 7), np.float32)
    session = session_of(exported(network, opset=opset))
    assert_close(answer(session, x), network(x))
    assert len(answer(session, x[:0])) == 0


def test_operators_that_newer_versions_have():
    def of(layer, opset):
        return operators(exported(nn.Sequential(layer), opset=opset))

    assert of(nn.HardSwish(), 13) == ["HardSigmoid", "Mul"]
    assert of(nn.HardSwish(), 14) == ["HardSwish"]
    assert of(nn.GELU(), 20) == of(nn.GELU("tanh"), 20) == ["Gelu"]
    assert "Erf" in of(nn.GELU(), 19)


def graph_of(*layers):
    """A graph of layers one after another, and its values."""
    graph = nn.Graph(seed=1)
    values = [graph.input()]
    for layer in layers:
        values.append(graph.add(layer, values[-1]))
    return graph, values


@pytest.mark.parametrize("layer", [nn.Add, nn.Sub, nn.Mul, nn.Div])
def test_one_is_spread_over_the_other(layer):
    for inputs in ((0, 0), (0, 1), (1, 0), (0, 2), (2, 1), (2, 2)):
        graph, values = graph_of(nn.GlobalAvgPool2d(), nn.Flatten())
        graph.add(layer(), *(values[i] for i in inputs))
        assert_agrees(graph, (2, 3, 4, 5), (1, 3, 1, 2))


def test_constants(rng):
    graph, [x] = graph_of()
    masked = graph.add(nn.Mul(), x, graph.add(nn.Constant(rng.random((1, 4, 5), np.float32))))
    graph.add(nn.Sub(), graph.add(nn.Constant(rng.random((3, 1, 1), np.float32))), masked)
    assert_agrees(graph, (2, 3, 4, 5))


def test_an_attention_of_channels():
    """Maps times what a pixel says of their channels, as in squeeze-and-excitation."""
    graph, values = graph_of(nn.GlobalAvgPool2d(), nn.Conv2d(3, 3, 1, bias=False), nn.Sigmoid())
    graph.add(nn.Mul(), values[0], values[-1])
    model = assert_agrees(with_numbers(graph), (2, 3, 6, 4))
    assert operators(model) == ["GlobalAveragePool", "Conv", "Sigmoid", "Mul"]


PLACES = {
    "slice": nn.Slice((1, None), slice(None, None, 2), (-4, -1)),
    "slice of the last channels": nn.Slice(channels=(-3, None, 2)),
    "pad": nn.Pad((1, 2), (0, 3), (2, 0), 0.5),
    "cut": nn.Pad(height=(-1, 0), width=(1, -2)),
    "shuffle": nn.ChannelShuffle(3),
}


@pytest.mark.parametrize("what", PLACES)
def test_values_at_other_places(what):
    graph, _ = graph_of(PLACES[what])
    assert_agrees(graph, (2, 6, 7, 8), (1, 6, 5, 4))
