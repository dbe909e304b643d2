"""Class maps: what is averaged into a network's scores."""

import numpy as np
import pytest

from ninc import nn
from ninc.errors import ArgumentError


def test_class_maps_average_to_the_scores(rng):
    network = nn.Sequential(
        nn.MlpConv(3, (6, 5), 3, padding=1, batch_norm=True),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 4, 1),
        nn.GlobalAvgPool2d(),
    )
    x = rng.standard_normal((2, 3, 12, 10), np.float32)
    maps = network.class_maps(x)
    assert maps.shape == (2, 4, 6, 5)
    np.testing.assert_allclose(maps.mean(axis=(2, 3)), network(x), rtol=1e-5, atol=1e-6)
    ended = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GlobalAvgPool2d(), nn.Softmax())
    assert ended.class_maps(x).shape == (2, 4, 12, 10)


def test_class_maps_of_a_linear_layer_average_to_the_scores(rng):
    x = rng.standard_normal((2, 3, 7, 9), np.float32)
    front = (nn.Conv2d(3, 5, 3), nn.ReLU(), nn.GlobalAvgPool2d())
    for bias in (True, False):
        network = nn.Sequential(*front, nn.Flatten(), nn.Dropout(0.3), nn.Linear(5, 4, bias))
        values = {n: rng.standard_normal(v.shape) for n, v in network.state_dict().items()}
        network.load_state_dict({n: v.astype(np.float32) for n, v in values.items()})
        maps = network.class_maps(x)
        assert maps.shape == (2, 4, 5, 7) and maps.dtype == np.float32
        np.testing.assert_allclose(maps.mean(axis=(2, 3)), network(x), rtol=1e-4, atol=1e-5)
        assert network.class_maps(x[:0]).shape == (0, 4, 5, 7)


@pytest.mark.parametrize(
    "last, wrong",
    [
        ((nn.Linear(4, 3), nn.Linear(3, 2)), r"linear2 is Linear fed by linear1 \(Linear\)"),
        ((nn.Softmax(), nn.Linear(4, 2)), r"linear1 is Linear fed by softmax \(Softmax\)"),
        ((nn.ReLU(),), "relu1 is Relu"),
    ],
)
def test_class_maps_need_their_pooling(rng, last, wrong):
    x = rng.standard_normal((1, 3, 4, 4), np.float32)
    with pytest.raises(ArgumentError, match=wrong):
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.GlobalAvgPool2d(), *last).class_maps(x)
