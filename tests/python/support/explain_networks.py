"""Networks whose class maps are known by heart, and how their heat is measured."""

import numpy as np

from ninc import nn
from ninc.preprocess import Preprocessing


def brightness(network, size, channels=3):
    """The network with equal weights: class 0's map is a blurred picture, all others are 0."""
    weights = {}
    convolutions = [n for n, v in network.state_dict().items() if v.ndim == 4]
    for name, value in network.state_dict().items():
        fan_in = np.prod(value.shape[1:])
        weights[name] = np.full_like(value, 1.0 / fan_in if value.ndim == 4 else 0.0)
    weights[convolutions[-1]][1:] = 0.0
    network.load_state_dict(weights)
    network.preprocessing = Preprocessing(size, channels, (0.0,) * channels, (1.0,) * channels)
    return network


def per_pixel(weights, size=None, **framing):
    """classes×channels weights: each class's map is that mixture of a pixel's channels, 0..1."""
    weights = np.array(weights, np.float32)
    classes, channels = weights.shape
    network = nn.Sequential(nn.Conv2d(channels, classes, 1, bias=False), nn.GlobalAvgPool2d())
    network.load_state_dict({"conv1.weight": weights[:, :, None, None]})
    ones = (1.0,) * channels
    network.preprocessing = Preprocessing(size, channels, (0.0,) * channels, ones, **framing)
    return network


def square(size, top, left, side, channels=3):
    """A white square on black, H×W×C uint8."""
    picture = np.zeros((*size, channels), np.uint8)
    picture[top : top + side, left : left + side] = 255
    return picture


def centroid(heat):
    """(row, column) of the middle of what is at least half as warm as the warmest."""
    warm = np.where(heat >= heat.max() / 2, heat, 0.0).astype(np.float64)
    rows, columns = np.indices(heat.shape)
    return np.array([(warm * rows).sum(), (warm * columns).sum()]) / warm.sum()
