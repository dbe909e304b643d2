"""Dropout of files: nothing in inference, and in training what its author had."""

import io

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the package onnx reads ONNX files")
import ninc  # noqa: E402
from ninc import nn  # noqa: E402
from support.formats.onnx_models import (  # noqa: E402
    assert_gives,
    load,
    model,
    node,
    nodes_of,
    random,
)

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")

SHAPE = [None, 4, 9, 8]
X = random(2, 4, 9, 8)
RATIO, ON, OFF = np.float32(0.3), np.array(True), np.array(False)

# Name -> nodes, constants, and the share that is dropped; None where no layer is left.
DROPS = {
    "by default, older": (node("Dropout"), dict(opset=7), 0.5),
    "by default": (node("Dropout"), {}, 0.5),
    "by an attribute": (node("Dropout", ratio=0.3), dict(opset=11), 0.3),
    "by an input": (node("Dropout", "x r", seed=3), dict(r=RATIO), 0.3),
    "by an input, oldest": (node("Dropout", "x r"), dict(opset=12, r=RATIO), 0.3),
    "by a row of one": (node("Dropout", "x r"), dict(r=RATIO.reshape(1)), 0.3),
    "by float64": (node("Dropout", "x r"), dict(r=np.float64(0.3)), 0.3),
    "in inference": (node("Dropout", "x r t"), dict(r=RATIO, t=OFF), 0.3),
    "in training": (node("Dropout", "x r t"), dict(r=RATIO, t=ON), 0.3),
    "in training, by default": (node("Dropout", "x - t"), dict(t=ON), 0.5),
    "with a mask that nobody reads": (node("Dropout", "x r", "y mask"), dict(r=RATIO), 0.3),
    "of nothing": (node("Dropout", "x r"), dict(r=np.float32(0)), None),
    "of nothing, older": (node("Dropout", ratio=0.0), dict(opset=10), None),
}


@pytest.mark.parametrize("name", DROPS)
def test_a_share_comes_in_as_a_layer(name):
    drop, told, share = DROPS[name]
    network = load(model([drop, node("Relu", "y", "z")], SHAPE, output="z", **told))
    drops = [one["p"] for one in nodes_of(network) if one["op"] == "Dropout"]
    assert drops == ([] if share is None else [pytest.approx(share, rel=1e-6)])
    np.testing.assert_array_equal(network(X), np.maximum(X, 0))


def test_inference_gives_the_bits_that_it_gives_without():
    def network(dropped):
        drops = [node("Dropout", "c r", "d"), node("Dropout", "f r", "e")] if dropped else []
        made = model(
            [
                node("Conv", "x w", "c"), *drops[:1], node("Relu", "d" if dropped else "c", "a"),
                node("MaxPool", "a", "p", kernel_shape=[2, 2], strides=[2, 2]),
                node("Flatten", "p", "f"), *drops[1:],
                node("Gemm", "e v" if dropped else "f v", transB=1),
            ],
            SHAPE, r=RATIO, w=random(6, 4, 3, 3), v=random(5, 54),
        )  # fmt: skip
        return load(made)

    np.testing.assert_array_equal(network(True)(X), network(False)(X))


def test_it_drops_while_it_trains():
    """The mean m of ones of which a share is dropped; the loss of the logits m and -m tells it."""
    nodes = [node("Dropout", "x r", "d"), node("Conv", "d w", "c"), node("GlobalAveragePool", "c")]
    network = load(model(nodes, [None, 1, 64, 64], r=RATIO, w=np.float32([[[[1]]], [[[-1]]]])))
    ones = np.ones((1, 1, 64, 64), np.float32)
    loss = float(ninc.Trainer(network, ninc.SGD(0.0)).step(ones, np.array([0])))
    mean = -np.log(np.expm1(loss)) / 2
    assert mean != pytest.approx(1.0, abs=1e-4)  # as it would be if nothing were dropped
    assert mean == pytest.approx(1.0, abs=6 * np.sqrt(0.3 / 0.7 / ones.size))


def sequential():
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.2), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.4), nn.Linear(54, 8), nn.ReLU(), nn.Dropout(),
        nn.Linear(8, 4), seed=3,
    )  # fmt: skip
    network.preprocessing = ninc.preprocess.Preprocessing((8, 8), 3, (0.0,) * 3, (1.0,) * 3)
    return network


def test_a_network_that_was_exported_trains_bit_for_bit_as_before(rng):
    network = sequential()
    file = io.BytesIO()
    network.export_onnx(file)
    again = ninc.load_onnx(file.getvalue())
    assert [(n.name, n.operation, n.attributes) for n in again.graph][1:] == [
        (n.name, n.operation, n.attributes) for n in network.graph
    ][1:]
    x = rng.standard_normal((4, 3, 8, 8), np.float32)
    np.testing.assert_array_equal(again(x), network(x))
    pair = [ninc.Trainer(one, ninc.SGD(0.1), seed=5) for one in (network, again)]
    for _ in range(3):
        losses = [float(one.step(x, np.arange(4))) for one in pair]
        assert losses[0] == losses[1]
    state = network.state_dict()
    for name, numbers in again.state_dict().items():
        np.testing.assert_array_equal(numbers, state[name])


def test_a_flat_map_is_dropped_behind_flatten_under_the_files_names():
    nodes = [
        node("Flatten", "x", "f", "/Flatten"), node("Dropout", "f", "d", "/0/Dropout"),
        node("Relu", "d", "r", "/1/Relu"), node("Gemm", "r w", "y", "/2/Gemm", transB=1),
    ]  # fmt: skip
    for shape in (SHAPE, ["n", 4, "h", "w"]):
        made = model(nodes, shape, w=random(5, 288))
        network = assert_gives(made, X) if shape is SHAPE else load(made)
        names = [one["name"] for one in nodes_of(network)]
        assert names == ["x", "Flatten", "0_Dropout", "1_Relu", "2_Gemm"]


def test_what_two_read_stays_in_front_of_flatten():
    """Two branches drop one flat map, and one of them is read twice."""
    nodes = [
        node("Flatten", "x", "f", "flat"), node("Relu", "f", "r", "relu"),
        node("Dropout", "r", "d", "drop"), node("MatMul", "d w", "a"), node("MatMul", "r v", "b"),
        node("Add", "a b"),
    ]  # fmt: skip
    made = model(nodes, SHAPE, w=random(288, 5), v=random(288, 5, seed=1))
    assert_gives(made, X)


# Name -> nodes, constants and the words of the refusal.
REFUSED = {
    "a mask": (
        [node("Dropout", "x", "d mask", "drop"), node("Cast", "mask", "m", to=1),
         node("Mul", "d m")], {},
        "drop (Dropout): its second output, mask, is used",
    ),
    "a mask as output": (
        [node("Dropout", "x", "d y", "drop")], {},
        "drop (Dropout): its second output, mask, is used",
    ),
    "all of it": (
        [node("Dropout", "x r", name="drop")], dict(r=np.float32(1)),
        "drop (Dropout): its ratio is 1, a number from 0 to below 1 is needed",
    ),
    "what is no number": (
        [node("Dropout", "x r", name="drop")], dict(r=np.float32(np.nan)),
        "drop (Dropout): its ratio is nan, a number from 0 to below 1 is needed",
    ),
    "more than all of it, older": (
        [node("Dropout", ratio=1.5, name="drop")], dict(opset=9),
        "drop (Dropout): its ratio is 1.5, a number from 0 to below 1 is needed",
    ),
    "a share of each picture's own": (
        [node("GlobalMaxPool", "x", "r"), node("Dropout", "x r", name="drop")], {},
        "drop (Dropout): its ratio depends on the picture, a constant is needed; what comes before "
        "it is read: load_onnx(path, outputs=['r'])",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    nodes, told, words = REFUSED[name]
    with pytest.raises(ninc.ModelError) as error:
        load(model(nodes, SHAPE, **told))
    assert str(error.value) == f"bytes: what ninc cannot take over: {words}"
