"""`Network.precision`: strict plans have no Winograd, and gradients too come without it."""

import copy

import numpy as np
import pytest

import ninc
from ninc import Trainer, nn


def layers():
    return [nn.Conv2d(24, 48, 5, padding=2), nn.ReLU(), nn.Conv2d(48, 4, 1), nn.GlobalAvgPool2d()]


def sequential():
    return nn.Sequential(*layers(), seed=3)


def graph():
    network = nn.Graph(seed=3)
    value = network.input()
    for layer in layers():
        value = network.add(layer, value)
    return network


SHAPE = (4, 24, 20, 20)


def algorithms(plan):
    """What a plan takes, without what it might have taken."""
    return plan.describe().split("cost model")[0]


@pytest.mark.skipif(ninc.target() != "amx", reason="this target splits no products")
@pytest.mark.parametrize("training", [False, True])
def test_strict_plans_split_no_products(training):
    network, shape = ninc.models.nin_cifar10(batch_norm=True), (16, 3, 32, 32)
    assert "split bfloat16" in algorithms(network.plan(shape, training))
    network.precision = "strict"
    assert "split bfloat16" not in algorithms(network.plan(shape, training))


@pytest.mark.parametrize("make", [sequential, graph])
@pytest.mark.parametrize("training", [False, True])
def test_strict_plans_are_direct(make, training):
    network = make()
    assert "winograd" in algorithms(network.plan(SHAPE, training))
    network.precision = "strict"
    assert "winograd" not in algorithms(network.plan(SHAPE, training))
    assert "winograd" not in algorithms(copy.deepcopy(network).plan(SHAPE, training))
    network.precision = "float32"
    assert "winograd" in algorithms(network.plan(SHAPE, training))


def test_a_graph_asked_before_its_first_use_is_strict():
    network = graph()
    network.precision = "strict"
    assert "winograd" not in algorithms(network.plan(SHAPE))


def test_outputs_and_losses_agree(rng):
    x = rng.standard_normal(SHAPE, np.float32)
    labels = np.arange(4)
    results = []
    for precision in ("float32", "strict"):
        network = sequential()
        network.precision = precision
        y = network(x)
        trainer = Trainer(network)
        losses = [trainer.step(x, labels) for _ in range(3)]
        results.append((y, losses))
    (y, losses), (strict_y, strict_losses) = results
    assert (y != strict_y).any()
    np.testing.assert_allclose(y, strict_y, atol=2e-5 * np.abs(strict_y).max())
    np.testing.assert_allclose(losses, strict_losses, rtol=1e-4)
