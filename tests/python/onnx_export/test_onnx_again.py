"""A network that was exported and read is exported again under the same names, however often."""

import numpy as np
import pytest

import ninc
from benchmarks.networks import mobilenet_v1, resnet20
from ninc import models, nn

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from support.formats.onnx_runtime import (  # noqa: E402
    assert_close,
    assert_comes_back,
    exported,
    with_numbers,
)


def flat():
    """Of one size, with layers behind a flattened map."""
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Dropout(0.3), nn.ReLU(), nn.Linear(4 * 36, 8),
        nn.GELU("tanh"), nn.Dropout(), nn.Linear(8, 3),
    )  # fmt: skip
    network.preprocessing = ninc.preprocess.Preprocessing((8, 8), 3, (0.0,) * 3, (1.0,) * 3)
    return network


def functions():
    layers = (
        nn.SiLU(), nn.HardSwish(), nn.GELU(), nn.GELU("tanh"), nn.PReLU(4), nn.PReLU(), nn.ReLU6(),
        nn.Clip(-1, 2), nn.ELU(), nn.LeakyReLU(), nn.HardSigmoid(), nn.Tanh(), nn.Softmax(),
    )  # fmt: skip
    return nn.Sequential(nn.Conv2d(3, 4, 1), *layers)


def shuffled():
    graph = nn.Graph()
    x = graph.add(nn.Conv2d(3, 6, 1), graph.input())
    both = graph.add(nn.Concat(), graph.add(nn.ChannelShuffle(3), x), x)
    x = graph.add(nn.ChannelShuffle(2), graph.add(nn.Conv2d(12, 6, 1), both))
    x = graph.add(nn.Pad((1, 2), value=1.5), graph.add(nn.Slice(height=(0, -1)), x))
    graph.add(nn.GlobalMaxPool2d(), x)
    return graph


def shifted():
    """Arithmetic with constants that no layer before can take over."""
    graph = nn.Graph()
    x = graph.add(nn.ReLU(), graph.add(nn.Conv2d(3, 4, 1), graph.input()))
    for layer in (nn.Mul(), nn.Add(), nn.Mul(), nn.Sub()):
        numbers = np.random.default_rng(len(graph.graph)).random((4, 1, 1), np.float32)
        x = graph.add(layer, x, graph.add(nn.Constant(numbers)))
    graph.add(nn.Softmax(), x)
    return graph


def two_heads():
    """Pixels that are read as maps and as rows."""
    graph = nn.Graph()
    mean = graph.add(nn.GlobalAvgPool2d(), graph.input())
    lines = graph.add(nn.Linear(4, 4), graph.add(nn.Flatten(), mean))
    dots = graph.add(nn.Conv2d(4, 4, 3, padding=1), lines)
    graph.add(nn.Add(), graph.add(nn.Mul(), dots, mean), lines)
    return graph


def layers_of(network, but=()):
    nodes = [node for node in network.graph if node.name not in but and node.operation != "Input"]
    return {node.name: (node.operation, node.attributes, node.parameters) for node in nodes}


PICTURES = (2, 3, 32, 32)

# Name -> what makes the network, and what it is given.
NETWORKS = {
    "NIN, averages": (lambda: models.nin_cifar10(pool2="avg"), PICTURES),
    "NIN with batch norm": (lambda: models.nin_cifar100(batch_norm=True), PICTURES),
    "NIN of ImageNet": (models.nin_imagenet, (1, 3, 67, 81)),
    "ResNet-20": (resnet20, PICTURES),
    "MobileNet": (lambda: mobilenet_v1(width=0.25), PICTURES),
    "pools": (
        lambda: nn.Sequential(
            nn.AvgPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(3, 2, 1),
            nn.AvgPool2d((2, 3), (1, 3), 1, ceil_mode=True),
            nn.MaxPool2d((2, 3), 2, 1, ceil_mode=True), nn.MaxPool2d(2),
            nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        ), PICTURES,
    ),
    "a flat map": (flat, (2, 3, 8, 8)),
    "functions": (functions, PICTURES),
    "parts of maps": (shuffled, PICTURES),
    "pixels": (two_heads, (2, 4, 5, 6)),
    "a head": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Dropout(0.3),
            nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3), nn.Softmax(),
        ), PICTURES,
    ),
}  # fmt: skip

# A Flatten of pixels is no layer after reading.
GONE = {"pixels": {"flatten"}, "a head": {"flatten"}}


@pytest.mark.parametrize("opset", [13, 17, 20])
@pytest.mark.parametrize("name", NETWORKS)
def test_it_comes_back_under_its_names(name, opset, rng):
    make, shape = NETWORKS[name]
    network = with_numbers(make())
    again = assert_comes_back(network, opset=opset)
    assert layers_of(again) == layers_of(network, GONE.get(name, ()))
    network.precision = again.precision = "strict"
    x = rng.standard_normal(shape, np.float32)
    assert_close(again(x), network(x))


@pytest.mark.parametrize("last", ["conv1", "relu1", "gap", "drop1", "flatten"])
def test_whatever_the_output_is(last):
    graph = nn.Graph()
    value = graph.input()
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Dropout(), nn.Flatten()
    for layer in layers:
        value = graph.add(layer, value)
    graph.add(nn.Linear(4, 2), value)
    graph.set_output(last)
    assert_comes_back(graph)


@pytest.mark.filterwarnings("ignore::ninc.Remark")
def test_constants_have_the_names_of_what_reads_them():
    """Reading makes one product and one sum of a row of them, and of these nothing more."""
    again = ninc.load_onnx(exported(shifted()).SerializeToString())
    assert [node.name for node in again.graph] == [
        "x", "conv1", "relu1", "mul2_constant", "mul2", "sub1_constant", "sub1", "softmax",
    ]  # fmt: skip
    assert assert_comes_back(again).graph == again.graph


def test_names_that_are_taken_stay_apart():
    """A layer has the name that an exporter's helper would have."""
    graph = nn.Graph()
    x = graph.add(nn.Conv2d(3, 4, 1), graph.input())
    x = graph.add(nn.ReLU(), x, name="gap_Flatten")
    x = graph.add(nn.ReLU(), x, name="gap_maps")
    x = graph.add(nn.AvgPool2d(3, 2, 1, ceil_mode=True), x, name="pool")
    x = graph.add(nn.ReLU6(), x, name="pool_Pad")
    graph.add(nn.GlobalAvgPool2d(), x)
    again = assert_comes_back(graph)
    assert [node.name for node in again.graph] == [
        "x", "conv1", "gap_Flatten", "gap_maps", "pool", "pool_Pad", "gap",
    ]  # fmt: skip
    assert [value.name for value in exported(again).graph.output] == ["gap"]
