"""A network for small pictures and folders of them, so small that a test can make its own."""

import numpy as np

from ninc import nn
from ninc.preprocess import Preprocessing

# Endings, and how Pillow's save keeps the most of a picture.
FORMATS = {
    "jpg": dict(quality=95, subsampling=0),
    "png": {},
    "webp": dict(lossless=True),
    "tif": {},
}

CLASSES = ["plum", "elderberries", "犬いぬ"]


def picture_network(size=(6, 8)):
    """An untrained network of three classes for RGB pictures; size None takes them as they are."""
    network = nn.Sequential(nn.MlpConv(3, (8, 3), 3, logits=True), nn.GlobalAvgPool2d(), seed=5)
    network.preprocessing = Preprocessing(size, 3, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
    network.classes = CLASSES
    return network


def random_bytes(*shape, seed=0):
    """uint8 of this shape."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def noise(height=7, width=9, seed=0):
    """A random picture, H×W×3 uint8."""
    return random_bytes(height, width, 3, seed=seed)


def save(path, pixels, **kind):
    """A file of these pixels; folders are made for it. kind: as Pillow's save takes it."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **kind)
    return path


def save_noise(path, seed=0, **kind):
    """A file of `noise`."""
    return save(path, noise(seed=seed), **kind)


def save_around(folder, level, count, seed=0, shape=(28, 28)):
    """`count` files, 0.png and on, of noise around a grey level."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        pixels = np.clip(rng.normal(level, 20, shape), 0, 255).astype(np.uint8)
        save(folder / f"{index}.png", pixels)


def put(root, *files):
    """Pictures of 6×5, the nth of them of grey level n."""
    for level, file in enumerate(files):
        save(root / file, np.full((6, 5, 3), level, np.uint8))
    return root


def turned_exif(orientation):
    """EXIF data that say how a picture is to be turned before it is seen."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def network_and_photos(folder, count, classes):
    """Fills a folder: net.safetensors, and photos in folders of these names in turn."""
    picture_network().save(folder / "net.safetensors")
    for number in range(count):
        save(
            folder / "photos" / classes[number % len(classes)] / f"{number:02}.png",
            noise(seed=number),
        )
    return folder
