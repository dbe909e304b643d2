"""Layers and the containers that make networks of them."""

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
    "Layer",
    "Linear",
    "MaxPool2d",
    "MlpConv",
    "ReLU",
    "ReLU6",
    "Sequential",
    "Softmax",
    "Value",
]
