"""Epochs see every picture, and each epoch of a trainer draws batches of its own."""

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.data import Dataset
from ninc.data.batches import batch_bounds, training_batches
from ninc.errors import ArgumentError, Remark, ShapeError
from ninc.training.record import checkpoint
from ninc.training.stepper import Stepper
from support.small_training import (
    assert_same_checkpoints,
    bars,
    everything,
    interrupted_after,
    small_network,
)
from support.weights import assert_same_weights, copies


@pytest.mark.parametrize("images", [1, 2, 5, 16, 17, 63, 96])
@pytest.mark.parametrize("batch_size", [1, 2, 7, 16, 200])
def test_bounds_are_those_of_array_split(images, batch_size):
    count = -(-images // batch_size)
    parts = np.array_split(np.arange(images), count)
    bounds = batch_bounds(images, batch_size)
    assert bounds == [0, *np.cumsum([len(part) for part in parts])]
    sizes = np.diff(bounds)
    assert sizes.max() <= batch_size and sizes.max() - sizes.min() <= 1
    assert list(sizes) == sorted(sizes, reverse=True)  # the plan changes once an epoch


class Seen:
    """An augmentation that notes the sizes of batches and the first pixel of each picture."""

    def __init__(self):
        self.sizes, self.pictures = [], []

    def __call__(self, batch, rng):
        self.sizes.append(len(batch))
        self.pictures += batch[:, 0, 0, 0].tolist()
        return batch


def numbered(count):
    """float32 pictures of which each is told by its first pixel, and labels 0 and 1."""
    x = np.random.default_rng(1).random((count, 1, 8, 8), np.float32)
    x[:, 0, 0, 0] = np.arange(count)
    return x, np.arange(count) % 2


def trained(trainer, count=35, epochs=2, **options):
    """What the trainer saw in a fit of batches of at most 8."""
    trainer.augment = seen = Seen()
    settings = dict(epochs=epochs, batch_size=8, progress=False)
    trainer.fit(numbered(count), **{**settings, **options})
    return seen


def test_an_epoch_sees_every_picture_once():
    seen = trained(ninc.Trainer(small_network(), ninc.SGD(1e-4)))
    assert seen.sizes == [7, 7, 7, 7, 7] * 2
    for epoch in (seen.pictures[:35], seen.pictures[35:]):
        assert sorted(epoch) == list(range(35))
    assert seen.pictures[:35] != seen.pictures[35:]
    assert trained(ninc.Trainer(small_network(), ninc.SGD(1e-4)), 37).sizes == [8, 8, 7, 7, 7] * 2


def test_the_history_counts_every_picture(monkeypatch):
    """Means over pictures, not over batches of unequal sizes."""
    told = []
    update = Stepper.update

    def watched(stepper, x, *args):
        result = update(stepper, x, *args)
        told.append((len(x), *result[:2]))
        return result

    monkeypatch.setattr(Stepper, "update", watched)
    trainer = ninc.Trainer(small_network(), ninc.SGD(0.01))
    history = trainer.fit(numbered(19), epochs=1, batch_size=4, progress=False)
    assert [size for size, _, _ in told] == [4, 4, 4, 4, 3] and trainer.stepper.steps == 5
    loss = sum(size * loss for size, loss, _ in told) / 19
    assert history["loss"] == [pytest.approx(loss, rel=1e-12)]
    assert history["accuracy"] == [sum(right for _, _, right in told) / 19]


def test_batches_that_fill_up_are_those_there_always_were():
    order = np.random.default_rng([4, 1, 0]).permutation(24)
    batches = training_batches(Dataset(*numbered(24)), None, 8, None, 4, 1)
    assert [x[:, 0, 0, 0].astype(int).tolist() for x, _ in batches] == order.reshape(3, 8).tolist()


# ---- One fit after another -----------------------------------------------------------------------


def test_a_second_fit_draws_other_batches():
    trainer = ninc.Trainer(small_network(), ninc.SGD(1e-4), seed=6)
    first, second = trained(trainer), trained(trainer)
    assert sorted(first.pictures) == sorted(second.pictures)
    epochs = [seen.pictures[i : i + 35] for seen in (first, second) for i in (0, 35)]
    assert len({tuple(epoch) for epoch in epochs}) == 4
    # Two fits of two epochs draw what one of four does.
    other = trained(ninc.Trainer(small_network(), ninc.SGD(1e-4), seed=6), epochs=4)
    assert other.pictures == first.pictures + second.pictures


def test_a_fit_that_was_interrupted_counts_as_begun(monkeypatch):
    trainer = ninc.Trainer(small_network(), ninc.SGD(1e-4), seed=6)
    with interrupted_after(monkeypatch, 7):  # within its second epoch
        trained(trainer)
    other = trained(ninc.Trainer(small_network(), ninc.SGD(1e-4), seed=6), epochs=3)
    assert trained(trainer, epochs=1).pictures == other.pictures[70:]


@pytest.mark.parametrize("stop", [3, 6, 12])
def test_a_second_fit_is_resumed_to_the_same_bytes(tmp_path, monkeypatch, stop):
    """In batches of 14 and 13 pictures, by a new trainer."""

    def begun():
        trainer = everything(small_network(), seed=2)
        trainer.fit(bars(40), bars(8, seed=1), epochs=2, batch_size=16, progress=False)
        return trainer

    def second(trainer, folder, **options):
        settings = dict(epochs=2, batch_size=16, progress=False, checkpoint_dir=folder, **options)
        trainer.fit(bars(95), bars(32, seed=1), **settings)

    second(begun(), tmp_path / "whole")
    trainer = begun()
    with interrupted_after(monkeypatch, stop):
        second(trainer, tmp_path / "cut")
    again = everything(small_network(), seed=2)
    second(again, tmp_path / "cut", resume=True)
    assert_same_checkpoints(tmp_path / "cut", tmp_path / "whole")
    assert checkpoint.load(tmp_path / "cut" / "last.safetensors").state.before == 2
    assert again.stepper.epochs == 4 and again.stepper.steps == 6 + 12


def test_a_trainer_is_at_one_fit_at_a_time():
    trainer = ninc.Trainer(small_network(), ninc.SGD(1e-3))

    def nested(epoch, epochs):
        trainer.fit(numbered(8), epochs=1, progress=False)
        return 1.0

    trainer.schedule = nested
    with pytest.raises(ArgumentError, match="fit: this trainer is at a fit already"):
        trained(trainer)
    trainer.schedule = lambda epoch, epochs: 1.0
    trained(trainer, epochs=1)  # and is free again


# ---- Sizes that do not suit the data -------------------------------------------------------------


def test_a_batch_size_above_the_data_is_told():
    trainer = ninc.Trainer(small_network(), ninc.SGD(1e-4))
    words = "batch size 64 is larger than the 33 training pictures.* a batch size of 8 makes 5"
    with pytest.warns(Remark, match=words):
        assert trained(trainer, 33, epochs=1, batch_size=64).sizes == [33]


def of_one_value_a_channel():
    return nn.Sequential(
        nn.Conv2d(1, 4, 8), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.GlobalAvgPool2d()
    )


@pytest.mark.parametrize("count, batch_size", [(5, 2), (4, 1)])
def test_batch_norm_over_one_value_is_refused_before_the_first_step(count, batch_size):
    trainer = ninc.Trainer(of_one_value_a_channel(), ninc.SGD(0.01))
    before = copies(trainer.network)
    words = f"of {count} pictures and a batch size of {batch_size} come batches of one picture"
    with pytest.raises(ShapeError, match=f"{words}.*take a larger batch size"):
        trained(trainer, count, batch_size=batch_size)
    assert_same_weights(trainer.network, before)
    assert trained(trainer, 5, batch_size=3).sizes == [3, 2] * 2
    # Where a map has more values, one picture is a batch.
    assert (
        trained(ninc.Trainer(small_network(), ninc.SGD(1e-4)), 3, 1, batch_size=1).sizes == [1] * 3
    )
