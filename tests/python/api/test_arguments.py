"""Settings that no machine can hold and numbers that are none: told in one sentence, by name."""

import numpy as np
import pytest

import ninc
from ninc import functional as F
from ninc import nn
from support.processes import python

X = np.ones((2, 4, 6, 7), np.float32)
WEIGHT = np.ones((5, 4, 3, 3), np.float32)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: F.conv2d(X, WEIGHT, stride=2**70), "conv2d: stride"),
        (lambda: F.conv2d(X, WEIGHT, stride=2**40), "conv2d: stride"),
        (lambda: F.max_pool2d(X, 2**70), "max_pool2d: kernel_size"),
        (lambda: F.dropout(X, 0.5, seed=2**64, step=0), "dropout: seed"),
        (lambda: F.dropout(X, 0.5, seed=0, step=2**64), "dropout: step"),
        (lambda: F.dropout(X, 0.5, seed=0, step=0, layer=2**32), "dropout: layer"),
        (lambda: F.dropout(X, "0.5", seed=0, step=0), "dropout: p must be a number"),
        (lambda: F.mlpconv(X, [WEIGHT]), "mlpconv: layer 0"),
        (lambda: nn.Dropout(None), "Dropout: p must be a number"),
        (lambda: nn.BatchNorm2d(3, eps="small"), "BatchNorm2d: eps must be a number"),
        (lambda: nn.BatchNorm2d(3, momentum=[0.1, 0.2]), "BatchNorm2d: momentum must be a number"),
    ],
)
def test_out_of_range(call, words):
    with pytest.raises(ninc.ArgumentError) as caught:
        call()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_largest_seeds_are_taken():
    F.dropout(X, 0.5, seed=2**64 - 1, step=2**64 - 1, layer=2**32 - 1)


def test_numpy_numbers_are_numbers():
    assert F.conv2d(X, WEIGHT, stride=np.int32(2), groups=np.uint8(1)).shape == (2, 5, 2, 3)
    assert nn.Dropout(np.float32(0.25)).p == 0.25


@pytest.mark.parametrize("count", [0, -1, 2**40, 1.5, "2", "two", None])
def test_wrong_numbers_of_threads(count):
    before = ninc.get_num_threads()
    with pytest.raises(ninc.ArgumentError, match="set_num_threads"):
        ninc.set_num_threads(count)
    assert ninc.get_num_threads() == before


@pytest.mark.parametrize("name", ["sse", "sse9", "", 3, None])
def test_wrong_targets(name):
    before = ninc.target()
    with pytest.raises(ninc.ArgumentError) as told:
        ninc.set_target(name)
    assert repr(name).strip("'") in str(told.value)
    assert ninc.target() == before


def test_the_loss_of_no_rows_is_the_mean_of_nothing():
    loss, dlogits = F.softmax_cross_entropy(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    assert np.isnan(loss)
    assert dlogits.shape == (0, 4)


@pytest.mark.parametrize(
    "variable, value", [("NINC_TARGET", "sse9"), ("NINC_NUM_THREADS", "0"), ("NINC_PRECISION", "x")]
)
def test_the_command_line_tells_a_senseless_environment_in_one_line(variable, value):
    result = python("-m", "ninc", "info", "nin-mnist", **{variable: value})
    assert result.returncode == 1
    assert result.stderr.startswith(f"ninc: {variable}")
    assert result.stderr.count("\n") == 1
