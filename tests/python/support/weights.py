"""Weights of networks: copied, compared, and which of them are still the same."""

import numpy as np


def copies(network):
    """Name -> array, of its own: what the network's weights are now."""
    return {name: value.copy() for name, value in network.state_dict().items()}


def _arrays(weights):
    return weights if isinstance(weights, dict) else weights.state_dict()


def assert_same_weights(got, expected):
    """Two networks, or what `copies` gave of them, hold the same numbers under the same names."""
    got, expected = _arrays(got), _arrays(expected)
    assert list(got) == list(expected)
    for name, value in got.items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def same_bits(one, other):
    """Names of the arrays that have the same shape and bits in both."""
    one, other = _arrays(one), _arrays(other)
    assert list(one) == list(other)
    return {
        name
        for name, value in one.items()
        if value.shape == other[name].shape and value.tobytes() == other[name].tobytes()
    }
