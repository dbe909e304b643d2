"""A first convolution whose outputs are uncorrelated and of variance 1 on the training pictures.

The eigenvectors v of the second moment of all k×k patches, with eigenvalue l, make its filters:

    w_i = v_i / sqrt(l_i + e),   w_{n+i} = -w_i,   i = 0 .. n - 1,  n = C k k

so that there are 2 n filters; a function such as ReLU or GELU behind them keeps what either sign
says. The filters are held still in training, whose later layers then begin with inputs of one scale
in every direction (tysam-code, "hlb-CIFAR10", 2023; Jordan 2024, arXiv 2404.00498, section 3.2).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..._base.array_types import Floats
from ...data import Dataset
from ...errors import ArgumentError
from ...formats.metadata import stored_preprocessing
from ...network import Network
from ...preprocess import Preprocessing
from ..fit_checks import remark_on_pictures

# Patches of so many pictures tell the eigenvalues to a few per cent.
_PICTURES = 5000
_AT_A_TIME = 100

# What is added to each eigenvalue, in units of normalised pixels squared: directions in which
# pictures hardly differ, such as JPEG's rounding, are not blown up without a limit.
_EPSILON = 5e-4


def whiten_patches(network: Network, train: Dataset, preprocessing: str) -> list[str]:
    """Sets the filters of the network's first convolution; returns their name, to be held still.

    train: N×H×W×C uint8 or N×C×H×W float32.
    preprocessing: the kind that is fitted to pictures, unless the network has one.

    Raises ArgumentError where the network does not begin with a convolution of 2 C k k filters, and
    for pictures that it does not take.
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
    if train.input_shape[0] != channels or min(train.input_shape[1:]) < max(height, width):
        raise ArgumentError(
            f"whitening: {first.name} takes {channels} channels of at least {height}×{width}, the "
            f"training pictures are {'×'.join(map(str, train.input_shape))}"
        )
    moment = _second_moment(network, train, preprocessing, (height, width))
    if not np.isfinite(moment).all():
        raise ArgumentError("whitening: the training pictures have numbers that are not finite")
    values, vectors = np.linalg.eigh(moment)
    rows = (vectors / np.sqrt(values + _EPSILON)).T[::-1]
    rows = rows * np.where(rows[:, :1] < 0, -1.0, 1.0)  # an eigenvector's sign is LAPACK's whim
    both = np.concatenate([rows, -rows]).astype(np.float32).reshape(kernel.shape)
    network.load_state_dict({**network.state_dict(), name: both})
    return [name]


def _second_moment(
    network: Network, train: Dataset, kind: str, window: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """n×n, the mean of p p^T over all patches p of some training pictures, evenly spread.

    It is taken about zero, since the convolution adds no bias at first.
    """
    preprocessing = _preprocessing(network, train, kind) if train.is_pictures else None
    size = train.input_shape[0] * window[0] * window[1]
    moment, count = np.zeros((size, size)), 0
    chosen = np.unique(np.linspace(0, len(train) - 1, _PICTURES).astype(np.int64))
    for part in np.array_split(chosen, -(-len(chosen) // _AT_A_TIME)):
        pixels = np.asarray(train.subset(part).images[:])
        x: Floats = pixels if preprocessing is None else preprocessing.apply(pixels)
        windows = np.lib.stride_tricks.sliding_window_view(x, window, axis=(2, 3))
        patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, size).astype(np.float64)
        moment += patches.T @ patches
        count += len(patches)
    return moment / count


def _preprocessing(network: Network, train: Dataset, kind: str) -> Preprocessing:
    """The network's; one that is fitted here is stored with it, as at the beginning of `fit`."""
    preprocessing = stored_preprocessing(network.core)
    if preprocessing is None:
        preprocessing = Preprocessing.fit(train.images, kind, framing=train.framing, progress=True)
        network.preprocessing = preprocessing
        remark_on_pictures(train, preprocessing)
    return preprocessing
