"""What `Trainer`, `fit` and their parts take for an argument, exactly, and what they refuse."""

import numpy as np
import pytest

import ninc
from ninc.augment import PadCrop
from ninc.averages import EMA, SWA
from ninc.data import BatchStream
from ninc.errors import ArgumentError
from ninc.schedules import Plateau
from ninc.training.record import checkpoint
from support.small_training import as_floats, bars, small_network
from support.weights import assert_same_weights, copies


def fitted(train=None, **options):
    """The trainer of a short run."""
    trainer = ninc.Trainer(small_network())
    settings = {"epochs": 2, "batch_size": 16, "progress": False, **options}
    trainer.fit(bars(48) if train is None else train, **settings)
    return trainer


def assert_same(got, expected):
    assert_same_weights(got.network, expected.network)


def test_whole_numbers_may_be_written_as_floats():
    expected = fitted()
    for options in (
        dict(batch_size=16.0),
        dict(batch_size=np.float32(16), epochs=np.int8(2)),
        dict(epochs=2.0),
    ):
        assert_same(fitted(**options), expected)


def test_a_share_may_be_any_real_number():
    expected = fitted(validation=0.25)
    for share in (np.float32(0.25), np.float16(0.25), np.float64(0.25)):
        got = fitted(validation=share)
        assert_same(got, expected)
        assert got.history["val_loss"] == expected.history["val_loss"]


def test_steps_between_checkpoints_may_be_numpys(tmp_path, monkeypatch):
    saved = []
    save = checkpoint.save
    monkeypatch.setattr(
        checkpoint, "save", lambda *args: (saved.append(args[3].steps), save(*args))
    )
    fitted(checkpoint_dir=tmp_path, checkpoint_every=np.int64(2))
    assert saved == [2, 3, 5, 6]


@pytest.mark.parametrize("kind", [list, tuple, iter, BatchStream])
def test_batches_are_trained_on_as_a_stream(kind):
    data = bars(48)
    x, _ = as_floats(data)
    batches = [(x[i : i + 16], data.labels[i : i + 16]) for i in range(0, 48, 16)]
    assert_same(fitted(kind(batches), epochs=1), fitted(BatchStream(batches), epochs=1))
    two = batches[:2]  # as many as (x, y) has
    assert_same(fitted(kind(two), epochs=1), fitted(BatchStream(two), epochs=1))
    assert_same(fitted([x, data.labels]), fitted((x, data.labels)))


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(epochs=2.5), "fit: epochs must be an integer, got 2.5"),
        (dict(epochs=0), "fit: epochs must be at least 1, got 0"),
        (dict(epochs=float("nan")), "fit: epochs must be an integer, got nan"),
        (dict(epochs=float("inf")), "fit: epochs must be an integer, got inf"),
        (dict(epochs="3"), "fit: epochs must be an integer, got '3'"),
        (dict(batch_size=16.5), "fit: batch_size must be an integer, got 16.5"),
        (dict(batch_size=-1), "fit: batch_size must be at least 1, got -1"),
        (dict(checkpoint_every=1.5, checkpoint_dir="x"), "checkpoint_every must be an integer"),
        (dict(checkpoint_every=0, checkpoint_dir="x"), "checkpoint_every must be at least 1"),
        (dict(checkpoint_every="9", checkpoint_dir="x"), "checkpoint_every must be a number of"),
        (dict(checkpoint_every=5), "fit: checkpoint_every needs a checkpoint_dir"),
        (dict(resume=True), "fit: resume needs a checkpoint_dir"),
        (dict(validation=0.0), "fit: validation as a share must lie between 0 and 1, got 0.0"),
        (dict(validation=1), "fit: validation as a share must lie between 0 and 1, got 1"),
        (dict(validation="test"), "fit: validation must be a Dataset or a pair .* got str"),
        (dict(validation=[(np.zeros((2, 1, 8, 8)), [0, 1])]), "fit: validation must .* got batch"),
        (dict(validation=0.5, patience=1.5), "fit: patience must be an integer, got 1.5"),
        (dict(validation=0.5, min_delta="a"), "fit: min_delta must be a number, got 'a'"),
        (dict(validation=0.5, monitor="val_loss"), "kept with patience or a checkpoint_dir"),
        (dict(validation=0.5, min_delta=0.1), "kept with patience or a checkpoint_dir"),
        (dict(monitor="val_loss"), "fit: monitor and min_delta need validation data"),
        (dict(preprocessing="pca"), "fit: preprocessing must be 'normalize' or 'gcn_zca'"),
    ],
)
def test_fit_refuses(options, words):
    with pytest.raises(ArgumentError, match=words):
        fitted(**options)


def test_training_data_of_no_known_kind():
    for wrong in (None, 3, "data", {"x": 1}, np.zeros((4, 1, 8, 8), np.float32)):
        with pytest.raises(ArgumentError, match="fit: train must be a Dataset or a pair"):
            ninc.Trainer(small_network()).fit(wrong, progress=False)


def test_whitening_is_for_pictures():
    x = np.zeros((16, 1, 8, 8), np.float32)
    with pytest.raises(ArgumentError, match="'gcn_zca' is for uint8 pictures"):
        fitted((x, np.arange(16) % 2), preprocessing="gcn_zca")


def test_a_step_does_not_pass_over_the_average():
    trainer = ninc.Trainer(small_network(), average=EMA(0.9))
    before = copies(trainer.network)
    with pytest.raises(ArgumentError, match=r"step: EMA\(decay=0.9.* is kept by fit alone"):
        trainer.step(np.zeros((2, 1, 8, 8), np.float32), np.zeros(2, int))
    assert_same_weights(trainer.network, before)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: ninc.Trainer(small_network(), seed=1.5), "Trainer: seed must be an integer"),
        (lambda: ninc.Trainer(small_network(), seed=2**64), "Trainer: seed must be at most"),
        (
            lambda: ninc.Trainer(small_network(), label_smoothing="a"),
            "label_smoothing must be",
        ),
        (lambda: ninc.Trainer(small_network(), label_smoothing=1), "label_smoothing must lie in"),
        (lambda: EMA(norm_batches=2.5), "EMA: norm_batches must be an integer, got 2.5"),
        (lambda: SWA(norm_batches=0), "SWA: norm_batches must be at least 1, got 0"),
        (lambda: Plateau(patience=1.5), "Plateau: patience must be an integer, got 1.5"),
        (lambda: PadCrop(1.5), "PadCrop: pixels must be an integer, got 1.5"),
        (lambda: ninc.data.load(".", limit=1.5), "load: limit must be an integer, got 1.5"),
        (lambda: ninc.data.load(".", cache=-1), "load: cache must be at least 0, got -1"),
        (lambda: ninc.data.load(".", seed=-1), "load: seed must be at least 0, got -1"),
        (
            lambda: ninc.Trainer(small_network()).evaluate(bars(8), batch_size=0),
            "evaluate: batch_size must be at least 1, got 0",
        ),
    ],
)
def test_parts_refuse(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()
