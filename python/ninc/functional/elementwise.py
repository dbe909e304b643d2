"""Functions y = f(x), element by element, of arrays of any number of dimensions. NaN gives NaN.

The backward function of each takes what its derivative is computed from: x, or y where that is
simpler. Where f has a corner, its derivative there is that of the formula at `..._backward`.
"""

from __future__ import annotations

import math

from .. import _core
from .._base.arguments import limits, one_of, real
from .._base.array_types import Floats, FloatsLike


def relu(x: FloatsLike) -> Floats:
    """y = max(x, 0)"""
    return _core.clip("relu", x, 0.0, math.inf)


def relu_backward(dy: FloatsLike, y: FloatsLike) -> Floats:
    """dx = dy where y > 0, else 0;   y: what `relu` gave."""
    return _core.clip_backward("relu_backward", dy, y, 0.0, math.inf)


def relu6(x: FloatsLike) -> Floats:
    """y = min(max(x, 0), 6)"""
    return _core.clip("relu6", x, 0.0, 6.0)


def relu6_backward(dy: FloatsLike, y: FloatsLike) -> Floats:
    """dx = dy where 0 < y < 6, else 0;   y: what `relu6` gave."""
    return _core.clip_backward("relu6_backward", dy, y, 0.0, 6.0)


def clip(x: FloatsLike, low: float = -math.inf, high: float = math.inf) -> Floats:
    """y = min(max(x, low), high); an infinite limit is none. ArgumentError where low > high."""
    return _core.clip("clip", x, *limits("clip", low, high))


def clip_backward(
    dy: FloatsLike, y: FloatsLike, low: float = -math.inf, high: float = math.inf
) -> Floats:
    """dx = dy where low < y < high, else 0;   y: what `clip` gave."""
    return _core.clip_backward("clip_backward", dy, y, *limits("clip_backward", low, high))


def leaky_relu(x: FloatsLike, slope: float = 0.01) -> Floats:
    """y = x where x > 0, else slope * x (Maas, Hannun, Ng 2013)."""
    return _core.elementwise("leaky_relu", x, real("leaky_relu", "slope", slope))


def leaky_relu_backward(dy: FloatsLike, x: FloatsLike, slope: float = 0.01) -> Floats:
    """dx = dy where x > 0, else slope * dy."""
    where = "leaky_relu_backward"
    return _core.elementwise_backward(where, dy, x, real(where, "slope", slope))


def elu(x: FloatsLike, alpha: float = 1.0) -> Floats:
    """y = x where x > 0, else alpha * (exp(x) - 1) (Clevert, Unterthiner, Hochreiter 2015)."""
    return _core.elementwise("elu", x, real("elu", "alpha", alpha))


def elu_backward(dy: FloatsLike, x: FloatsLike, alpha: float = 1.0) -> Floats:
    """dx = dy where x > 0, else alpha * exp(x) * dy."""
    return _core.elementwise_backward("elu_backward", dy, x, real("elu_backward", "alpha", alpha))


def sigmoid(x: FloatsLike) -> Floats:
    """y = 1 / (1 + exp(-x))"""
    return _core.elementwise("sigmoid", x)


def sigmoid_backward(dy: FloatsLike, y: FloatsLike) -> Floats:
    """dx = y * (1 - y) * dy;   y: what `sigmoid` gave."""
    return _core.elementwise_backward("sigmoid_backward", dy, y)


def hard_sigmoid(x: FloatsLike, alpha: float = 1 / 6, beta: float = 0.5) -> Floats:
    """y = min(max(alpha * x + beta, 0), 1); ONNX's own alpha is 0.2."""
    where = "hard_sigmoid"
    return _core.elementwise(where, x, real(where, "alpha", alpha), real(where, "beta", beta))


def hard_sigmoid_backward(dy: FloatsLike, y: FloatsLike, alpha: float = 1 / 6) -> Floats:
    """dx = alpha * dy where 0 < y < 1, else 0;   y: what `hard_sigmoid` gave."""
    where = "hard_sigmoid_backward"
    return _core.elementwise_backward(where, dy, y, real(where, "alpha", alpha))


def tanh(x: FloatsLike) -> Floats:
    """y = tanh(x)"""
    return _core.elementwise("tanh", x)


def tanh_backward(dy: FloatsLike, y: FloatsLike) -> Floats:
    """dx = (1 - y * y) * dy;   y: what `tanh` gave."""
    return _core.elementwise_backward("tanh_backward", dy, y)


def silu(x: FloatsLike) -> Floats:
    """y = x * sigmoid(x), also called Swish (Elfwing, Uchibe, Doya 2017)."""
    return _core.elementwise("silu", x)


def silu_backward(dy: FloatsLike, x: FloatsLike) -> Floats:
    """dx = s * (1 + x * (1 - s)) * dy with s = sigmoid(x)."""
    return _core.elementwise_backward("silu_backward", dy, x)


def hard_swish(x: FloatsLike) -> Floats:
    """y = x * min(max(x / 6 + 1 / 2, 0), 1) (Howard et al. 2019)."""
    return _core.elementwise("hard_swish", x)


def hard_swish_backward(dy: FloatsLike, x: FloatsLike) -> Floats:
    """dx = (x / 3 + 1 / 2) * dy where -3 <= x <= 3, dy above, 0 below."""
    return _core.elementwise_backward("hard_swish_backward", dy, x)


def gelu(x: FloatsLike, approximate: str = "none") -> Floats:
    """y = x * P(Z <= x), Z standard normal (Hendrycks, Gimpel 2016).

    approximate: "none", by the error function; "tanh", by
        y = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))
    """
    return _core.elementwise(_gelu("gelu", approximate), x)


def gelu_backward(dy: FloatsLike, x: FloatsLike, approximate: str = "none") -> Floats:
    """dx = dy * the derivative of `gelu` at x."""
    return _core.elementwise_backward(f"{_gelu('gelu_backward', approximate)}_backward", dy, x)


def _gelu(where: str, approximate: str) -> str:
    tanh_wanted = one_of(where, "approximate", approximate, ("none", "tanh")) == "tanh"
    return "gelu_tanh" if tanh_wanted else "gelu"
