"""Valid calls of `ninc.functional`, by the names that they have in `public_calls`."""

import numpy as np

from ninc import functional as F


def floats(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def _function(function, **kwargs):
    return function, kwargs


LABELS = np.array([0, 1])
X, WEIGHT, BIAS = floats(2, 3, 5, 5), floats(4, 3, 3, 3), floats(4)
NORM = dict(mean=floats(3), var=np.ones(3, np.float32), weight=floats(3), bias=floats(3))

# Name -> the function and the arguments that it is right with.
FUNCTIONS = {
    "functional.conv2d": _function(F.conv2d, x=X, weight=WEIGHT, bias=BIAS),
    "functional.conv2d_backward": _function(
        F.conv2d_backward, dy=floats(2, 4, 3, 3), x=X, weight=WEIGHT
    ),
    "functional.mlpconv": _function(F.mlpconv, x=X, layers=[(WEIGHT, BIAS)]),
    "functional.mlpconv_backward": _function(
        F.mlpconv_backward, dy=floats(2, 4, 3, 3), x=X, layers=[(WEIGHT, BIAS)]
    ),
    "functional.linear": _function(F.linear, x=floats(2, 5), weight=floats(3, 5), bias=floats(3)),
    "functional.linear_backward": _function(
        F.linear_backward, dy=floats(2, 3), x=floats(2, 5), weight=floats(3, 5)
    ),
    "functional.relu": _function(F.relu, x=X),
    "functional.relu_backward": _function(F.relu_backward, dy=X, y=X),
    "functional.relu6": _function(F.relu6, x=X),
    "functional.relu6_backward": _function(F.relu6_backward, dy=X, y=X),
    "functional.dropout": _function(F.dropout, x=X, p=0.5, seed=1, step=2),
    "functional.dropout_backward": _function(F.dropout_backward, dy=X, p=0.5, seed=1, step=2),
    "functional.softmax": _function(F.softmax, x=floats(2, 5)),
    "functional.softmax_backward": _function(F.softmax_backward, dy=floats(2, 5), y=floats(2, 5)),
    "functional.softmax_cross_entropy": _function(
        F.softmax_cross_entropy, logits=floats(2, 5), labels=LABELS
    ),
    "functional.batch_norm2d": _function(F.batch_norm2d, x=X, **NORM),
    "functional.batch_norm2d_backward": _function(
        F.batch_norm2d_backward, dy=X, x=X, **{n: v for n, v in NORM.items() if n != "bias"}
    ),
    "functional.max_pool2d": _function(F.max_pool2d, x=X, kernel_size=2),
    "functional.max_pool2d_backward": _function(
        F.max_pool2d_backward, dy=floats(2, 3, 2, 2), x=X, kernel_size=2
    ),
    "functional.avg_pool2d": _function(F.avg_pool2d, x=X, kernel_size=2),
    "functional.avg_pool2d_backward": _function(
        F.avg_pool2d_backward, dy=floats(2, 3, 2, 2), x=X, kernel_size=2
    ),
    "functional.global_avg_pool2d": _function(F.global_avg_pool2d, x=X),
    "functional.global_avg_pool2d_backward": _function(
        F.global_avg_pool2d_backward, dy=floats(2, 3), x_shape=X.shape
    ),
    "functional.global_max_pool2d": _function(F.global_max_pool2d, x=X),
    "functional.global_max_pool2d_backward": _function(
        F.global_max_pool2d_backward, dy=floats(2, 3), x=X
    ),
}
