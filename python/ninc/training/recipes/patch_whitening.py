"""A first convolution whose outputs are uncorrelated and of variance 1 on the training pictures.

The eigenvectors v of the covariance of all k×k patches, with eigenvalue l, make its filters:

    w_i = v_i / sqrt(l_i + e),   w_{n+i} = -w_i,   i = 0 .. n - 1,  n = C k k

so that there are 2 n filters; a function such as ReLU or GELU behind them keeps what either sign
says. The filters are held still in training, whose later layers then begin with inputs of one scale
in every direction (tysam-code, "hlb-CIFAR10", 2023; Jordan 2024, arXiv 2404.00498, section 3.2).
"""

from __future__ import annotations

import numpy as np

from ..._base.array_types import Floats
from ...data import Dataset
from ...errors import ArgumentError
from ...formats.metadata import stored_preprocessing
from ...network import Network
from ...preprocess import Preprocessing

# Patches of so many pictures tell the covariance of 12 numbers to a tenth of a per cent.
_PICTURES = 5000

# What is added to each eigenvalue, in units of normalised pixels squared: directions in which
# pictures hardly differ, such as JPEG's rounding, are not blown up without a limit.
_EPSILON = 5e-4


def whiten_patches(network: Network, train: Dataset, preprocessing: str) -> list[str]:
    """Sets the filters of the network's first convolution; returns their name, to be held still.

    train: N×H×W×C uint8 or N×C×H×W float32.
    preprocessing: the kind that is fitted to pictures, unless the network has one.

    Raises ArgumentError where the network does not begin with a convolution of 2 C k k filters.
    """
    first = next(node for node in network.graph if node.operation != "Input")
    name, kernel = next(iter(network.parameters().items()))
    if first.operation != "Conv2d":
        raise ArgumentError(f"whitening: the network begins with {first.operation}, no convolution")
    filters, channels, height, width = kernel.shape
    if filters != 2 * channels * height * width:
        raise ArgumentError(
            f"whitening: {first.name} has {filters} filters; those of {channels} channels by "
            f"{height}×{width} are {2 * channels * height * width}"
        )
    x = _normalised(network, train, preprocessing)
    network.load_state_dict({**network.state_dict(), name: _filters(x, height, width)})
    return [name]


def _normalised(network: Network, train: Dataset, kind: str) -> Floats:
    """Some training pictures as the network is given them, evenly spread over all there are."""
    chosen = np.unique(np.linspace(0, len(train) - 1, _PICTURES).astype(np.int64))
    some = train.subset(chosen)
    pixels = np.asarray(some.images[:])
    if not train.is_pictures:
        return pixels
    preprocessing = stored_preprocessing(network.core)
    if preprocessing is None:
        preprocessing = Preprocessing.fit(train.images, kind, framing=train.framing)
        network.preprocessing = preprocessing
    return preprocessing.apply(pixels)


def _filters(x: Floats, height: int, width: int) -> Floats:
    """2n×C×height×width, those of the largest eigenvalues first."""
    channels = x.shape[1]
    windows = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(2, 3))
    size = channels * height * width
    patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, size)
    # The second moment about zero, since the convolution adds no bias at first.
    moment = np.zeros((size, size))
    for part in np.array_split(patches, max(1, len(patches) // 2**18)):
        wide = part.astype(np.float64)
        moment += wide.T @ wide
    values, vectors = np.linalg.eigh(moment / len(patches))
    rows = (vectors / np.sqrt(values + _EPSILON)).T[::-1]
    rows = rows * np.where(rows[:, :1] < 0, -1.0, 1.0)  # an eigenvector's sign is LAPACK's whim
    both = np.concatenate([rows, -rows]).astype(np.float32)
    return both.reshape(-1, channels, height, width)
