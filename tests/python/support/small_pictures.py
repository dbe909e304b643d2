"""A network for small pictures and folders of them, so small that a test can make its own."""

import numpy as np

from ninc import nn
from ninc.preprocess import Preprocessing

CLASSES = ["plum", "elderberries", "犬いぬ"]


def picture_network(size=(6, 8)):
    """An untrained network of three classes for RGB pictures; size None takes them as they are."""
    network = nn.Sequential(nn.MlpConv(3, (8, 3), 3, logits=True), nn.GlobalAvgPool2d(), seed=5)
    network.preprocessing = Preprocessing(size, 3, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
    network.classes = CLASSES
    return network


def noise(height=7, width=9, seed=0):
    """H×W×3 uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save_noise(path, seed=0, **kind):
    """A file of `noise`; kind: as Pillow's save takes it."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed=seed)).save(path, **kind)
    return path


def put(root, *files):
    """Pictures of 6×5, the nth of them of grey level n."""
    from PIL import Image

    for level, file in enumerate(files):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 5, 3), level, np.uint8)).save(root / file)
    return root
