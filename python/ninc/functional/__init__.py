"""Operations on arrays, forward and backward.

Arrays are N×C×H×W float32 in native byte order, of any strides; N may be 0. float64 is an error
rather than a silent copy: use x.astype(np.float32). Other libraries' arrays in the CPU's memory are
taken, too, by DLPack or `__array__`; masked values are a DTypeError. Results are new numpy arrays.

dy is the gradient of some number L by an operation's result y; its backward function gives the
gradients of L by its arguments, dx = dL/dx and so on. Nothing is remembered between calls: a
backward function is given what it needs.

Raises ShapeError for shapes that do not fit one another, DTypeError (a ShapeError too) for other
types, ArgumentError for settings out of range. The same input gives the same bits on any number of
threads.
"""

from .arithmetic import (
    add,
    add_backward,
    div,
    div_backward,
    mul,
    mul_backward,
    prelu,
    prelu_backward,
    sub,
    sub_backward,
)
from .batch_norm import batch_norm2d, batch_norm2d_backward
from .convolution import conv2d, conv2d_backward, linear, linear_backward, mlpconv, mlpconv_backward
from .dropout import dropout, dropout_backward
from .elementwise import (
    clip,
    clip_backward,
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    hard_sigmoid,
    hard_sigmoid_backward,
    hard_swish,
    hard_swish_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu6,
    relu6_backward,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    tanh,
    tanh_backward,
)
from .loss import softmax, softmax_backward, softmax_cross_entropy
from .pooling import (
    avg_pool2d,
    avg_pool2d_backward,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from .response_norm import local_response_norm, local_response_norm_backward

__all__ = [
    "add",
    "add_backward",
    "div",
    "div_backward",
    "mul",
    "mul_backward",
    "prelu",
    "prelu_backward",
    "sub",
    "sub_backward",
    "local_response_norm",
    "local_response_norm_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm2d",
    "batch_norm2d_backward",
    "clip",
    "clip_backward",
    "conv2d",
    "conv2d_backward",
    "dropout",
    "dropout_backward",
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "hard_sigmoid",
    "hard_sigmoid_backward",
    "hard_swish",
    "hard_swish_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mlpconv",
    "mlpconv_backward",
    "relu",
    "relu6",
    "relu6_backward",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softmax_cross_entropy",
    "tanh",
    "tanh_backward",
]
