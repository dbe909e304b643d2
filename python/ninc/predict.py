"""From pictures of all kinds to class probabilities: what `Network.predict` does."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ArgumentError, ShapeError
from .functional import softmax
from .preprocess import Preprocessing

if TYPE_CHECKING:
    from .network import Network


def predict(network: Network, images: Any, batch_size: int) -> np.ndarray:
    """N×classes float32; see `Network.predict`."""
    preprocessing = network._stored_preprocessing()
    if preprocessing is None:
        raise ArgumentError(
            "predict: the network has no preprocessing for pictures stored; train it on pictures, "
            "set network.preprocessing, or call the network on N×C×H×W float32"
        )
    pictures = _as_pictures(images)
    if len(pictures) == 0:
        x = np.zeros(_empty_shape(images, preprocessing), np.float32)
        return _probabilities(network, network(x))
    rows: list[np.ndarray] = []
    for start in range(0, len(pictures), batch_size):
        chunk = pictures[start : start + batch_size]
        pixels = [preprocessing.resize_and_crop(picture) for picture in chunk]
        rows += _rows(network, preprocessing, pixels)
    return np.stack(rows)


def _as_pictures(images: Any) -> Sequence[Any]:
    """A sequence of single pictures or paths."""
    if isinstance(images, np.ndarray):
        if images.dtype != np.uint8 or images.ndim not in (2, 3, 4):
            raise ShapeError(
                "predict: pictures must be uint8, N×H×W×C, H×W×C or H×W, got "
                f"{images.dtype} of shape {images.shape}"
            )
        return images if images.ndim == 4 else [images]
    if isinstance(images, (str, os.PathLike)) or not isinstance(images, Iterable):
        return [images]  # what is neither path nor picture is told by `resize_and_crop`
    return list(images)


def _empty_shape(images: Any, preprocessing: Preprocessing) -> tuple[int, int, int, int]:
    """N×C×H×W of no pictures, for the number of classes only the network knows."""
    size = preprocessing.size
    if size is None and isinstance(images, np.ndarray):
        size = images.shape[1:3]
    if size is None:
        raise ArgumentError("predict: no pictures, and no size to run the network at")
    return 0, preprocessing.channels, size[0], size[1]


def _rows(
    network: Network, preprocessing: Preprocessing, pixels: Sequence[np.ndarray]
) -> Iterable[np.ndarray]:
    """Probabilities of H×W×C pictures in their order; those of one size run together."""
    places: dict[tuple[int, ...], list[int]] = {}
    for place, picture in enumerate(pixels):
        places.setdefault(picture.shape, []).append(place)
    rows: list[Any] = [None] * len(pixels)
    for same in places.values():
        stacked = np.stack([pixels[place] for place in same])
        for place, row in zip(same, _probabilities(network, _run(network, preprocessing, stacked))):
            rows[place] = row
    return rows


def _run(network: Network, preprocessing: Preprocessing, pictures: np.ndarray) -> np.ndarray:
    """The network's output for N×H×W×C uint8."""
    if network.device == "cpu" or preprocessing.whitening is not None:
        return network(preprocessing.apply(pictures))
    # Bytes are copied to the device, a quarter of what floats would be, and normalised there.
    deviations = np.array(preprocessing.std, np.float64)
    scale = 1.0 / (preprocessing.scale * deviations)
    shift = -np.array(preprocessing.mean, np.float64) / deviations
    y = network._model.run_pictures(pictures, scale.astype(np.float32), shift.astype(np.float32))
    return y.reshape(y.shape[:2]) if y.shape[2:] == (1, 1) else y


def _probabilities(network: Network, y: np.ndarray) -> np.ndarray:
    """N×classes for the network's output."""
    if y.ndim != 2:
        raise ShapeError(
            f"predict: the network's output is {'×'.join(map(str, y.shape[1:]))} a picture, not "
            "one number a class; end it with GlobalAvgPool2d or Linear"
        )
    graph = network._graph()
    output = next(node for node in graph["nodes"] if node["name"] == graph["output"])
    return y if output["op"] == "Softmax" else softmax(y)
