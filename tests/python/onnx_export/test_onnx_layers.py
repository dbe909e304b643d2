"""Each layer as ONNX Runtime computes it, beside ninc."""

import itertools

import numpy as np
import pytest

import ninc
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

CONVOLUTIONS = {
    "1×1": dict(kernel_size=1),
    "strided": dict(kernel_size=3, stride=(2, 3)),
    "padded": dict(kernel_size=3, padding=1),
    "padded at each side": dict(kernel_size=(3, 4), padding=(0, 1, 2, 3)),
    "same": dict(kernel_size=(4, 3), padding="same", dilation=(1, 2)),
    "padded by more than it is large": dict(kernel_size=2, padding=3),
    "dilated": dict(kernel_size=3, dilation=(2, 1), padding=2),
    "in groups": dict(kernel_size=3, groups=2, bias=False),
    "depthwise": dict(kernel_size=3, groups=4, padding=1),
}


@pytest.mark.parametrize("what", CONVOLUTIONS)
def test_convolutions(what):
    network = with_numbers(nn.Sequential(nn.Conv2d(4, 8, **CONVOLUTIONS[what])))
    assert_agrees(network, (2, 4, 7, 9), (1, 4, 5, 13), (3, 4, 8, 8), (0, 4, 9, 9))


KEEP = {
    "BatchNorm2d": nn.BatchNorm2d(4, eps=1e-3, momentum=0.25),
    "Dropout": nn.Dropout(0.3),
    "ReLU": nn.ReLU(),
    "ReLU6": nn.ReLU6(),
    "Softmax": nn.Softmax(),
}


@pytest.mark.parametrize("what", KEEP)
@pytest.mark.parametrize("flat", [False, True], ids=["maps", "rows"])
def test_layers_that_keep_the_shape(what, flat):
    layers = [nn.GlobalMaxPool2d()] if flat else []
    network = with_numbers(nn.Sequential(*layers, KEEP[what]))
    x = 9 * np.random.default_rng(0).standard_normal((3, 4, 5, 7), np.float32)
    model = exported(network)
    assert_close(answer(session_of(model), x), network(x))
    assert_agrees(network, (0, 4, 6, 6), (1, 4, 1, 3))


def test_batch_norm_is_told_whole():
    model = exported(nn.Sequential(nn.BatchNorm2d(4, eps=1e-3, momentum=0.25)))
    [norm] = model.graph.node
    told = {attribute.name: attribute.f for attribute in norm.attribute}
    assert told == pytest.approx({"epsilon": 1e-3, "momentum": 0.75})
    kinds = ("weight", "bias", "running_mean", "running_var")
    assert list(norm.input) == ["x", *(f"bn1.{kind}" for kind in kinds)]


@pytest.mark.parametrize("layer", [nn.GlobalAvgPool2d(), nn.GlobalMaxPool2d()])
def test_global_pools(layer):
    network = nn.Sequential(layer)
    model = assert_agrees(network, (2, 5, 4, 7), (1, 5, 1, 1), (0, 5, 3, 3))
    assert operators(model)[1:] == ["Flatten"]
    assert [value.name for value in model.graph.output] == [network.graph.output.name]


@pytest.mark.parametrize("bias", [True, False])
def test_linear(bias):
    pooled = nn.Sequential(nn.GlobalAvgPool2d(), nn.Linear(6, 3, bias), nn.ReLU(), nn.Linear(3, 2))
    model = assert_agrees(with_numbers(pooled), (2, 6, 4, 5), (0, 6, 3, 3))
    assert operators(model) == ["GlobalAveragePool", "Flatten", "Gemm", "Relu", "Gemm"]
    flattened = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(3 * 4 * 5, 7, bias))
    assert_agrees(with_numbers(flattened), (2, 3, 4, 5), (0, 3, 4, 5), (1, 3, 2, 10))
    single = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2, bias))  # maps that happen to be 1×1
    assert_agrees(with_numbers(single), (2, 3, 3, 3))


# ---- Pools ---------------------------------------------------------------------------------------


def pool_settings():
    """Kernel, stride, padding of one axis: all of a few, where padding is at most half a kernel."""
    for kernel, stride, padding in itertools.product(range(1, 6), range(1, 6), range(3)):
        if 2 * padding <= kernel:
            yield kernel, stride, padding


@pytest.mark.parametrize("ceil_mode", [False, True], ids=["down", "up"])
@pytest.mark.parametrize("kind", ["max", "mean", "mean with padding"])
def test_pools_of_every_size(kind, ceil_mode):
    """Also where the last window would begin in the padding alone, and hangs over the edge."""
    compared = 0
    for kernel, stride, padding in pool_settings():
        window = (kernel, 3), (stride, 2), (padding, 1), ceil_mode
        counted = kind == "mean with padding"
        pool = nn.MaxPool2d(*window) if kind == "max" else nn.AvgPool2d(*window, counted)
        network = nn.Sequential(pool)
        session = session_of(exported(network))
        for size in range(1, 13):
            # Above 0, so that a zero of the padding is never the largest.
            x = np.random.default_rng(size).uniform(1, 2, (1, 2, size, 7)).astype(np.float32)
            try:
                expected = network(x)
            except ninc.ShapeError:
                continue
            assert_close(answer(session, x), expected.reshape(1, 2, -1, 4))
            compared += 1
    assert compared > 480


def test_pools_that_round_up_are_padded():
    def pads(pool):
        [node] = exported(nn.Sequential(pool)).graph.node
        found = {attribute.name: attribute for attribute in node.attribute}
        assert "ceil_mode" not in found
        return list(found["pads"].ints)

    assert pads(nn.MaxPool2d(3, 2, ceil_mode=True)) == [0, 0, 1, 1]
    assert pads(nn.MaxPool2d(3, 2, 1, ceil_mode=True)) == [1, 1, 2, 2]
    assert pads(nn.MaxPool2d(2, 3, ceil_mode=True)) == [0, 0, 1, 1]
    assert pads(nn.MaxPool2d((5, 3), (2, 1), (1, 1), ceil_mode=True)) == [1, 1, 2, 1]
    assert pads(nn.AvgPool2d(3, 2, ceil_mode=True)) == [0, 0, 1, 1]
    assert pads(nn.MaxPool2d(3, 2, 1)) == [1, 1, 1, 1]
    up = exported(nn.Sequential(nn.AvgPool2d(3, 2, 1, ceil_mode=True)))
    assert operators(up) == ["Pad", "AveragePool"]


# ---- What is written -----------------------------------------------------------------------------


def test_strides_and_views():
    network = with_numbers(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.GlobalAvgPool2d()))
    session = session_of(exported(network))
    whole = np.random.default_rng(0).standard_normal((4, 11, 22, 3), np.float32)
    x = whole.transpose(0, 3, 1, 2)[::2, ::-1, :, ::2]
    assert_close(answer(session, x), network(x))


def test_dropout_has_its_share():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout(0.3), nn.ReLU(), nn.Dropout())
    model = assert_agrees(network, (1, 3, 2, 2))
    assert operators(model) == ["Conv", "Dropout", "Relu", "Dropout"]
    assert [list(node.input)[1:] for node in model.graph.node][1::2] == [
        ["drop1_ratio"], ["drop2_ratio"],
    ]  # fmt: skip
    numbers = {value.name: onnx.numpy_helper.to_array(value) for value in model.graph.initializer}
    assert numbers["drop1_ratio"] == np.float32(0.3) and numbers["drop2_ratio"] == 0.5
    assert numbers["drop1_ratio"].shape == ()


def test_dropout_of_nothing_vanishes():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout(0), nn.ReLU(), nn.Dropout(0))
    model = assert_agrees(network, (1, 3, 2, 2))
    assert operators(model) == ["Conv", "Relu"]
    assert [value.name for value in model.graph.output] == ["drop2"]


def test_a_network_that_gives_what_it_takes():
    model = assert_agrees(nn.Sequential(nn.Dropout(0)), (2, 3, 4, 5))
    assert operators(model) == ["Identity"]


@pytest.mark.parametrize("opset", range(13, 23))
def test_every_opset(opset):
    if opset > onnx.defs.onnx_opset_version():
        pytest.skip("the package onnx is older")
    network = with_numbers(
        nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU6(), nn.MaxPool2d(3, 4, ceil_mode=True),
            nn.AvgPool2d(3, 2, 1, ceil_mode=True), nn.Dropout(), nn.GlobalAvgPool2d(),
            nn.Conv2d(6, 5, 1), nn.Linear(5, 3), nn.Softmax(),
        )
    )  # fmt: skip
    model = assert_agrees(network, (2, 3, 21, 30), opset=opset)
    assert model.opset_import[0].version == opset
    assert model.ir_version <= {13: 7, 14: 7, 15: 8, 17: 8}.get(opset, 10)
