"""Data and settings that `fit` refuses or remarks on before its first step."""

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.data import BatchStream, Dataset
from ninc.errors import ArgumentError
from support.small_training import bars, remarks, small_network


def fit(train, validation=None, network=None, **options):
    """The remarks before the run's result is looked at."""
    trainer = ninc.Trainer(network or small_network(), ninc.SGD(0.01))
    settings = dict(epochs=1, batch_size=8, progress=False)
    with remarks() as told:
        trainer.fit(train, validation, **{**settings, **options})
    return [text for text in told if "learned nothing" not in text]


# ---- Classes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 30])
def test_one_class_is_no_classifier(count):
    data = Dataset(bars(count).images, np.ones(count, int), ["plum", "fig"])
    words = rf"all training pictures \({count}\) are of one class, 'fig': a classifier needs at lea"
    with pytest.raises(ArgumentError, match=words):
        fit(data)
    with pytest.raises(ArgumentError, match="one class, '0'"):
        fit((np.zeros((6, 1, 8, 8), np.float32), np.zeros(6, int)))


@pytest.mark.parametrize("stream", [False, True])
def test_one_output_is_none_either(stream):
    network = nn.Sequential(nn.Conv2d(1, 1, 3), nn.GlobalAvgPool2d())
    x, y = np.zeros((8, 1, 8, 8), np.float32), np.zeros(8, int)
    with pytest.raises(ArgumentError, match="one (output|class)"):
        fit(BatchStream([(x, y)]) if stream else (x, y), network=network)
    with pytest.raises(ArgumentError, match="the network has one output, whose probability is"):
        fit(BatchStream([(x, y)]), network=network)


def test_a_share_of_classes_with_one_picture():
    data = bars(20)
    labels = np.array([0, 1] * 9 + [2, 3])
    five = Dataset(data.images, labels, ["ash", "elm", "fir", "oak", "yew"])
    network = small_network(classes=5)
    (words,) = fit(five, 0.25, network=network)
    assert "of 2 of 4 classes ('fir', 'oak') there is one picture, which is trained on" in words
    alone = Dataset(data.images[:4], np.arange(4), ["ash", "elm", "fir", "oak"])
    with pytest.raises(ArgumentError, match="validation=0.25 holds nothing out, as each class has"):
        fit(alone, 0.25)
    assert fit(data, 0.25) == []


def test_classes_that_validation_lacks_are_told_by_name():
    data = bars(24)
    train = Dataset(data.images, np.arange(24) % 3, ["ash", "elm", "fir"])
    other_order = Dataset(data.images[:4].copy(), np.array([0, 1, 0, 1]), ["fir", "ash"])
    (words,) = fit(train, other_order, network=small_network(classes=3))
    assert "no picture of 1 of 3 classes ('elm')" in words


def test_classes_that_validation_lacks_are_told():
    data = bars(24)
    names = [f"c{i}" for i in range(8)]
    train = Dataset(data.images, np.arange(24) % 8, names)
    held_out = Dataset(data.images[:6], np.array([0, 3, 0, 3, 0, 3]), names)
    (words,) = fit(train, held_out, network=small_network(classes=8))
    assert "no picture of 6 of 8 classes ('c1', 'c2', 'c4', 'c5', 'c6', 'c7')" in words
    both = Dataset(data.images.copy(), train.labels, names)
    assert fit(train, both, network=small_network(classes=8)) == []


def test_validation_by_the_training_data_is_told():
    data = bars(24)
    (words,) = fit(data, data)
    assert "the validation data are the training data" in words
    x = np.random.default_rng(5).random((12, 1, 8, 8), np.float32)
    (words,) = fit((x, np.arange(12) % 2), (x, np.arange(12) % 2))
    assert "the validation data are the training data" in words


# ---- Pictures ------------------------------------------------------------------------------------


def of_values(values, count=16, channels=1):
    images = np.zeros((count, 8, 8, channels), np.uint8)
    images[...] = values
    return Dataset(images, np.arange(count) % 2)


@pytest.mark.parametrize("value", [0, 77, 255])
def test_equal_pictures_are_told_once(value):
    """However they are prepared, and where a network has its preprocessing already."""
    kept = small_network()
    kept.preprocessing = ninc.preprocess.Preprocessing((8, 8), 1, (0.5,), (0.25,))
    x = np.full((16, 1, 8, 8), value, np.float32)
    for data, options in (
        (of_values(value), {}),
        (of_values(value), {"preprocessing": "gcn_zca"}),
        (of_values(value), {"network": kept}),
        ((x, np.arange(16) % 2), {}),
    ):
        (words,) = fit(data, **options)
        assert "all 16 training pictures are equal, pixel by pixel" in words
    one_differs = np.zeros((2000, 1, 8, 8), np.float32)
    one_differs[1999, 0, 7, 7] = value + 1
    assert fit((one_differs, np.arange(2000) % 2), batch_size=500) == []
    one_differs = of_values(value, 40)
    one_differs.images[39] = np.arange(64, dtype=np.uint8).reshape(8, 8, 1) * 3
    (words,) = fit(one_differs)
    assert words.startswith("39 of 40 training pictures have one value all over")


@pytest.mark.parametrize("level, kind", [(0, "black"), (254, "white"), (90, "of one value")])
def test_pictures_that_show_next_to_nothing_are_told(level, kind):
    """Such as values of 0..1 that were made uint8 as they were."""
    noise = np.random.default_rng(3).random((16, 8, 8, 1)) > 0.5
    (words,) = fit(of_values(level + noise.astype(np.uint8)))
    assert f"the training pictures are all but {kind}: their pixels have mean" in words
    assert "deviation 0.5, out of 0..255" in words
    dim = np.random.default_rng(3).integers(0, 17, (16, 8, 8, 1))  # 12 bits read as 16
    assert fit(of_values(dim)) == []


def test_a_flat_channel_is_told_once():
    values = np.random.default_rng(2).integers(0, 256, (16, 8, 8, 3))
    values[..., 1], values[..., 2] = 40, 255
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.GlobalAvgPool2d())
    (words,) = fit(of_values(values, channels=3), network=network)
    assert "green is 40 in all pixels, blue is 255 in all pixels" in words
    kept = small_network()
    kept.preprocessing = ninc.preprocess.Preprocessing((8, 8), 1, (0.5,), (1e-3,))
    assert fit(bars(16), network=kept) == []  # those numbers are of other pictures


def test_a_patience_that_cannot_end_the_run_is_told():
    (words,) = fit(bars(32), bars(16, seed=1), epochs=3, patience=3)
    assert "patience 3 cannot end a run of 3 epochs early; the run ends with its best" in words
    assert fit(bars(32), bars(16, seed=1), epochs=3, patience=2) == []
