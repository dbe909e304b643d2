"""What a net of Caffe says of its pictures, and the order of their colours."""

import warnings

import numpy as np
import pytest

import ninc
from ninc.errors import ModelError
from support.formats.caffe_files import Word, layer, random, small_net, stored, written


def load(tmp_path, layers, text=None, inputs=(), **options):
    """(network, remarks) of a caffemodel with these layers."""
    (tmp_path / "net.caffemodel").write_bytes(stored(layers, inputs=inputs))
    if text is not None:
        (tmp_path / "net.prototxt").write_text(text)
        options["prototxt"] = tmp_path / "net.prototxt"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        network = ninc.load_caffe(tmp_path / "net.caffemodel", **options)
    assert all(issubclass(one.category, ninc.Remark) for one in told)
    assert all(one.filename == __file__ for one in told)  # the caller's line
    return network, [str(one.message) for one in told]


def data(**told):
    return layer("data", "Data", "", "data label", more=dict(transform_param=told))


GREY = small_net(channels=1)


def test_grey_pictures_are_known(tmp_path):
    scale = 1 / 256
    network, remarks = load(tmp_path, [data(scale=scale, crop_size=24, mirror=True), *GREY])
    assert remarks == []
    assert network.preprocessing == {
        "size": [24, 24], "resize": "bilinear", "fit": "crop", "ground": [255, 255, 255],
        "channels": 1, "scale": 1.0, "mean": [0.0], "std": [256.0],
    }  # fmt: skip
    pictures = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 1), dtype=np.uint8)
    x = pictures.transpose(0, 3, 1, 2) * np.float32(scale)
    scores = network(x)
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(network.predict(pictures), expected, rtol=1e-5)


def test_a_mean_is_subtracted_before_the_scale(tmp_path):
    network, remarks = load(tmp_path, [data(scale=0.5, mean_value=[100.0]), *GREY])
    assert remarks == []
    stored_there = network.preprocessing
    assert (stored_there["mean"], stored_there["std"]) == ([100.0], [2.0])  # (x - 100) * 0.5
    assert stored_there["size"] is None


@pytest.mark.parametrize(
    "source",
    [
        layer("data", "Input", "", "data", shape=dict(dim=[10, 1, 28, 30])),
        layer("data", "DummyData", "", "data", shape=dict(dim=[10, 1, 28, 30])),
        layer("data", "DummyData", "", "data", num=10, channels=1, height=28, width=30),
        layer("data", "MemoryData", "", "data label", channels=1, height=28, width=30),
    ],
    ids=["Input", "DummyData", "old DummyData", "MemoryData"],
)
def test_the_size_is_that_of_the_input(source, tmp_path):
    """The description for deployment has the size, and the weights' file the scale."""
    stored_there = [data(scale=0.25), *GREY]
    network, remarks = load(tmp_path, stored_there, written([source, *GREY]))
    assert remarks == [] and network.preprocessing["size"] == [28, 30]
    assert network.preprocessing["std"] == [4.0]
    old = written(GREY, inputs=[("data", (10, 1, 28, 30))])
    assert load(tmp_path, stored_there, old)[0].preprocessing == network.preprocessing
    itself, _ = load(tmp_path, GREY, inputs=[("data", (10, 1, 28, 30))])
    assert itself.preprocessing is None


def test_the_phase_for_testing_counts(tmp_path):
    def of(phase, scale):
        more = dict(include=dict(phase=Word(phase)), transform_param=dict(scale=scale))
        return layer("data", "Data", "", "data label", more=more)

    text = written([of("TRAIN", 0.5), of("TEST", 0.25), *GREY])
    assert load(tmp_path, GREY, text)[0].preprocessing["std"] == [4.0]
    text = written([of("TRAIN", 0.5), *GREY])  # better than nothing
    assert load(tmp_path, GREY, text)[0].preprocessing["std"] == [2.0]


def test_settings_of_old_files(tmp_path):
    source = layer("data", "Data", "", "data label", scale=0.5, crop_size=20)
    network, _ = load(tmp_path, [source, *GREY])
    assert network.preprocessing["std"] == [2.0] and network.preprocessing["size"] == [20, 20]


# ---- Colours -------------------------------------------------------------------------------------


COLOURED = [data(mean_value=[104.0, 117.0, 123.0], scale=0.5, crop_size=9), *small_net()]


def test_the_order_of_colours_stays_unless_asked_for(tmp_path):
    network, [remark] = load(tmp_path, COLOURED)
    assert network.preprocessing is None
    assert remark.partition("net.caffemodel: ")[2] == (
        "its pictures have the channels blue, green, red, from which 104, 117, 123 is subtracted, "
        "times 0.5; load_caffe(..., rgb=True) turns the first layer for red, green, blue, and sets "
        "preprocessing"
    )
    turned, remarks = load(tmp_path, COLOURED, rgb=True)
    assert remarks == []
    assert turned.preprocessing["mean"] == [123.0, 117.0, 104.0]
    assert turned.preprocessing["std"] == [2.0] * 3 and turned.preprocessing["size"] == [9, 9]
    x = random(2, 3, 9, 9)
    np.testing.assert_allclose(turned(x[:, ::-1]), network(x), rtol=1e-4, atol=1e-5)
    red = np.zeros((1, 9, 9, 3), np.uint8)
    red[..., 0] = 255
    blue_green_red = (red[..., ::-1] - np.float32([104, 117, 123])) * np.float32(0.5)
    scores = network(np.ascontiguousarray(blue_green_red.transpose(0, 3, 1, 2)))
    expected = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    np.testing.assert_allclose(turned.predict(red), expected, rtol=1e-4, atol=1e-6)


def test_one_mean_is_for_all_colours(tmp_path):
    net = [data(mean_value=[128.0]), *small_net()]
    assert load(tmp_path, net, rgb=True)[0].preprocessing["mean"] == [128.0] * 3


NAN = float("nan")
UNKNOWN = {
    "nothing": (small_net(), "it does not say how its pictures are prepared"),
    "a crop alone": ([data(crop_size=9), *small_net()], "it does not say how its pictures are"),
    "a file": ([data(mean_file="m.binaryproto"), *small_net()], "in a file of its own, 'm.bin"),
    "two means": ([data(mean_value=[1.0, 2.0]), *GREY], "1 channels need as many means and dev"),
    "a scale of 0": ([data(scale=0.0), *GREY], "mean, std and scale must be finite"),
    "a scale of NaN": ([data(scale=NAN), *GREY], "mean, std and scale must be finite"),
    "a scale below 0": ([data(scale=-1.0), *GREY], "std and scale must be positive"),
    "a huge scale": ([data(scale=3e38, mean_value=[3e38]), *GREY], "numbers that float32 cannot"),
    "a mean of NaN": ([data(mean_value=[NAN]), *GREY], "mean, std and scale must be finite"),
    "five channels": ([data(scale=0.5), *small_net(channels=5)], "must be 1 or 3, got 5"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_told(name, tmp_path):
    net, words = UNKNOWN[name]
    network, remarks = load(tmp_path, net)
    assert network.preprocessing is None and len(remarks) == 1
    assert words in remarks[0] and "; set network.preprocessing before `predict`" in remarks[0]


def test_colours_that_cannot_be_turned(tmp_path):
    grouped = [
        layer("c", "Convolution", blobs=[random(3, 1, 1, 1), random(3)], num_output=3,
              kernel_size=1, group=3)
    ]  # fmt: skip
    pooled = [layer("p", "Pooling", kernel_size=2)]
    for net in (GREY, grouped, pooled):
        with pytest.raises(ModelError, match="rgb turns the first layer, which must be a conv"):
            load(tmp_path, net, rgb=True)
