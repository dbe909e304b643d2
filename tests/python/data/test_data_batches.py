"""Batches: streams of anybody's, epochs begun in the middle, and how they are prepared."""

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.augment import Compose, Flip, PadCrop
from ninc.averages import EMA
from ninc.data import BatchStream, Dataset
from ninc.data.batches import ahead, steps_per_epoch, training_batches
from ninc.errors import ArgumentError, DTypeError, FileError, ShapeError
from ninc.preprocess import Preprocessing
from support.small_pictures import random_bytes
from support.weights import assert_same_weights

PREPROCESSING = Preprocessing((9, 7), 3, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))


def pictures(count=40, seed=0):
    return Dataset(random_bytes(count, 9, 7, 3, seed=seed), np.arange(count) % 3, list("abc"))


def in_batches(data, size=8):
    return [
        (data.images[start : start + size], data.labels[start : start + size])
        for start in range(0, len(data), size)
    ]


class Counted:
    """An iterable that counts how often it is begun."""

    def __init__(self, batches):
        self.batches, self.begun = batches, 0

    def __iter__(self):
        self.begun += 1
        return iter(self.batches)


def epoch(data, number=2, first=0):
    augment = Compose(PadCrop(2), Flip())
    batches = training_batches(data, PREPROCESSING, 8, augment, seed=5, epoch=number, first=first)
    return [(x.tobytes(), y.tolist()) for x, y in batches]


@pytest.mark.parametrize("first", [0, 1, 4, 5, 9])
@pytest.mark.parametrize(
    "make", [pictures, lambda: BatchStream(in_batches(pictures()), list("abc"))]
)
def test_an_epoch_begun_in_the_middle_is_the_rest_of_the_whole(make, first):
    whole = epoch(make())
    assert len(whole) == 5
    assert epoch(make(), first=first) == whole[first:]


def test_steps_per_epoch():
    assert steps_per_epoch(pictures(41), 8) == 6
    assert steps_per_epoch(pictures(40), 8) == 5
    assert steps_per_epoch(pictures(7), 8) == 1
    batches = in_batches(pictures(41))
    assert steps_per_epoch(BatchStream(batches), 8) == 6
    assert steps_per_epoch(BatchStream(Counted(batches)), 8) is None
    assert steps_per_epoch(BatchStream(lambda: iter(batches)), 8) is None


def test_a_stream_gives_its_batches_anew_each_epoch():
    batches = in_batches(pictures())
    for source in (batches, tuple(batches), Counted(batches), lambda: iter(batches),
                   lambda: batches):  # fmt: skip
        stream = BatchStream(source, list("abc"))
        assert stream.input_shape == (3, 9, 7) and stream.is_pictures
        for _ in range(3):
            got = list(stream.epoch())
            assert [x.tobytes() for x, _ in got] == [x.tobytes() for x, _ in batches]
            assert [y.tolist() for _, y in got] == [y.tolist() for _, y in batches]
    assert "5 batches" in repr(BatchStream(batches)) and "unknown" in repr(BatchStream(iter([])))


def test_looking_at_a_stream_begins_no_epoch_twice():
    counted = Counted(in_batches(pictures()))
    stream = BatchStream(counted)
    assert counted.begun == 0
    assert stream.input_shape == (3, 9, 7) and stream.first()[1].tolist() == [0, 1, 2] * 2 + [0, 1]
    for number in (1, 2):
        assert len(list(stream.epoch())) == 5
        assert counted.begun == number


def test_a_generator_lasts_for_one_epoch():
    stream = BatchStream(batch for batch in in_batches(pictures()))
    assert stream.steps is None
    assert stream.input_shape == (3, 9, 7)
    assert len(epoch(stream)) == 5
    with pytest.raises(ArgumentError, match="ends after one epoch; give a list"):
        epoch(stream)


def test_floats_are_taken_as_they_are():
    x = np.random.default_rng(0).standard_normal((6, 2, 4, 5)).astype(np.float32)
    stream = BatchStream([(x, np.zeros(6, np.uint8)), (x[:2], [1, 0])])
    assert stream.input_shape == (2, 4, 5) and not stream.is_pictures
    got = list(training_batches(stream, None, 99, None, 0, 0))
    assert [len(x) for x, _ in got] == [6, 2]
    assert got[0][0].tobytes() == x.tobytes() and got[1][1].dtype == np.int64


GOOD = (np.zeros((2, 4, 4, 3), np.uint8), [0, 1])


@pytest.mark.parametrize(
    "batch, error, words",
    [
        (np.zeros((2, 4, 4, 3), np.uint8), ArgumentError, r"must be a pair \(x, y\), got ndarray"),
        ((1, 2, 3), ArgumentError, r"must be a pair \(x, y\), got tuple"),
        ((np.zeros((2, 4, 4, 3)), [0, 1]), DTypeError, "float64; x.astype"),
        ((np.zeros((2, 4, 4, 2), np.uint8), [0, 1]), ShapeError, "C = 1 or 3"),
        ((np.zeros((4, 4, 3), np.uint8), [0]), ShapeError, r"\(4, 4, 3\)"),
        ((np.zeros((0, 4, 4, 3), np.uint8), []), ShapeError, "N at least 1"),
        ((np.zeros((2, 5, 4, 3), np.uint8), [0, 1]), ShapeError, "those of the first batch"),
        ((np.zeros((2, 3, 4, 4), np.float32), [0, 1]), ShapeError, "those of the first batch"),
        ((GOOD[0], [0]), ShapeError, "2 images need as many labels"),
        ((GOOD[0], [0.0, 1.0]), DTypeError, "whole numbers"),
        ((GOOD[0], [0, 2]), ArgumentError, r"label 2 of image 1 .* 0\.\.1"),
        ((GOOD[0], [-1, 0]), ArgumentError, "label -1 of image 0"),
    ],
)
def test_a_bad_batch_is_told_by_number(batch, error, words):
    stream = BatchStream([GOOD, GOOD, batch], ["a", "b"])
    got = training_batches(stream, None, 2, None, 0, 0)
    assert [len(next(got)[0]) for _ in range(2)] == [2, 2]
    with pytest.raises(error, match=f"batch 3.*{words}"):
        next(got)


def test_bad_streams_are_told():
    with pytest.raises(ArgumentError, match="must be an iterable of.*got int"):
        BatchStream(3)
    with pytest.raises(ArgumentError, match="no batches"):
        BatchStream([]).input_shape  # noqa: B018  (it is the looking that fails)
    with pytest.raises(ArgumentError, match="batch 1: label -1.*must be 0 or more"):
        list(BatchStream([(GOOD[0], [0, -1])]).epoch())


def test_a_stream_trains_as_its_data_would():
    data = pictures(48)

    def train(batches_of):
        network = nn.Sequential(
            nn.MlpConv(3, (6, 3), 3, padding=1, logits=True), nn.GlobalAvgPool2d(), seed=1
        )
        trainer = ninc.Trainer(network, ninc.SGD(0.05), seed=2)
        losses = []
        for number in range(3):
            for x, labels in batches_of(number):
                losses.append(float(trainer.step(x, labels)))
        return losses

    batches = [
        [
            (data.images[part], data.labels[part])
            for part in np.array_split(np.random.default_rng(n).permutation(48), 6)
        ]
        for n in range(3)
    ]
    numbers = iter(range(3))
    stream = BatchStream(lambda: iter(batches[next(numbers)]))
    streamed = train(lambda n: training_batches(stream, PREPROCESSING, 8, None, 0, n))
    wanted = train(lambda n: [(PREPROCESSING.apply(x), y) for x, y in batches[n]])
    assert streamed == wanted and len(wanted) == 18


def test_batches_are_fetched_ahead_by_two_and_no_more():
    fetched = []

    def items():
        for item in range(6):
            fetched.append(item)
            yield item

    got = ahead(items())
    for number in range(3):
        assert next(got) == number
        # The thread may still be at it; it never goes further than two beyond what was given out.
        assert len(fetched) <= number + 3
    got.close()
    assert len(fetched) <= 5
    assert list(ahead(items())) == list(range(6))
    assert list(ahead([])) == []


def test_an_error_comes_after_the_batches_before_it():
    def items():
        yield from (0, 1, 2)
        raise FileError("fourth batch")

    got = ahead(items())
    assert [next(got) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(FileError, match="fourth batch"):
        next(got)


hypothesis = pytest.importorskip("hypothesis")
numbers = hypothesis.strategies.integers


@hypothesis.given(
    pad=numbers(1, 9), height=numbers(1, 7), width=numbers(1, 7), seed=numbers(0, 1000)
)
def test_pad_crop_is_a_window_of_the_padded_picture(pad, height, width, seed):
    """Also where the window may lie beside the picture altogether."""
    batch = np.random.default_rng(seed).standard_normal((5, 2, height, width), np.float32)
    got = PadCrop(pad)(batch, np.random.default_rng(seed))
    padded = np.pad(batch, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dy, dx = np.random.default_rng(seed).integers(0, 2 * pad + 1, size=(2, 5))
    for n in range(5):
        window = padded[n, :, dy[n] : dy[n] + height, dx[n] : dx[n] + width]
        np.testing.assert_array_equal(got[n], window)


# ---- Batches that can be had once ----------------------------------------------------------------


def fit(batches, batch_norm=True, **options):
    """A short run over batches of pictures; returns the network."""
    network = nn.Sequential(
        nn.MlpConv(3, (4, 3), 3, batch_norm=batch_norm, logits=True), nn.GlobalAvgPool2d()
    )
    network.preprocessing = PREPROCESSING
    trainer = ninc.Trainer(network, ninc.SGD(0.01), average=options.pop("average", None))
    trainer.fit(BatchStream(batches), progress=False, **options)
    return network


@pytest.mark.parametrize(
    "options, reason",
    [
        (dict(epochs=2), "2 epochs need"),
        (dict(epochs=1, average=EMA(0.9)), r"batch norm's statistics for EMA\(.* need"),
    ],
)
def test_what_needs_them_twice_is_refused_before_the_first(options, reason):
    untouched = iter(in_batches(pictures()))
    with pytest.raises(ArgumentError, match=f"fit: {reason} the batches more than once"):
        fit(untouched, **options)
    assert len(list(untouched)) == 5


def test_what_needs_them_once_runs():
    batches = in_batches(pictures())
    for options in (dict(), dict(average=EMA(0.9), batch_norm=False)):
        expected = fit(batches, epochs=1, **options)
        assert_same_weights(fit(iter(batches), epochs=1, **options), expected)


def test_a_function_gives_them_as_often_as_averages_need():
    batches = in_batches(pictures())
    expected = fit(batches, epochs=2, average=EMA(0.9))
    assert_same_weights(fit(lambda: iter(batches), epochs=2, average=EMA(0.9)), expected)
