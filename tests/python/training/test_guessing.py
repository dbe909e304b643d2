"""Runs that have learned nothing say so, and those that are learning do not."""

import math
import re

import numpy as np
import pytest

import ninc
from ninc.data import Dataset
from ninc.inference.evaluation import Evaluation
from ninc.training.guessing import Guess, nothing_learned
from support.small_training import bars, remarks, small_network

THREE_TO_ONE = np.array([0] * 75 + [1] * 25)


def test_what_a_guess_gives():
    guess = Guess.of(THREE_TO_ONE, 2)
    assert guess.loss == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert (guess.accuracy, guess.count) == (0.75, 100)
    balanced = Guess.of(np.arange(40) % 8, 10)  # two classes never come
    assert balanced.loss == pytest.approx(math.log(8)) and balanced.accuracy == 0.125
    smooth = Guess.of(THREE_TO_ONE, 2, smoothing=0.2)  # targets of 0.7 and 0.3
    assert smooth.loss == pytest.approx(-0.7 * math.log(0.7) - 0.3 * math.log(0.3))


@pytest.mark.parametrize(
    "loss, accuracy, as_good",
    [
        (0.5623, 0.75, True),
        (0.56, 0.75, True),  # within a hundredth
        (0.53, 0.75, False),  # learning, though it names one class still
        (0.57, 0.80, True),  # within two deviations of 0.043
        (9.0, 0.88, False),  # sure of itself where it is wrong, but right more often
        (9.0, 0.3, True),
        (float("nan"), 0.3, True),
    ],
)
def test_when_a_guess_is_as_good(loss, accuracy, as_good):
    assert Guess.of(THREE_TO_ONE, 2).is_as_good(loss, accuracy) == as_good
    assert not Guess.of(np.zeros(9, int), 2).is_as_good(loss, accuracy)


def row(**changed):
    values = dict(epoch=3, lr=0.1, loss=0.69, accuracy=0.5, val_loss=0.6931, val_accuracy=0.5)
    return {**values, **changed}


@pytest.mark.parametrize(
    "changed, steps, advice",
    [
        ({}, 1, "after 1 step; try more epochs"),
        ({}, 60, "after 60 steps; try more epochs"),
        ({}, 1000, r"try another rate \(it was 0.1 in the end\)"),
        ({}, None, "try another rate"),
        ({"val_loss": 0.8, "loss": 0.6, "accuracy": 0.7}, 60, "after 60 steps; try more epochs"),
        ({"lr": 0.0}, 1000, "the learning rate was 0 in the end"),
        ({"val_loss": 3.0, "loss": 2.0}, 1000, "try a rate below 0.1, clip_norm or a warm-up"),
        (
            {"val_loss": 3.0, "loss": 0.1, "accuracy": 0.98},
            9,
            r"were learned \(98.0%\).*same order",
        ),
    ],
)
def test_the_advice_goes_by_what_there_is(changed, steps, advice):
    guess = Guess.of(np.arange(1000) % 2, 2)
    words = nothing_learned(row(**changed), guess, guess, steps)
    assert re.search(
        f"no better than luck \\(a guess has 0.6931 and 50.0%, by chance up to 53.2%\\).*{advice}",
        words,
    )
    assert nothing_learned(row(**changed, val_accuracy=0.9), guess, guess, steps) is None


def test_without_held_out_data_the_training_loss_speaks_from_the_second_epoch_on():
    guess = Guess.of(np.arange(1000) % 2, 2)
    poor = row(loss=0.75)
    assert "training loss 0.75 and accuracy 50.0%" in nothing_learned(poor, guess, None, 200)
    assert nothing_learned({**poor, "epoch": 1}, guess, None, 200) is None
    assert nothing_learned(poor, None, None, 200) is None  # a stream: its labels nobody knows


def fit(data, held_out=None, epochs=8, lr=0.05, **options):
    """The remarks of a run."""
    trainer = ninc.Trainer(small_network(), ninc.SGD(lr, momentum=0.9))
    with remarks() as told:
        trainer.fit(data, held_out, epochs=epochs, batch_size=16, progress=False, **options)
    return told


def mislabelled(data):
    """Every second picture of each of two classes has the other's label: nothing can be learned.

    Labels shuffled at random agree with the true ones a little more or less often by chance, which
    some first weights pick up.
    """
    labels = data.labels.copy()
    for label in (0, 1):
        labels[np.flatnonzero(data.labels == label)[::2]] = 1 - label
    return Dataset(data.images, labels, data.classes)


def test_labels_that_belong_to_other_pictures_are_noticed():
    (words,) = fit(mislabelled(bars(640)), bars(200, seed=1), epochs=2)
    assert "learned nothing that holds: held-out loss" in words
    assert fit(bars(160), bars(200, seed=1)) == []


def test_a_first_epoch_that_learns_is_left_in_peace():
    assert fit(bars(480), bars(200, seed=1), epochs=1) == []


@pytest.mark.parametrize("patience", [2, None])
def test_the_epoch_whose_weights_count_is_looked_at(monkeypatch, patience):
    """With patience that is the best one, however the later ones went."""
    found = iter([(0.4, 150), (0.7, 100), (0.71, 101)])  # loss, and how many of 200 are right

    def evaluated(trainer, data, **_):
        loss, right = next(found)
        return Evaluation(loss, np.array([[right, 200 - right], [0, 0]]), ["a", "b"])

    monkeypatch.setattr(ninc.Trainer, "evaluate", evaluated)
    words = fit(bars(160), bars(200, seed=1), epochs=3, patience=patience)
    assert len(words) == (0 if patience else 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_held_out_pictures_that_are_not_finite_are_blamed_and_not_the_run(bad):
    rng = np.random.default_rng(4)
    x, labels = rng.standard_normal((60, 1, 8, 8)).astype(np.float32), np.arange(60) % 2
    x[:, 0, 0] += 3 * labels[:, None]
    held_out = x[40:].copy()
    held_out[5, 0, 2, 2] = bad
    with remarks() as words:
        ninc.Trainer(small_network()).fit(
            (x[:40], labels[:40]), (held_out, labels[40:]), epochs=3, batch_size=8, progress=False
        )
    assert len(words) == 1 and "held-out loss became nan: these pictures, or what" in words[0]
