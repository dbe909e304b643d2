"""Class maps of networks that came from ONNX files are weights times feature maps, in float64."""

import io

import numpy as np
import pytest

import ninc
from benchmarks.networks import resnet20
from ninc import nn
from support.networks import torch_resnet20

pytest.importorskip("onnx", reason="the package onnx reads and writes ONNX files")

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")

TOLERANCE = 1e-5  # of the largest


def numbers(name, shape, rng):
    """float32 numbers for a parameter, as of a network that has learned."""
    if len(shape) > 1:
        made = rng.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5
    elif name.endswith(("running_var", ".weight")):
        made = rng.uniform(0.5, 1.5, shape)
    else:
        made = rng.standard_normal(shape) * 0.1
    return made.astype(np.float32)


def with_numbers(network, rng):
    state = network.state_dict()
    network.load_state_dict({name: numbers(name, one.shape, rng) for name, one in state.items()})
    return network


def imported(network):
    file = io.BytesIO()
    network.export_onnx(file)
    return ninc.load_onnx(file.getvalue())


def mixed(network, features):
    """bias + weights × features in float64; features: N×K×H×W, network: ends in a linear layer."""
    name = network.graph.output.name
    state = {key: value.astype(np.float64) for key, value in network.state_dict().items()}
    maps = np.einsum("ck,nkhw->nchw", state[f"{name}.weight"], features.astype(np.float64))
    return maps + state[f"{name}.bias"][:, None, None]


def assert_are(maps, expected):
    """maps: as they came; expected: as they are in float64."""
    assert maps.shape == expected.shape and maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


def assert_average_to_the_scores(network, x, maps):
    scores = network(x)
    means = maps.mean(axis=(2, 3), dtype=np.float64)
    np.testing.assert_allclose(means, scores, rtol=0, atol=TOLERANCE * np.abs(maps).max())


def features_of(network, x):
    """What the pool in front of the last layer takes, by the network itself."""
    [pool] = [node for node in network.graph if node.operation == "GlobalAvgPool2d"]
    return network.core.run(x, pool.inputs[0])


@pytest.mark.parametrize("size", [(32, 32), (40, 56)])
def test_of_a_resnet_that_ninc_wrote(size, rng):
    network = imported(with_numbers(resnet20(), rng))
    x = rng.standard_normal((3, 3, *size), np.float32)
    maps = network.class_maps(x)
    assert maps.shape == (3, 10, size[0] // 4, size[1] // 4)
    assert_are(maps, mixed(network, features_of(network, x)))
    assert_average_to_the_scores(network, x, maps)


def test_with_dropout_and_softmax_behind_the_pool(rng):
    layers = (nn.Conv2d(3, 16, 3), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Dropout(0.2))
    network = imported(with_numbers(nn.Sequential(*layers, nn.Linear(16, 5)), rng))
    ended = imported(nn.Sequential(*layers, nn.Linear(16, 5), nn.Softmax()))
    assert [node.operation for node in ended.graph][-3:] == ["Dropout", "Linear", "Softmax"]
    ended.load_state_dict(network.state_dict())
    x = rng.standard_normal((2, 3, 12, 10), np.float32)
    for one in (network, ended):
        assert_are(one.class_maps(x), mixed(network, features_of(one, x)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Constant folding:UserWarning")
def test_of_a_resnet_that_torch_wrote(rng):
    """Batch norms are part of the convolutions in its file; the features are torch's in float64."""
    torch = pytest.importorskip("torch")
    module = torch_resnet20().eval()
    for name, tensor in module.state_dict().items():
        if tensor.ndim:  # all but the numbers of batches seen
            tensor.copy_(torch.from_numpy(numbers(name, tuple(tensor.shape), rng)))
    x = rng.standard_normal((2, 3, 32, 32), np.float32)
    file = io.BytesIO()
    try:
        torch.onnx.export(module, (torch.from_numpy(x),), file, dynamo=False)
    except Exception as error:
        pytest.skip(f"this torch cannot write ONNX files by itself: {error}")
    network = ninc.load_onnx(file.getvalue())
    network.precision = "strict"
    maps = network.class_maps(x)
    with torch.no_grad():
        features = module.double()[:-3](torch.from_numpy(x).double()).numpy()
    assert_are(maps, mixed(network, features))
    assert_average_to_the_scores(network, x, maps)
