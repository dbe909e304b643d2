"""First weights are drawn by the core, so that C++ and Python begin with the same bits."""

import numpy as np

from ninc import nn


def layers(seed):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.GlobalAvgPool2d(),
        nn.Linear(4, 2, std=0.5),
        seed=seed,
    )


def test_first_weights_are_those_of_cpp():
    # The same numbers as in tests/cpp/run/initialize_test.cc.
    weights = layers(7).parameters()
    conv = [0.03524165, 0.3095332, 0.00045973682, 0.2495466, -0.27285495]
    linear = [0.6198456, 0.2693545, -0.16736095, 0.58896655, 0.49372432]
    assert weights["conv1.weight"].ravel()[:5].tolist() == np.float32(conv).tolist()
    assert weights["linear1.weight"].ravel()[:5].tolist() == np.float32(linear).tolist()


def test_the_largest_seed_is_another():
    least, largest = (layers(seed).parameters()["conv1.weight"] for seed in (0, 2**63 - 1))
    assert (least != largest).all()


def test_a_new_head_draws_what_a_new_network_would():
    head = layers(1).new_head(2, seed=7).parameters()
    np.testing.assert_array_equal(head["conv1.weight"], layers(1).parameters()["conv1.weight"])
    weight = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.GlobalAvgPool2d(), nn.Linear(4, 2), seed=7
    ).parameters()["linear1.weight"]
    np.testing.assert_array_equal(head["linear1.weight"], weight)
