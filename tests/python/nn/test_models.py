"""The five published networks."""

import numpy as np
import pytest

import ninc
from ninc import models
from ninc.errors import ArgumentError

# name: parameters, million multiplications a picture, input, classes, maps (nin.md's table).
PUBLISHED = {
    "nin-cifar10": (966_986, 222.5, (3, 32, 32), 10, (8, 8)),
    "nin-cifar100": (984_356, 223.6, (3, 32, 32), 100, (8, 8)),
    "nin-svhn": (1_986_026, 274.2, (3, 32, 32), 10, (8, 8)),
    "nin-mnist": (349_674, 50.7, (1, 28, 28), 10, (7, 7)),
    "nin-imagenet": (7_595_176, 1100.2, (3, 224, 224), 1000, (6, 6)),
}


def total_multiplications(network, shape):
    return float(network.summary(shape).splitlines()[-1].split()[-1].replace(",", ""))


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_published(name, rng):
    parameters, multiplications, shape, classes, maps = PUBLISHED[name]
    network = models.create(name)
    assert network.num_parameters == parameters
    assert total_multiplications(network, shape) == pytest.approx(multiplications, abs=0.05)
    x = rng.standard_normal((1, *shape), np.float32)
    class_maps = network.class_maps(x)
    assert class_maps.shape == (1, classes, *maps)
    assert class_maps.min() >= 0  # a ReLU follows the last convolution too
    np.testing.assert_allclose(network(x), class_maps.mean(axis=(2, 3)), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", PUBLISHED)
def test_batch_norm_variant(name, rng):
    _, _, shape, classes, maps = PUBLISHED[name]
    network = models.create(name, batch_norm=True)
    convolutions = [key for key in network.parameters() if key.endswith(".weight")]
    convolutions = [key for key in convolutions if not key.startswith("bn_")]
    biases = [key for key in network.parameters() if key.endswith(".bias")]
    biases = [key for key in biases if not key.startswith("bn_")]
    last = convolutions[-1].replace("weight", "bias")
    assert biases == [last] and f"bn_{last}" not in network.parameters()
    assert len([key for key in network.parameters() if key.startswith("bn_")]) == 2 * (
        len(convolutions) - 1
    )
    x = rng.standard_normal((1, *shape), np.float32)
    class_maps = network.class_maps(x)
    assert class_maps.shape == (1, classes, *maps) and class_maps.min() < 0


def test_node_names():
    names = [node.name for node in models.nin_cifar10(batch_norm=True).graph]
    assert names == [
        "x",
        *("conv1", "bn_conv1", "relu_conv1", "cccp1", "bn_cccp1", "relu_cccp1"),
        *("cccp2", "bn_cccp2", "relu_cccp2", "pool1", "drop1"),
        *("conv2", "bn_conv2", "relu_conv2", "cccp3", "bn_cccp3", "relu_cccp3"),
        *("cccp4", "bn_cccp4", "relu_cccp4", "pool2", "drop2"),
        *("conv3", "bn_conv3", "relu_conv3", "cccp5", "bn_cccp5", "relu_cccp5", "cccp6", "gap"),
    ]


@pytest.mark.parametrize("pool2, op", [("avg", "AvgPool2d"), ("max", "MaxPool2d")])
def test_second_pool(pool2, op):
    graph = models.nin_svhn(pool2=pool2).graph
    assert graph["pool1"].operation == "MaxPool2d" and graph["pool2"].operation == op
    told = graph["pool2"].attributes
    assert told["ceil_mode"] and told["padding"] == (0, 0)
    if pool2 == "avg":
        assert not told["count_include_pad"]
    with pytest.raises(ArgumentError, match="pool2"):
        models.nin_cifar10(pool2="mean")


def test_imagenet_has_one_dropout_behind_its_third_pool():
    names = [node.name for node in models.nin_imagenet().graph]
    assert [name for name in names if name.startswith("drop")] == ["drop1"]
    assert names[names.index("drop1") - 1] == "pool3"


def test_first_weights_are_the_published_ones():
    deviations = {
        "nin-cifar10": dict(conv1=0.05, cccp2=0.05, cccp6=0.05),
        "nin-cifar100": dict(conv1=0.001, cccp1=0.01, cccp2=0.01, conv2=0.05, cccp6=0.05),
        "nin-imagenet": dict(conv1=0.01, cccp1=0.05, conv3=0.01, conv4=0.05, cccp8=0.01),
    }
    for name, layers in deviations.items():
        weights = models.create(name).parameters()
        for layer, deviation in layers.items():
            share = weights[f"{layer}.weight"].std() / deviation
            assert abs(share - 1) < 5 / np.sqrt(2 * weights[f"{layer}.weight"].size), layer
            assert not weights[f"{layer}.bias"].any()


def test_settings():
    network = models.nin_mnist(num_classes=26, in_channels=3, seed=5)
    assert network(np.zeros((2, 3, 28, 28), np.float32)).shape == (2, 26)
    weight = network.parameters()["conv1.weight"]
    other = models.nin_mnist(num_classes=26, in_channels=3, seed=6).parameters()["conv1.weight"]
    assert (weight != other).any()
    with pytest.raises(ArgumentError):
        models.nin_mnist(num_classes=0)
    with pytest.raises(ArgumentError, match="nin-cifar10, nin-cifar100"):
        models.create("nin-cifar11")


@pytest.mark.parametrize("height, width", [(9, 9), (33, 47), (64, 20)])
def test_any_size_goes_through(height, width):
    network = models.nin_cifar10()
    assert network(np.ones((1, 3, height, width), np.float32)).shape == (1, 10)


@pytest.mark.parametrize("pool2", ["avg", "max"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_agrees_with_torch(pool2, batch_norm, rng):
    torch = pytest.importorskip("torch")
    layers = torch.nn
    network = ninc.models.nin_cifar10(pool2=pool2, batch_norm=batch_norm)
    state = {  # running statistics that are not the identity, biases that are not zero
        name: np.abs(rng.normal(0.5, 0.2, value.shape)).astype(np.float32)
        if "running_var" in name
        else rng.normal(0, 0.1, value.shape).astype(np.float32)
        for name, value in network.state_dict().items()
    }
    network.load_state_dict(state)
    twin = layers.Sequential()
    for node in network.graph[1:]:
        told = node.attributes
        if node.operation == "Conv2d":
            layer = layers.Conv2d(
                told["in_channels"],
                told["out_channels"],
                told["kernel_size"],
                padding=told["padding"][:2],
                bias=told["bias"],
            )
        elif node.operation == "BatchNorm2d":
            layer = layers.BatchNorm2d(told["channels"])
        elif node.operation == "AvgPool2d":
            layer = layers.AvgPool2d(3, 2, ceil_mode=True, count_include_pad=False)
        else:
            layer = {
                "Relu": layers.ReLU(),
                "Dropout": layers.Dropout(),
                "MaxPool2d": layers.MaxPool2d(3, 2, ceil_mode=True),
                "GlobalAvgPool2d": layers.Sequential(layers.AdaptiveAvgPool2d(1), layers.Flatten()),
            }[node.operation]
        twin.add_module(node.name, layer)
    twin.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()}, False)
    x = rng.standard_normal((2, 3, 32, 32), np.float32)
    with torch.no_grad():
        expected = twin.double().eval()(torch.from_numpy(x).double()).numpy()
    np.testing.assert_allclose(network(x), expected, rtol=0, atol=2e-5 * np.abs(expected).max())
