"""Gradient-weighted maps: the gradients, which layer is taken, where the heat lies."""

import numpy as np
import pytest

import ninc
from ninc import _core, nn
from ninc.errors import ArgumentError, ModelError
from ninc.explanation import explain
from ninc.explanation.gradients import RULES, value_and_gradient
from support.explain_networks import centroid, per_pixel, square

pytest.importorskip("PIL.Image")

# ---- Gradients, by finite differences ------------------------------------------------------------


def beside(layer, swapped=False):
    """x and a convolution of x, joined by `layer`."""

    def build(graph, x):
        other = graph.add(nn.BatchNorm2d(4), graph.add(nn.Conv2d(4, 4, 3, padding=1), x))
        return graph.add(layer, *((other, x) if swapped else (x, other)))

    return build


def by_constant(layer):
    def build(graph, x):
        values = np.linspace(0.5, 2.0, 4, dtype=np.float32).reshape(4, 1, 1)
        return graph.add(layer, x, graph.add(nn.Constant(values)))

    return build


# Each takes 4×6×6; what is no layer builds its nodes itself.
OPERATIONS = {
    "Conv2d": nn.Conv2d(
        4, 6, (3, 2), stride=(2, 1), padding=(1, 0, 2, 1), dilation=(1, 2), groups=2
    ),
    "BatchNorm2d": nn.BatchNorm2d(4, eps=0.1),
    "MaxPool2d": nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
    "AvgPool2d": nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
    "GlobalAvgPool2d": nn.GlobalAvgPool2d(),
    "GlobalMaxPool2d": nn.GlobalMaxPool2d(),
    "LocalResponseNorm": nn.LocalResponseNorm(3, alpha=0.5, beta=0.6, k=1.5),
    "Softmax": nn.Softmax(),
    "Concat": beside(nn.Concat()),
    "Slice": nn.Slice(channels=(1, 3), height=(0, None, 2), width=(-4, -1)),
    "Pad": nn.Pad(channels=(1, -1), height=(-2, 1), width=(2, 3)),
    "ChannelShuffle": nn.ChannelShuffle(2),
    "Dropout": nn.Dropout(0.5),
    "Flatten": nn.Flatten(),
    "Linear": lambda graph, x: graph.add(nn.Linear(144, 7), graph.add(nn.Flatten(), x)),
    "Add": beside(nn.Add()),
    "Sub": beside(nn.Sub(), swapped=True),
    "Mul": by_constant(nn.Mul()),
    "Div": by_constant(nn.Div()),
    "Relu": nn.ReLU(),
    "Relu6": nn.ReLU6(),
    "Clip": nn.Clip(-0.5, 0.9),
    "PRelu": nn.PReLU(4),
    "LeakyRelu": nn.LeakyReLU(0.2),
    "Elu": nn.ELU(1.5),
    "Sigmoid": nn.Sigmoid(),
    "HardSigmoid": nn.HardSigmoid(),
    "Tanh": nn.Tanh(),
    "Silu": nn.SiLU(),
    "HardSwish": nn.HardSwish(),
    "Gelu": nn.GELU(),
    "GeluTanh": nn.GELU("tanh"),
}  # fmt: skip


def drawn(network, seed=0):
    """The network with weights and statistics that are not those of a beginning."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, value in network.state_dict().items():
        near_one = name.endswith("running_var") or (value.ndim == 1 and name.endswith("weight"))
        values = rng.uniform(0.5, 1.5, value.shape) if near_one else rng.normal(0, 0.3, value.shape)
        state[name] = values.astype(np.float32)
    network.load_state_dict(state)
    return network


def test_every_operation_has_a_rule():
    # An input and a constant have nothing in front of them.
    assert RULES.keys() == _core.OPERATIONS.keys() - {"Input", "Constant"} == OPERATIONS.keys()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_gradients_are_those_of_finite_differences(operation):
    graph = nn.Graph()
    x = graph.input("x")
    build = OPERATIONS[operation]
    y = graph.add(build, x) if isinstance(build, nn.Layer) else build(graph, x)
    probe = graph.core.output_shape((1, 4, 6, 6), graph.graph[-1].name)
    graph.add(nn.Linear(int(np.prod(probe)), 3), graph.add(nn.Flatten(), y))
    network = drawn(graph)
    # Between -8 and 8, more than two steps apart, none nearer than a step to a function's corner.
    spread = (np.arange(288) + 0.5) * 0.056 - 8.064
    x = np.random.default_rng(1).permutation(spread).reshape(2, 4, 6, 6).astype(np.float32)
    value, gradient = value_and_gradient(network, x, "x", 1)
    assert np.array_equal(value, x) and gradient.shape == x.shape
    step = 3e-3
    for seed in range(3):
        along = np.random.default_rng(seed).choice([-step, step], x.shape).astype(np.float32)
        rise = (network(x + along) - network(x - along))[:, 1].sum() / 2
        most = float(np.abs(gradient * along).sum())
        assert (gradient * along).sum() == pytest.approx(rise, abs=4e-3 * most)


# ---- The whole of it, by torch -------------------------------------------------------------------


def branched():
    """Behind conv1's ReLU: a residual block, two branches side by side, a gate, a linear head."""
    graph = nn.Graph()
    x = graph.input("x")
    a = graph.add(nn.ReLU(), graph.add(nn.Conv2d(3, 8, 3, padding=1), x), name="kept")
    b = graph.add(nn.BatchNorm2d(8), graph.add(nn.Conv2d(8, 8, 3, padding=1), a))
    a = graph.add(nn.SiLU(), graph.add(nn.Add(), a, b))
    pools = graph.add(nn.MaxPool2d(3, 2), a), graph.add(nn.AvgPool2d(3, 2), a)
    c = graph.add(nn.GELU(), graph.add(nn.Concat(), *pools))
    gate = graph.add(
        nn.Sigmoid(), graph.add(nn.Conv2d(16, 16, 1), graph.add(nn.GlobalAvgPool2d(), c))
    )
    c = graph.add(nn.Mul(), c, gate)
    c = graph.add(nn.LeakyReLU(0.1), graph.add(nn.Linear(16 * 49, 12), graph.add(nn.Flatten(), c)))
    graph.add(nn.Softmax(), graph.add(nn.Linear(12, 5), graph.add(nn.Dropout(0.5), c)))
    return drawn(graph)


def of_torch(torch, state, x, label):
    """(kept, d score[label] / d kept) of `branched`, by torch's autograd."""
    T = torch.nn.functional
    w = {name: torch.from_numpy(value.copy()) for name, value in state.items()}

    def conv(x, name, padding=0):
        return T.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=padding)

    kept = a = T.relu(conv(torch.from_numpy(x), "conv1", 1)).requires_grad_()
    norm = (w["bn1.running_mean"], w["bn1.running_var"], w["bn1.weight"], w["bn1.bias"])
    a = T.silu(a + T.batch_norm(conv(a, "conv2", 1), *norm))
    c = T.gelu(torch.cat([T.max_pool2d(a, 3, 2), T.avg_pool2d(a, 3, 2)], 1))
    c = c * torch.sigmoid(conv(c.mean((2, 3), keepdim=True), "conv3"))
    c = T.leaky_relu(T.linear(c.flatten(1), w["linear1.weight"], w["linear1.bias"]), 0.1)
    scores = T.linear(c, w["linear2.weight"], w["linear2.bias"])
    scores[:, label].sum().backward()
    return kept.detach().numpy(), kept.grad.numpy()


def test_gradients_are_those_of_torch():
    torch = pytest.importorskip("torch")
    network = branched()
    x = np.random.default_rng(2).normal(0, 1, (2, 3, 16, 16)).astype(np.float32)
    for label in (0, 3):
        wanted_value, wanted = of_torch(torch, network.state_dict(), x, label)
        value, gradient = value_and_gradient(network, x, "kept", label)
        np.testing.assert_allclose(value, wanted_value, atol=2e-5 * wanted_value.max())
        np.testing.assert_allclose(gradient, wanted, atol=1e-4 * np.abs(wanted).max())


def test_the_heat_is_that_of_the_equations():
    torch = pytest.importorskip("torch")
    network = branched()
    ones = (1.0,) * 3
    network.preprocessing = ninc.preprocess.Preprocessing((16, 16), 3, (0.0,) * 3, ones)
    picture = np.random.default_rng(3).integers(0, 256, (16, 16, 3), np.uint8)
    shown = explain(network, picture, 2, method="grad-cam", layer="kept")
    x = (picture.astype(np.float32) / 255).transpose(2, 0, 1)[None]
    value, gradient = of_torch(torch, network.state_dict(), x, 2)
    alpha = gradient[0].mean(axis=(1, 2))
    raised = np.maximum(np.einsum("k,khw->hw", alpha, value[0]), 0)
    raised -= raised.min()
    # The layer has a place for each pixel, so that nothing lies between the two.
    np.testing.assert_allclose(shown.heat * raised.max(), raised, atol=1e-4 * raised.max())
    assert (shown.method, shown.layer, shown.label) == ("grad-cam", "kept", 2)


# ---- Beside class maps ---------------------------------------------------------------------------


def test_with_average_pooling_it_is_the_class_map():
    network = per_pixel([[2.0], [1.0], [0.0]])
    row = np.array([[[0], [51], [102], [255]]], np.uint8)
    shown = explain(network, row, 0, method="grad-cam", layer="conv1")
    # The score is the mean of 2x, of which the class map at a place is 2x, here at most 2.
    assert shown.scale == pytest.approx(2.0, rel=1e-5)
    np.testing.assert_allclose(shown.heat, [[0.0, 0.2, 0.4, 1.0]], atol=1e-5)
    assert explain(network, row, 2, method="grad-cam").heat.max() == 0.0


def test_a_square_is_found_without_average_pooling():
    # conv1 blurs, each class looks at all of the picture through a linear layer of equal weights.
    network = nn.Sequential(
        nn.Conv2d(3, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 2)
    )
    weights = {name: np.zeros_like(value) for name, value in network.state_dict().items()}
    weights["conv1.weight"][0] = 1 / 27
    weights["linear1.weight"][0, :256] = 1.0
    network.load_state_dict(weights)
    ones = (1.0,) * 3
    network.preprocessing = ninc.preprocess.Preprocessing((32, 32), 3, (0.0,) * 3, ones)
    shown = explain(network, square((32, 32), 6, 17, 8), method="grad-cam")
    assert shown.layer == "relu1" and shown.predicted == shown.name
    assert np.abs(centroid(shown.heat) - (9.5, 20.5)).max() < 0.5


# ---- Which layer ---------------------------------------------------------------------------------


def layer_of(network, side=16):
    ones = (1.0,) * 3
    network.preprocessing = ninc.preprocess.Preprocessing((side, side), 3, (0.0,) * 3, ones)
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    return explain(network, picture, method="grad-cam").layer


def test_the_last_layer_with_places_is_taken():
    block = (nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
    linear = nn.Sequential(*block, nn.Dropout(0.5), nn.Flatten(), nn.Linear(256, 3), nn.Softmax())
    assert layer_of(linear) == "relu1"
    # Of 1×1 maps none is taken: neither the pool that makes them nor the convolution behind it.
    small = nn.Sequential(*block[:3], nn.MaxPool2d(16), nn.Conv2d(4, 3, 1))
    assert layer_of(small) == "relu1"
    assert layer_of(branched()) == "mul1"


def test_layers_that_cannot_be_are_told():
    network = branched()
    layer_of(network)
    for layer, words in (
        ("relu_conv1", "no layer 'relu_conv1'; layers whose maps .* are 'x', 'conv1', 'kept'"),
        ("conv4", "no layer 'conv4'; .*did you mean 'conv"),
        ("gap", r"gap \(GlobalAvgPool2d\) gives 1×1 maps, which tell no place from another"),
        ("softmax", r"the scores do not depend on softmax \(Softmax\)"),
        (3, "layer must be a layer's name or None, got 3"),
    ):
        with pytest.raises(ArgumentError, match=words):
            explain(network, np.zeros((16, 16, 3), np.uint8), method="grad-cam", layer=layer)
    with pytest.raises(ArgumentError, match="layer goes with method 'grad-cam', got 'kept'"):
        explain(network, np.zeros((16, 16, 3), np.uint8), layer="kept")


def test_constants_and_networks_without_places_are_told():
    graph = nn.Graph()
    x = graph.input("x")
    offset = graph.add(nn.Constant(np.ones((3, 8, 8), np.float32)), name="offset")
    graph.add(nn.Linear(192, 2), graph.add(nn.Flatten(), graph.add(nn.Add(), x, offset)))
    with pytest.raises(ArgumentError, match=r"come from a convolution.* 8×8 .* 'x', 'add1'"):
        layer_of(graph, 8)
    with pytest.raises(ArgumentError, match=r"offset \(Constant\) is the same for every picture"):
        explain(graph, np.zeros((8, 8, 3), np.uint8), method="grad-cam", layer="offset")
    shown = explain(graph, np.zeros((8, 8, 3), np.uint8), method="grad-cam", layer="add1")
    assert shown.heat.shape == (8, 8)


def test_numbers_that_are_not_finite_are_told():
    network = per_pixel([[np.inf], [1.0]])
    with pytest.raises(ModelError, match="conv1.*not finite"):
        explain(network, square((4, 4), 1, 1, 2, 1), 0, method="grad-cam")
