"""Layers, Sequential and Graph: names, first weights, branches, errors."""

import copy
import pickle

import numpy as np
import pytest

from ninc import functional as F
from ninc import nn
from ninc.errors import ArgumentError, ModelError, ShapeError


def names(network):
    return [node.name for node in network.graph][1:]


# ---- Sequential ----------------------------------------------------------------------------------


def test_nodes_are_numbered_by_kind():
    network = nn.Sequential(
        nn.MlpConv(3, (8, 6, 4), 5, padding=2),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Dropout(0.5),
        nn.MlpConv(4, (8, 6), 3, batch_norm=True, logits=True),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 4, 1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.ReLU6(),
        nn.GlobalAvgPool2d(),
        nn.Linear(4, 3),
        nn.Softmax(),
    )
    assert names(network) == [
        *("conv1", "relu_conv1", "cccp1", "relu_cccp1", "cccp2", "relu_cccp2"),
        *("pool1", "drop1", "conv2", "bn_conv2", "relu_conv2", "cccp3", "pool2"),
        *("conv3", "bn1", "relu1", "relu2", "gap", "linear1", "softmax"),
    ]
    assert list(network.state_dict())[:4] == [
        "conv1.weight",
        "conv1.bias",
        "cccp1.weight",
        "cccp1.bias",
    ]
    # Buffers stand after all parameters, and are no parameters.
    buffers = ["bn_conv2.running_mean", "bn_conv2.running_var"]
    buffers += ["bn1.running_mean", "bn1.running_var"]
    assert list(network.state_dict())[-4:] == buffers
    assert list(network.state_dict())[:-4] == list(network.parameters())
    assert "conv2.bias" not in network.parameters()  # batch norm would take it out again
    assert "cccp3.bias" in network.parameters()  # logits


def test_a_layer_may_stand_twice():
    layer = nn.Conv2d(2, 2, 1)
    network = nn.Sequential(layer, layer)
    first, second = (network.parameters()[f"{name}.weight"] for name in ("conv1", "conv2"))
    assert (first != second).any()


def test_sequential_is_a_sequence_and_shows_its_layers():
    layers = nn.MlpConv(3, (8, 10), 3, padding="same"), nn.MaxPool2d(2), nn.GlobalAvgPool2d()
    network = nn.Sequential(*layers, seed=1)
    assert len(network) == 3 and tuple(network) == layers and network[1] is layers[1]
    assert repr(network) == (
        "Sequential(\n  MlpConv(3, (8, 10), 3, padding='same'),\n"
        "  MaxPool2d(2),\n  GlobalAvgPool2d(),\n)"
    )


@pytest.mark.parametrize(
    "text",
    [
        "Conv2d(3, 16, (3, 5), stride=2, padding=(1, 2), groups=1, bias=False)",
        "AvgPool2d(3, stride=2, ceil_mode=True, count_include_pad=False)",
        "BatchNorm2d(8, eps=0.001)",
        "Linear(4, 2, std=0.01)",
        "Dropout(p=0.2)",
        "Concat()",
    ],
)
def test_a_repr_can_be_typed(text):
    layer = eval(f"nn.{text}")
    again = eval(f"nn.{layer!r}")
    assert repr(again) == repr(layer) and again.fields() == layer.fields()


# ---- First weights -------------------------------------------------------------------------------


def test_first_weights_are_hes():
    network = nn.Sequential(nn.Conv2d(64, 128, 3, groups=2), nn.Flatten(), nn.Linear(128, 256))
    weights = network.state_dict()
    for name, fan_in in (("conv1", 32 * 9), ("linear1", 128)):
        weight = weights[f"{name}.weight"]
        # The deviation of a sample's deviation is 1 / sqrt(2 n) of it: five of those.
        share = weight.std() / np.sqrt(2 / fan_in)
        assert abs(share - 1) < 5 / np.sqrt(2 * weight.size)
        assert not weights[f"{name}.bias"].any()


def test_first_weights_of_a_given_deviation():
    network = nn.Sequential(nn.MlpConv(32, (64, 64), 3, std=(0.5, 0.01)))
    weights = network.parameters()
    assert weights["conv1.weight"].std() == pytest.approx(0.5, rel=0.05)
    assert weights["cccp1.weight"].std() == pytest.approx(0.01, rel=0.05)


def test_first_weights_hang_on_seed_and_name():
    def weight(seed, *before):
        network = nn.Sequential(*before, nn.Conv2d(3, 4, 3), seed=seed)
        return network.parameters()["conv1.weight"]

    np.testing.assert_array_equal(weight(1), weight(1))
    np.testing.assert_array_equal(weight(1), weight(1, nn.BatchNorm2d(3)))
    assert (weight(1) != weight(2)).all()


def test_batch_norm_begins_as_the_identity(rng):
    network = nn.Sequential(nn.BatchNorm2d(3, eps=1e-12))
    x = rng.standard_normal((2, 3, 4, 4), np.float32)
    np.testing.assert_allclose(network(x), x, rtol=1e-6)


# ---- What a network computes ---------------------------------------------------------------------


def test_an_mlpconv_layer_is_the_function(rng):
    network = nn.Sequential(nn.MlpConv(3, (8, 7, 6), 5, stride=2, padding=(2, 1, 0, 1)))
    values = list(network.parameters().values())
    x = rng.standard_normal((2, 3, 11, 12), np.float32)
    layers = list(zip(values[::2], values[1::2]))
    expected = F.mlpconv(x, layers, stride=2, padding=(2, 1, 0, 1))
    # The plan fuses bias and ReLU into the product; the function does one after the other.
    np.testing.assert_allclose(network(x), expected, rtol=1e-5, atol=1e-5)


def test_every_layer_is_its_function(rng):
    x = rng.normal(0, 4, (2, 6, 8, 7)).astype(np.float32)
    cases = [
        (nn.MaxPool2d(3, 2, 1, ceil_mode=True),
         F.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True)),
        (nn.AvgPool2d(3, 2, 1, count_include_pad=False),
         F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)),
        (nn.ReLU(), F.relu(x)),
        (nn.ReLU6(), F.relu6(x)),
        (nn.LeakyReLU(0.2), F.leaky_relu(x, 0.2)),
        (nn.ELU(0.7), F.elu(x, 0.7)),
        (nn.Sigmoid(), F.sigmoid(x)),
        (nn.HardSigmoid(0.2, 0.4), F.hard_sigmoid(x, 0.2, 0.4)),
        (nn.Tanh(), F.tanh(x)),
        (nn.SiLU(), F.silu(x)),
        (nn.HardSwish(), F.hard_swish(x)),
        (nn.GELU(), F.gelu(x)),
        (nn.GELU("tanh"), F.gelu(x, "tanh")),
        (nn.GlobalAvgPool2d(), F.global_avg_pool2d(x)),
        (nn.GlobalMaxPool2d(), F.global_max_pool2d(x)),
        (nn.Dropout(0.5), x),
        (nn.Flatten(), x.reshape(2, -1)),
        (nn.Softmax(), F.softmax(x)),
    ]  # fmt: skip
    for layer, expected in cases:
        np.testing.assert_allclose(
            nn.Sequential(layer)(x), expected, rtol=1e-6, atol=1e-6, err_msg=repr(layer)
        )
    network = nn.Sequential(nn.Flatten(), nn.Linear(6 * 8 * 7, 5))
    weight, bias = network.parameters().values()
    expected = F.linear(x.reshape(2, -1), weight, bias)
    np.testing.assert_allclose(network(x), expected, rtol=1e-5, atol=1e-5)


def branches():
    """x -> a; a + second(a) and a side by side; one number a channel."""
    graph = nn.Graph(seed=2)
    x = graph.input()
    a = graph.add(nn.Conv2d(3, 4, 3, padding="same"), x)
    b = graph.add(nn.Conv2d(4, 4, 1), a, name="second")
    both = graph.add(nn.Concat(), graph.add(nn.Add(), a, b), a)
    return graph, both


def test_branches(rng):
    graph, _ = branches()
    x = rng.standard_normal((2, 3, 5, 6), np.float32)
    weights = graph.parameters()
    a = F.conv2d(x, weights["conv1.weight"], weights["conv1.bias"], padding="same")
    b = F.conv2d(a, weights["second.weight"], weights["second.bias"])
    expected = np.concatenate([a + b, a], axis=1)
    np.testing.assert_allclose(graph(x), expected, rtol=1e-5, atol=1e-5)


def test_a_graph_used_may_be_added_to(rng):
    graph, both = branches()
    x = rng.standard_normal((1, 3, 5, 6), np.float32)
    before = graph(x)
    new = {name: rng.standard_normal(v.shape, np.float32) for name, v in graph.parameters().items()}
    graph.load_state_dict(new)
    graph.classes = list("abcdefgh")
    changed = graph(x)
    assert (changed != before).any()
    graph.add(nn.GlobalAvgPool2d(), both)
    assert graph.classes == list("abcdefgh")
    np.testing.assert_allclose(graph(x), changed.mean(axis=(2, 3)), rtol=1e-5, atol=1e-5)
    graph.set_output(both)
    np.testing.assert_array_equal(graph(x), changed)
    graph.set_output("conv1")
    assert graph(x).shape == (1, 4, 5, 6)


def test_an_mlpconv_in_a_graph_may_be_named():
    graph = nn.Graph()
    graph.add(nn.MlpConv(3, (4, 5, 6), 1), graph.input("picture"), name="stem")
    assert names(graph) == [
        *("stem_conv1", "relu_stem_conv1", "stem_cccp1", "relu_stem_cccp1"),
        *("stem_cccp2", "relu_stem_cccp2"),
    ]


def test_given_names_are_stepped_over():
    graph = nn.Graph()
    x = graph.add(nn.Conv2d(3, 3, 1), graph.input(), name="conv1")
    assert graph.add(nn.Conv2d(3, 3, 1), x).name == "conv2"


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_stand_alone(twin, rng):
    x = rng.standard_normal((1, 3, 5, 6), np.float32)
    for network in (branches()[0], nn.Sequential(nn.MlpConv(3, (4, 2), 3, batch_norm=True))):
        classes = [f"class {index}" for index in range(network(x).shape[1])]
        network.classes = classes
        network.precision = "strict"
        same = twin(network)
        assert type(same) is type(network) and repr(same) == repr(network)
        assert same.classes == classes and same.precision == "strict"
        expected = network(x)
        np.testing.assert_array_equal(same(x), expected)
        same.load_state_dict({name: 2 * v for name, v in same.state_dict().items()})
        np.testing.assert_array_equal(network(x), expected)
        assert (same(x) != expected).any()


def test_a_copied_graph_may_be_added_to(rng):
    graph = copy.deepcopy(branches()[0])
    graph.add(nn.GlobalAvgPool2d(), "concat1")
    assert graph(rng.standard_normal((1, 3, 5, 6), np.float32)).shape == (1, 8)


# ---- Refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Conv2d(0, 4, 3),
        lambda: nn.Conv2d(3, 4, 3.0),
        lambda: nn.Conv2d(3, 4, 3, groups=2),
        lambda: nn.Conv2d(3, 4, 3, padding="valid"),
        lambda: nn.Conv2d(3, 4, 3, stride=2, padding="same"),
        lambda: nn.MlpConv(3, (), 3),
        lambda: nn.MlpConv(3, 4, 3),
        lambda: nn.MlpConv(3, (4, 5), 3, std=(0.1,)),
        lambda: nn.MaxPool2d(0),
        lambda: nn.MaxPool2d(2, padding=-1),
        lambda: nn.BatchNorm2d(3, eps=0),
        lambda: nn.BatchNorm2d(3, momentum=2),
        lambda: nn.Dropout(1.0),
        lambda: nn.Linear(3, 0),
        lambda: nn.Sequential("conv"),
        lambda: nn.Sequential(nn.ReLU(), seed=-1),
    ],
)
def test_wrong_settings_are_told_where_they_are_made(make):
    with pytest.raises(ArgumentError):
        make()


def test_wrong_wiring_of_a_graph_is_told():
    graph, _ = branches()
    other = nn.Graph().input()
    for wrong in (other, "nowhere", None):
        with pytest.raises(ArgumentError):
            graph.add(nn.ReLU(), wrong)
    with pytest.raises(ArgumentError, match="already"):
        graph.add(nn.ReLU(), "conv1", name="second")
    with pytest.raises(ArgumentError, match="one input"):
        graph.input()
    with pytest.raises(ArgumentError, match="needs an input"):
        graph.add(nn.ReLU())
    assert names(graph) == ["conv1", "second", "add1", "concat1"]  # nothing was half added


def test_a_graph_without_layers_is_told():
    with pytest.raises(ModelError, match="no layers"):
        nn.Graph()(np.zeros((1, 3, 4, 4), np.float32))


def test_the_layer_that_does_not_fit_is_named():
    x = np.zeros((1, 3, 4, 4), np.float32)
    with pytest.raises(ShapeError, match=r"pool1 \(MaxPool2d\)"):
        nn.Sequential(nn.MaxPool2d(5))(x)
    with pytest.raises((ModelError, ShapeError), match="add1"):
        nn.Sequential(nn.Add())(x)
