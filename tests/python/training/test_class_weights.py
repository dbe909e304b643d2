"""How much each class counts in the loss: by numbers, by names, by how often it is there."""

import numpy as np
import pytest

import ninc
from ninc.data import BatchStream, Dataset
from ninc.errors import ArgumentError
from ninc.training.class_weights import weights_of_classes
from ninc.training.guessing import Guess
from support.small_training import as_floats, bars, fit_in, small_network
from support.weights import assert_same_weights, copies

NAMES = ["lying", "upright"]


def few_upright(upright=8, lying=40):
    data = bars(200, seed=5)
    chosen = [
        np.flatnonzero(data.labels == label)[:count] for label, count in ((0, lying), (1, upright))
    ]
    return data.subset(np.concatenate(chosen))


@pytest.mark.parametrize(
    "given, weights",
    [
        (None, []),
        ([0.5, 2], [0.5, 2.0]),
        (np.array([0.5, 2], np.float32), [0.5, 2.0]),
        ({"upright": 3}, [1.0, 3.0]),
        ({"upright": 3, "lying": 0.25}, [0.25, 3.0]),
        ({}, [1.0, 1.0]),
        ("balanced", [48 / (2 * 40), 48 / (2 * 8)]),
    ],
)
def test_weights_go_by_the_networks_classes(given, weights):
    assert weights_of_classes(given, few_upright(), NAMES, 2) == weights


def test_balanced_classes_count_the_same_together():
    labels = np.array([0] * 5 + [2] * 3 + [3])
    data = Dataset(np.zeros((9, 4, 4, 1), np.uint8), labels, list("abcd"))
    weights = weights_of_classes("balanced", data, None, 4)
    counts = np.bincount(labels, minlength=4)
    np.testing.assert_allclose((counts * weights)[counts > 0], 3.0)
    assert weights[1] == 1.0  # which has no pictures
    assert counts @ weights == pytest.approx(9.0)


@pytest.mark.parametrize(
    "given, words",
    [
        ("even", "class_weights must be \"balanced\", a number for each class.*got 'even'"),
        (3, "class_weights must be .*, got 3"),
        ([1.0], "a number for each of the network's 2 classes, got 1"),
        ([1.0, 0.0], r"class_weights\[1\] must be a number above 0, got 0.0"),
        ([1.0, float("inf")], r"class_weights\[1\] must be a number above 0"),
        ({"upright": -1}, r"class_weights\['upright'\] must be a number above 0, got -1"),
        ({"uprigth": 2}, "no class 'uprigth'; the classes are 'lying', 'upright'; did you mean"),
        ({1: 2}, "there is no class 1; the classes are"),
        ({"lying": "2"}, r"class_weights\['lying'\] must be a number, got '2'"),
    ],
)
def test_what_fits_no_class_is_refused(given, words):
    network = small_network()
    before = copies(network)
    with pytest.raises(ArgumentError, match=words):
        ninc.Trainer(network).fit(bars(), epochs=1, progress=False, class_weights=given)
    assert_same_weights(network, before)


def test_a_stream_tells_no_counts():
    x, labels = as_floats(bars(32))
    stream = BatchStream([(x, labels)])
    trainer = ninc.Trainer(small_network())
    with pytest.raises(ArgumentError, match='"balanced" counts .* a stream does not tell'):
        trainer.fit(stream, epochs=1, progress=False, class_weights="balanced")
    with pytest.raises(ArgumentError, match="names, which neither the network nor the data tell"):
        trainer.fit(stream, epochs=1, progress=False, class_weights={"upright": 2})
    trainer.fit(stream, epochs=1, progress=False, class_weights=[1, 2])


def weighted_loss(network, x, labels, weights, smoothing):
    """torch's weighted mean, by numpy, of a network without dropout."""
    logits = network(x).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = (1 - smoothing) * np.eye(len(weights))[labels] + smoothing / len(weights)
    return -(targets * weights * logs).sum() / np.take(weights, labels).sum()


def plain_network():
    nn = ninc.nn
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.GlobalAvgPool2d())


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_weighted_mean(smoothing):
    """Of one batch, which is an epoch, before its update; and none afterwards."""
    x, labels = as_floats(few_upright())
    network, weights = plain_network(), np.array([0.5, 4.0])
    expected = weighted_loss(network, x, labels, weights, smoothing)
    trainer = ninc.Trainer(network, ninc.SGD(0.0), label_smoothing=smoothing)
    options = dict(epochs=1, batch_size=len(x), progress=False)
    with pytest.warns(ninc.Remark):  # of the rate
        history = trainer.fit((x, labels), class_weights=weights, **options)
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)
    unweighted = weighted_loss(network, x, labels, np.ones(2), smoothing)
    assert trainer.step(x, labels) == pytest.approx(unweighted, rel=1e-5)
    assert abs(expected - unweighted) > 1e-3


def test_labels_are_counted_as_the_network_counts_them():
    """Names go to the network's classes, whatever the order of the data's."""
    x, labels = as_floats(few_upright())
    network = plain_network()
    network.classes = ["upright", "lying"]
    data = Dataset(x, labels, NAMES)
    expected = weighted_loss(network, x, 1 - labels, np.array([4.0, 0.5]), 0.0)
    trainer = ninc.Trainer(network, ninc.SGD(1e-30))
    options = dict(epochs=1, batch_size=len(x), progress=False)
    history = trainer.fit(data, class_weights={"upright": 4, "lying": 0.5}, **options)
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_a_rare_class_is_learned_with_weights_alone():
    """Half of the pictures tell nothing, so that guessing the more frequent class pays."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((240, 1, 4, 4), np.float32)
    labels = (rng.random(240) < 0.1).astype(np.int64)
    x[:, 0, 0, 0] += 1.0 * labels
    found = {}
    for weights in (None, "balanced"):
        network = ninc.nn.Sequential(ninc.nn.Conv2d(1, 2, 4), ninc.nn.GlobalAvgPool2d(), seed=0)
        trainer = ninc.Trainer(network, ninc.SGD(0.1, momentum=0.9))
        trainer.fit((x, labels), epochs=10, batch_size=24, progress=False, class_weights=weights)
        found[weights] = (network(x).argmax(axis=1)[labels == 1] == 1).mean()
    assert found[None] < 0.4 and found["balanced"] > 0.6


def test_a_guess_knows_the_weights():
    """The least that one answer for all pictures can cost, found by trying many."""
    labels, weights, smoothing = np.array([0] * 6 + [1] * 2 + [2]), np.array([0.5, 3.0, 2.0]), 0.1
    guess = Guess.of(labels, 3, smoothing, weights)
    targets = (1 - smoothing) * np.eye(3)[labels] + smoothing / 3
    steps = np.linspace(0.005, 0.99, 198)
    tried = np.array([(a, b, 1 - a - b) for a in steps for b in steps if a + b < 0.999])
    losses = -(targets * weights).sum(axis=0) @ np.log(tried).T / weights[labels].sum()
    assert guess.loss == pytest.approx(losses.min(), abs=1e-3) and guess.loss <= losses.min()
    assert Guess.of(labels, 3, smoothing, np.ones(3)).loss == pytest.approx(
        Guess.of(labels, 3, smoothing).loss
    )


def test_other_weights_are_another_run(tmp_path):
    fit_in(tmp_path, epochs=1, class_weights="balanced")
    with pytest.raises(ArgumentError, match=r"begun with class weights .*, now it is none"):
        fit_in(tmp_path, epochs=2, resume=True)
    with pytest.raises(ArgumentError, match=r"begun with class weights .*, now it is 1.0, 2.0"):
        fit_in(tmp_path, epochs=2, resume=True, class_weights=[1, 2])
