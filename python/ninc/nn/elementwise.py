"""Layers that are a function of each element; NaN stays NaN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._base.arguments import integer, limits, one_of, real
from .layer import Layer

# A network's file has no word for infinity: float32's last number says that there is no limit.
_LARGEST = float(np.finfo(np.float32).max)


class ReLU(Layer):
    """y = max(x, 0); NaN stays NaN."""

    op = "Relu"


class ReLU6(Layer):
    """y = min(max(x, 0), 6)."""

    op = "Relu6"


class Clip(Layer):
    """y = min(max(x, low), high); an infinite limit is none. ArgumentError where low > high."""

    op = "Clip"

    def __init__(self, low: float = -math.inf, high: float = math.inf) -> None:
        self.low, self.high = limits("Clip", low, high)

    def fields(self) -> dict[str, Any]:
        return {"low": max(self.low, -_LARGEST), "high": min(self.high, _LARGEST)}


class PReLU(Layer):
    """y = x where x > 0, else slope * x, with a trained slope (He, Zhang, Ren, Sun 2015).

    channels: of them each has a slope; 1 for one slope of all. They start as 0.25.
    """

    op = "PRelu"
    settings = ("channels",)

    def __init__(self, channels: int = 1) -> None:
        self.channels = integer("PReLU", "channels", channels)


class LeakyReLU(Layer):
    """y = x where x > 0, else slope * x (Maas, Hannun, Ng 2013)."""

    op = "LeakyRelu"
    settings = ("slope",)

    def __init__(self, slope: float = 0.01) -> None:
        self.slope = real("LeakyReLU", "slope", slope)


class ELU(Layer):
    """y = x where x > 0, else alpha * (exp(x) - 1) (Clevert, Unterthiner, Hochreiter 2015)."""

    op = "Elu"
    settings = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = real("ELU", "alpha", alpha)


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x))"""

    op = "Sigmoid"


class HardSigmoid(Layer):
    """y = min(max(alpha * x + beta, 0), 1)"""

    op = "HardSigmoid"
    settings = ("alpha", "beta")

    def __init__(self, alpha: float = 1 / 6, beta: float = 0.5) -> None:
        self.alpha = real("HardSigmoid", "alpha", alpha)
        self.beta = real("HardSigmoid", "beta", beta)


class Tanh(Layer):
    """y = tanh(x)"""

    op = "Tanh"


class SiLU(Layer):
    """y = x * sigmoid(x), also called Swish (Elfwing, Uchibe, Doya 2017)."""

    op = "Silu"


class HardSwish(Layer):
    """y = x * min(max(x / 6 + 1 / 2, 0), 1) (Howard et al. 2019)."""

    op = "HardSwish"


class GELU(Layer):
    """y = x * P(Z <= x), Z standard normal (Hendrycks, Gimpel 2016).

    approximate: "none" or "tanh", see `functional.gelu`.
    """

    op = "Gelu"

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = one_of("GELU", "approximate", approximate, ("none", "tanh"))
        if self.approximate == "tanh":
            self.op = "GeluTanh"
