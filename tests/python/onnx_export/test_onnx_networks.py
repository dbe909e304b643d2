"""Whole networks as ONNX Runtime runs them, and the names in their files."""

import numpy as np
import pytest

import ninc
from ninc import models, nn

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

NETWORKS = {
    "nin-cifar10": ((2, 3, 32, 32), (1, 3, 17, 23), (0, 3, 32, 32), (1, 3, 4, 4)),
    "nin-cifar100": ((1, 3, 32, 32), (2, 3, 33, 40)),
    "nin-svhn": ((1, 3, 32, 32), (1, 3, 31, 35)),
    "nin-mnist": ((2, 1, 28, 28), (1, 1, 29, 27)),
    "nin-imagenet": ((1, 3, 224, 224), (1, 3, 67, 81)),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_published_networks(name, batch_norm):
    assert_agrees(models.create(name, batch_norm=batch_norm), *NETWORKS[name])


@pytest.mark.parametrize("pool2", ["avg", "max"])
def test_weights_that_were_trained(pool2):
    network = with_numbers(models.nin_cifar10(3, pool2, batch_norm=True))
    assert_agrees(network, (2, 3, 32, 32))


# ---- Branches ------------------------------------------------------------------------------------


def residual():
    graph = nn.Graph()
    stem = graph.add(nn.Conv2d(3, 8, 3, padding=1), graph.input("picture"))
    left = graph.add(nn.ReLU(), graph.add(nn.BatchNorm2d(8), stem))
    left = graph.add(nn.Conv2d(8, 8, 3, padding=1), left)
    both = graph.add(nn.Concat(), graph.add(nn.Add(), stem, left), stem, left)
    graph.add(nn.GlobalAvgPool2d(), both)
    return graph


def of_pixels():
    """A value that is read as maps and as rows, by layers of either kind."""
    graph = nn.Graph()
    mean = graph.add(nn.GlobalAvgPool2d(), graph.input())
    most = graph.add(nn.GlobalMaxPool2d(), "x")
    lines = graph.add(nn.Linear(4, 4), mean)
    dots = graph.add(nn.Conv2d(4, 4, 3, padding=1), lines)
    mixed = graph.add(nn.Concat(), graph.add(nn.Add(), lines, dots), mean, most)
    pooled = graph.add(nn.MaxPool2d(2, 1, 1), mixed)
    flat = graph.add(nn.Flatten(), pooled)
    graph.add(nn.Linear(48, 3), flat)
    return graph


def test_branches():
    model = assert_agrees(with_numbers(residual()), (2, 3, 6, 9), (0, 3, 5, 5))
    assert [value.name for value in model.graph.input] == ["picture"]
    assert_agrees(with_numbers(of_pixels()), (2, 4, 6, 9), (1, 4, 1, 1), (0, 4, 2, 2))


def test_a_value_that_several_read_is_turned_once():
    graph = nn.Graph()
    mean = graph.add(nn.GlobalAvgPool2d(), graph.input())
    graph.add(nn.Add(), graph.add(nn.Linear(4, 2), mean), graph.add(nn.Linear(4, 2), mean))
    assert operators(assert_agrees(graph, (2, 4, 3, 3))).count("Flatten") == 1


@pytest.mark.parametrize("output", ["conv1", "relu1", "gap", "drop1", "flatten", "x"])
def test_any_node_may_be_the_output(output):
    graph = nn.Graph()
    last = graph.input()
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Dropout(), nn.Flatten()
    for layer in layers:
        last = graph.add(layer, last)
    graph.add(nn.Linear(4, 2), last)
    graph.set_output(output)
    model = assert_agrees(with_numbers(graph), (2, 3, 5, 6))
    # What does not lead to the output is left out, with its weights.
    weights = {value.name for value in model.graph.initializer} - {"drop1_ratio"}
    assert weights == (set() if output == "x" else {"conv1.weight", "conv1.bias"})
    if output != "x":
        assert [value.name for value in model.graph.output] == [output]


def test_every_published_layer_has_a_row():
    from ninc.formats.onnx_export.operations import OPERATIONS

    layers = (getattr(nn, name) for name in nn.__all__)
    ops = {layer.op for layer in layers if getattr(layer, "op", "")}
    assert {"Conv2d", "Softmax"} <= ops <= set(OPERATIONS)


# ---- Names and shapes ----------------------------------------------------------------------------


def shape_of(value):
    dims = value.type.tensor_type.shape.dim
    return [each.dim_param or each.dim_value for each in dims]


def test_names_and_weights_are_those_of_the_network():
    network = with_numbers(models.nin_cifar10(batch_norm=True))
    model = exported(network)
    weights = {value.name: onnx.numpy_helper.to_array(value) for value in model.graph.initializer}
    state = network.state_dict()
    assert set(weights) == {*state, "drop1_ratio", "drop2_ratio"}
    for name, array in state.items():
        np.testing.assert_array_equal(weights[name], array)
    nodes = [node.name for node in network.graph if node.operation != "Input"]
    assert [node.name for node in model.graph.node] == [*nodes, "gap_Flatten"]
    assert list(model.graph.node[-1].output) == ["gap"]


def test_names_that_are_taken():
    graph = nn.Graph()
    last = graph.add(nn.Conv2d(3, 4, 1), graph.input("a.weight"), name="a")
    last = graph.add(nn.ReLU6(), last, name="a.bias")
    last = graph.add(nn.GlobalAvgPool2d(), last, name="b.weight")
    graph.add(nn.Linear(4, 2), last, name="b")
    model = assert_agrees(with_numbers(graph), (2, 3, 4, 4))
    names = [value.name for value in model.graph.initializer]
    names += [model.graph.input[0].name, *(node.output[0] for node in model.graph.node)]
    assert len(set(names)) == len(names)
    weights = {value.name for value in model.graph.initializer}
    assert {"a.weight", "a.bias", "b.weight", "b.bias"} <= weights


def test_names_in_any_letters():
    graph = nn.Graph()
    graph.add(nn.ReLU(), graph.input("картина"), name='猫 "1"')
    model = assert_agrees(graph, (1, 2, 3, 4))
    assert model.graph.output[0].name == '猫 "1"'


def test_shapes_are_open_where_the_network_is():
    model = exported(models.nin_mnist(7))
    assert shape_of(model.graph.input[0]) == ["batch", 1, "height", "width"]
    assert shape_of(model.graph.output[0]) == ["batch", 7]
    model = exported(nn.Sequential(nn.Conv2d(3, 5, 3)))
    assert shape_of(model.graph.output[0]) == ["batch", 5, "height_out", "width_out"]
    model = exported(nn.Sequential(nn.MaxPool2d(2)))
    assert shape_of(model.graph.input[0]) == ["batch", "channels", "height", "width"]


def test_layers_that_take_one_size():
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 4 * 5, 3))
    assert shape_of(exported(network).graph.input[0]) == ["batch", 3, "height", "width"]
    network.preprocessing = ninc.preprocess.Preprocessing((6, 7), 3, (0.5,) * 3, (0.25,) * 3)
    model = assert_agrees(network, (2, 3, 6, 7))
    assert shape_of(model.graph.input[0]) == ["batch", 3, 6, 7]
    # A size that these layers do not take says nothing of the network.
    network.preprocessing = ninc.preprocess.Preprocessing((9, 9), 3, (0.5,) * 3, (0.25,) * 3)
    assert shape_of(exported(network).graph.input[0]) == ["batch", 3, "height", "width"]
    # Where any size is taken, pictures may have another than those that the network was made for.
    network = models.nin_mnist()
    network.preprocessing = ninc.preprocess.Preprocessing((28, 28), 1, (0.5,), (0.25,))
    assert shape_of(exported(network).graph.input[0]) == ["batch", 1, "height", "width"]


def test_a_network_of_a_file_or_with_a_new_head(tmp_path):
    network = with_numbers(models.nin_mnist(batch_norm=True)).new_head(["a", "b"])
    network.save(tmp_path / "net.safetensors")
    loaded = ninc.load(tmp_path / "net.safetensors")
    session = session_of(exported(loaded))
    x = np.random.default_rng(0).standard_normal((2, 1, 28, 28), np.float32)
    network.precision = "strict"
    assert_close(answer(session, x), network(x))


# ---- Several outputs -----------------------------------------------------------------------------


def several(*names):
    """A network of which these layers are the outputs."""
    graph = nn.Graph(seed=2)
    stem = graph.add(nn.Conv2d(3, 8, 3, padding=1), graph.input(), name="stem")
    maps = graph.add(nn.ReLU(), stem, name="maps")
    mean = graph.add(nn.GlobalAvgPool2d(), maps, name="mean")
    same = graph.add(nn.Dropout(), mean, name="same")
    flat = graph.add(nn.Flatten(), mean, name="flat")
    graph.add(nn.Dropout(0.0), maps, name="kept")
    graph.add(nn.Linear(8, 5), graph.add(nn.Add(), same, flat), name="scores")
    graph.set_output(*names)
    return graph


@pytest.mark.parametrize(
    "names",
    [
        ("scores", "maps"),
        ("mean", "scores", "stem"),
        ("mean", "same"),
        ("same", "mean", "scores"),
        ("scores", "x", "same"),
        ("maps", "mean", "stem", "same", "scores"),
        ("flat", "mean"),
        ("mean", "flat", "same"),
        ("kept", "maps", "stem"),
        ("maps", "kept"),
        ("scores", "kept", "x", "flat", "maps", "mean"),
    ],
)
def test_several_outputs(names):
    network = several(*names)
    network.precision = "strict"
    model = exported(network)
    assert [value.name for value in model.graph.output] == list(names)
    session = session_of(model)
    for shape in ((2, 3, 6, 9), (1, 3, 5, 4)):
        x = np.random.default_rng(3).standard_normal(shape, np.float32)
        found = dict(zip(names, session.run(None, {"x": x})))
        for name, value in network.outputs(x).items():
            assert_close(found[name], value)
    again = ninc.load_onnx(model.SerializeToString()).outputs(x)
    assert [name for name in again if name != "x"] == [name for name in names if name != "x"]
    for value, expected in zip(again.values(), network.outputs(x).values()):
        np.testing.assert_allclose(value, expected, atol=1e-5)
