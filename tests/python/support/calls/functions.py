"""A valid call of every function of `ninc.functional`."""

import inspect

from ninc import functional as F
from support.calls.call import BIAS, LABELS, NORM, WEIGHT, X, calling, floats

# y = f(x); the backward functions take dy, and x or y.
OF_SINGLE_ELEMENTS = (
    "relu relu6 clip leaky_relu elu sigmoid hard_sigmoid tanh silu hard_swish gelu".split()
)


def _of_single_elements():
    for name in OF_SINGLE_ELEMENTS:
        yield f"functional.{name}", calling(getattr(F, name), x=X)
        backward = getattr(F, f"{name}_backward")
        value = list(inspect.signature(backward).parameters)[1]
        yield f"functional.{name}_backward", calling(backward, **{"dy": X, value: X})


FUNCTIONS = {
    **dict(_of_single_elements()),
    "functional.prelu": calling(F.prelu, x=X, slope=floats(3)),
    "functional.prelu_backward": calling(F.prelu_backward, dy=X, x=X, slope=floats(3)),
    "functional.add": calling(F.add, a=X, b=floats(3, 1, 1)),
    "functional.add_backward": calling(F.add_backward, dy=X, a_shape=X.shape, b_shape=(3, 1, 1)),
    "functional.sub": calling(F.sub, a=X, b=floats(3, 1, 1)),
    "functional.sub_backward": calling(F.sub_backward, dy=X, a_shape=X.shape, b_shape=(3, 1, 1)),
    "functional.mul": calling(F.mul, a=X, b=floats(3, 1, 1)),
    "functional.mul_backward": calling(F.mul_backward, dy=X, a=X, b=floats(3, 1, 1)),
    "functional.div": calling(F.div, a=X, b=floats(3, 1, 1)),
    "functional.div_backward": calling(F.div_backward, dy=X, a=X, b=floats(3, 1, 1)),
    "functional.local_response_norm": calling(F.local_response_norm, x=X, size=3),
    "functional.local_response_norm_backward": calling(
        F.local_response_norm_backward, dy=X, x=X, size=3
    ),
    "functional.conv2d": calling(F.conv2d, x=X, weight=WEIGHT, bias=BIAS),
    "functional.conv2d_backward": calling(
        F.conv2d_backward, dy=floats(2, 4, 3, 3), x=X, weight=WEIGHT
    ),
    "functional.mlpconv": calling(F.mlpconv, x=X, layers=[(WEIGHT, BIAS)]),
    "functional.mlpconv_backward": calling(
        F.mlpconv_backward, dy=floats(2, 4, 3, 3), x=X, layers=[(WEIGHT, BIAS)]
    ),
    "functional.linear": calling(F.linear, x=floats(2, 5), weight=floats(3, 5), bias=floats(3)),
    "functional.linear_backward": calling(
        F.linear_backward, dy=floats(2, 3), x=floats(2, 5), weight=floats(3, 5)
    ),
    "functional.dropout": calling(F.dropout, x=X, p=0.5, seed=1, step=2),
    "functional.dropout_backward": calling(F.dropout_backward, dy=X, p=0.5, seed=1, step=2),
    "functional.softmax": calling(F.softmax, x=floats(2, 5)),
    "functional.softmax_backward": calling(F.softmax_backward, dy=floats(2, 5), y=floats(2, 5)),
    "functional.softmax_cross_entropy": calling(
        F.softmax_cross_entropy, logits=floats(2, 5), labels=LABELS[:2]
    ),
    "functional.batch_norm2d": calling(F.batch_norm2d, x=X, **NORM),
    "functional.batch_norm2d_backward": calling(
        F.batch_norm2d_backward, dy=X, x=X, **{n: v for n, v in NORM.items() if n != "bias"}
    ),
    "functional.max_pool2d": calling(F.max_pool2d, x=X, kernel_size=2),
    "functional.max_pool2d_backward": calling(
        F.max_pool2d_backward, dy=floats(2, 3, 2, 2), x=X, kernel_size=2
    ),
    "functional.avg_pool2d": calling(F.avg_pool2d, x=X, kernel_size=2),
    "functional.avg_pool2d_backward": calling(
        F.avg_pool2d_backward, dy=floats(2, 3, 2, 2), x=X, kernel_size=2
    ),
    "functional.global_avg_pool2d": calling(F.global_avg_pool2d, x=X),
    "functional.global_avg_pool2d_backward": calling(
        F.global_avg_pool2d_backward, dy=floats(2, 3), x_shape=X.shape
    ),
    "functional.global_max_pool2d": calling(F.global_max_pool2d, x=X),
    "functional.global_max_pool2d_backward": calling(
        F.global_max_pool2d_backward, dy=floats(2, 3), x=X
    ),
}
