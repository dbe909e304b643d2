"""The authors' network for CIFAR-10, where NINC_TEST_DATA names a folder that has it.

`cifar10_nin.caffemodel` and `.prototxt` are theirs; `cifar10-jpeg.tar.gz` has CIFAR-10 as folders
of pictures, `train/CLASS/*.jpg` and `test/CLASS/*.jpg`.
"""

import os
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

import ninc
from support.command_line import printed
from support.formats import caffe_reference
from support.formats.caffe_files import Word, layer, random

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")

FOLDER = Path(os.environ.get("NINC_TEST_DATA", "absent"))
MODEL, PROTOTXT = FOLDER / "cifar10_nin.caffemodel", FOLDER / "cifar10_nin.prototxt"
PICTURES = FOLDER / "cifar10-jpeg.tar.gz"

if not MODEL.exists():
    pytest.skip("NINC_TEST_DATA names no folder with the network", allow_module_level=True)


def fields(content):
    """(number, value) of a message: bytes, or a whole number, or None for a float."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = content[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(content):
        tag = varint()
        if tag & 7 == 2:
            length = varint()
            yield tag >> 3, content[at : at + length]
            at += length
        elif tag & 7 == 0:
            yield tag >> 3, varint()
        else:
            at += 4
            yield tag >> 3, None


def weights():
    """Layer -> its blobs, read by hand: in this file a blob is four numbers and then floats."""
    found = {}
    for number, content in fields(MODEL.read_bytes()):
        if number == 2:
            one = list(fields(content))
            [name] = [value.decode() for key, value in one if key == 4]
            blobs = [dict(fields(value)) for key, value in one if key == 6]
            found[name] = [
                np.frombuffer(blob[5], "<f4").reshape([blob[axis] for axis in (1, 2, 3, 4)])
                for blob in blobs
            ]
    return found


def network_of_the_paper():
    """Its layers as the authors' file has them, for the reference."""
    blobs, net, bottom = weights(), [], "data"
    sizes = dict(conv1=(5, 2), conv2=(5, 2), conv3=(3, 1))
    for block, pool in enumerate(("MAX", "AVE", None), 1):
        for name in (f"conv{block}", f"cccp{2 * block - 1}", f"cccp{2 * block}"):
            size, pad = sizes.get(name, (1, 0))
            weight, bias = blobs[name]
            told = dict(num_output=len(weight), kernel_size=size, pad=pad)
            net.append(layer(name, "Convolution", bottom, blobs=[weight, bias.ravel()], **told))
            net.append(layer(f"relu_{name}", "ReLU", name, name))
            bottom = name
        if pool:
            name = f"pool{block}"
            net.append(layer(name, "Pooling", bottom, pool=Word(pool), kernel_size=3, stride=2))
            bottom = name
    return [*net, layer("pool3", "Pooling", bottom, pool=Word("AVE"), kernel_size=8)]


@pytest.fixture(scope="module")
def network():
    return ninc.load_caffe(MODEL)


def test_it_is_the_network_of_the_paper(network):
    assert network.num_parameters == 966_986
    ours = [node.operation for node in ninc.models.nin_cifar10(pool2="avg").graph]
    theirs = [node.operation for node in network.graph]
    assert theirs == ours
    with_text = ninc.load_caffe(MODEL, PROTOTXT)
    assert with_text.core.graph_json() == network.core.graph_json()
    x = random(2, 3, 32, 32)
    np.testing.assert_array_equal(with_text(x), network(x))
    assert network.class_maps(x).shape == (2, 10, 8, 8)
    assert network.new_head(["a", "b"])(x).shape == (2, 2)


def test_scores_beside_float64(network):
    x = 20 * random(8, 3, 32, 32)
    expected = caffe_reference.run(network_of_the_paper(), x)[:, :, 0, 0]
    assert np.abs(network(x) - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_converted_file_gives_the_same_bits(network, tmp_path, capsys):
    x = random(4, 3, 32, 32)
    for options in ((), ("--prototxt", PROTOTXT)):
        printed(capsys, "convert", MODEL, tmp_path / "nin.safetensors", *options)
        np.testing.assert_array_equal(ninc.load(tmp_path / "nin.safetensors")(x), network(x))


def test_it_goes_on_training():
    network = ninc.load_caffe(MODEL)
    x, labels = random(8, 3, 32, 32), np.arange(8)
    trainer = ninc.Trainer(network, ninc.SGD(0.001, momentum=0.9))
    losses = [float(trainer.step(x, labels)) for _ in range(5)]
    assert losses[-1] < losses[0]


def test_a_file_that_is_cut_off(tmp_path):
    content = MODEL.read_bytes()
    for share in (0.01, 0.3, 0.999):
        (tmp_path / "cut").write_bytes(content[: int(share * len(content))])
        with pytest.raises(ninc.ModelError, match="cut: at byte .*cut off or damaged"):
            ninc.load_caffe(tmp_path / "cut")
    changed = content.replace(struct.pack("<BB", 0x28, 4), struct.pack("<BB", 0x28, 39), 1)
    (tmp_path / "other").write_bytes(changed)
    with pytest.raises(ninc.ModelError, match="conv1 .Deconvolution.: ninc has no such layer"):
        ninc.load_caffe(tmp_path / "other")


@pytest.mark.skipif(not PICTURES.exists(), reason="no CIFAR-10 (JPEG) in NINC_TEST_DATA")
def test_accuracy_on_pictures_as_the_paper_prepares_them(tmp_path):
    """80.54 % of CIFAR-10 (JPEG), whitened by its training pictures; takes some minutes."""
    pytest.importorskip("PIL")
    with tarfile.open(PICTURES) as archive:
        archive.extractall(tmp_path, filter="data")
    train = ninc.data.load(tmp_path, "train")
    preprocessing = ninc.preprocess.Preprocessing.fit(train.images, "gcn_zca")
    test = ninc.data.load(tmp_path, "test")
    x = preprocessing.apply(test.images)
    for prototxt in (None, PROTOTXT):
        network = ninc.load_caffe(MODEL, prototxt)
        scores = np.concatenate([network(x[at : at + 250]) for at in range(0, len(x), 250)])
        accuracy = (scores.argmax(axis=1) == test.labels).mean()
        assert abs(accuracy - 0.8054) <= 0.0005
    few = x[:: len(x) // 36][:36]
    expected = caffe_reference.run(network_of_the_paper(), few)[:, :, 0, 0]
    assert np.abs(network(few) - expected).max() <= 1e-4 * np.abs(expected).max()
