"""Somebody's ResNet-20 for CIFAR-10, where NINC_TEST_DATA names a folder that has it.

`resnet20.th` is a pickle of before torch 1.6, of a network that was trained on several devices: its
names begin with `module.`. `cifar10-jpeg.tar.gz` has CIFAR-10 as folders of pictures.
"""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

import ninc
from benchmarks.networks import resnet20
from support.networks import torch_resnet20

FOLDER = Path(os.environ.get("NINC_TEST_DATA", "absent"))
MODEL, PICTURES = FOLDER / "resnet20.th", FOLDER / "cifar10-jpeg.tar.gz"

if not MODEL.exists():
    pytest.skip("NINC_TEST_DATA names no folder with the network", allow_module_level=True)


@pytest.fixture(scope="module")
def network():
    net = resnet20()
    net.load_state_dict(ninc.load_torch(MODEL, "state_dict"), match="order")
    return net


def test_scores_beside_torch(network, rng):
    torch = pytest.importorskip("torch")
    other = torch_resnet20().eval()
    arrays = ninc.load_torch(MODEL, "state_dict")
    own = other.state_dict()
    # torch counts batches, too, which a network of ninc's does not.
    named = {name: value for name, value in own.items() if "num_batches" not in name}
    arrays = [value for name, value in arrays.items() if "num_batches" not in name]
    for value, array in zip(named.values(), arrays):
        value.copy_(torch.from_numpy(array.copy()))
    x = rng.standard_normal((16, 3, 32, 32)).astype(np.float32)
    with torch.no_grad():
        expected = other(torch.from_numpy(x)).numpy()
    assert np.abs(network(x) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_class_maps_are_weights_times_maps(network, rng):
    """Zhou et al. 2016, equation 2, in float64: the maps' means are the scores."""
    x = rng.standard_normal((4, 3, 32, 32)).astype(np.float32)
    maps = network.class_maps(x)
    assert maps.shape == (4, 10, 8, 8)
    np.testing.assert_allclose(maps.mean((2, 3)), network(x), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not PICTURES.exists(), reason="no CIFAR-10 (JPEG) in NINC_TEST_DATA")
def test_accuracy(network, tmp_path):
    """81.03 % of the test pictures, which JPEG has changed."""
    pytest.importorskip("PIL")
    with tarfile.open(PICTURES) as archive:
        archive.extractall(tmp_path, filter="data")
    test = ninc.data.load(tmp_path, "test")
    mean, std = (
        np.float32(v).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    x = ((test.images.transpose(0, 3, 1, 2) / np.float32(255) - mean) / std).astype(np.float32)
    scores = np.concatenate([network(x[at : at + 250]) for at in range(0, len(x), 250)])
    assert abs((scores.argmax(axis=1) == test.labels).mean() - 0.8103) <= 0.0005
