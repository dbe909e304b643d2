"""Layers and the containers that make networks of them."""

from .elementwise import ELU, GELU, HardSigmoid, HardSwish, LeakyReLU, Sigmoid, SiLU, Tanh
from .graph import Graph, Value
from .layers import (
    Add,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Layer,
    Linear,
    MaxPool2d,
    MlpConv,
    ReLU,
    ReLU6,
    Softmax,
)
from .sequential import Sequential

__all__ = [
    "ELU",
    "GELU",
    "Add",
    "AvgPool2d",
    "BatchNorm2d",
    "Concat",
    "Conv2d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "Graph",
    "HardSigmoid",
    "HardSwish",
    "Layer",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "MlpConv",
    "ReLU",
    "ReLU6",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "Value",
]
