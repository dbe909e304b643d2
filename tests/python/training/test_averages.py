"""Clipped gradients, averaged weights and batch norm's statistics for them, against numpy."""

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.augment import PadCrop
from ninc.averages import EMA, SWA
from ninc.data.batches import training_batches
from ninc.errors import ArgumentError
from ninc.formats.metadata import stored_preprocessing
from ninc.training.stepper import Stepper
from support.small_training import bars, batch, small_network
from support.weights import assert_same_weights


def weights(network):
    return {name: value.astype(np.float64) for name, value in network.parameters().items()}


@pytest.mark.parametrize("share", [0.3, 3.0])
def test_clip_norm_limits_all_gradients_together(share):
    network = small_network()
    x, labels = batch()
    probe = ninc.Trainer(small_network(), ninc.SGD(0.1))
    _, _, gradients = probe.stepper.core.gradients(x, labels, seed=0, step=0)
    norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients.values()))
    before = weights(network)
    trainer = ninc.Trainer(network, ninc.SGD(0.1, weight_decay=0.01, clip_norm=share * norm))
    trainer.step(x, labels)
    scale = min(1.0, share)
    for name, after in weights(network).items():
        step = scale * gradients[name] + 0.01 * before[name]
        # Roundings of float32: the scale, two products and a difference of values below 2.
        np.testing.assert_allclose(after, before[name] - 0.1 * step, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("average", [EMA(0.8), SWA(0.5), SWA(0.0)])
def test_averages_are_those_of_the_weights_after_each_step(average, monkeypatch):
    network = small_network()
    trainer = ninc.Trainer(network, ninc.SGD(0.1, momentum=0.9), average=average)
    expected, count, update = {}, [0], Stepper.update

    def watched(stepper, x, labels, settings):
        result = update(stepper, x, labels, settings)
        step, rate = settings["step"], settings["average_rate"]
        if isinstance(average, EMA):
            wanted = max(0.2, 10 / (10 + count[0]))
        else:
            wanted = 0.0 if step / 12 < average.start else 1 / (1 + count[0])
        assert rate == pytest.approx(wanted)
        if wanted:
            count[0] += 1
            for name, value in weights(network).items():
                old = expected.get(name, 0.0)
                expected[name] = old + wanted * (value - old)
        return result

    monkeypatch.setattr(Stepper, "update", watched)
    trainer.fit(bars(), epochs=2, batch_size=16, progress=False)
    assert count[0] == (6 if average.__repr__().startswith("SWA(start=0.5") else 12)
    for name, value in weights(network).items():
        # One rounding of values below 2 a step.
        np.testing.assert_allclose(value, expected[name], atol=12 * 2**-23, err_msg=name)


def test_statistics_are_the_means_over_training_batches():
    network = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5),
        nn.Conv2d(6, 2, 1), nn.GlobalAvgPool2d(), seed=1,
    )  # fmt: skip
    data, augment = bars(), PadCrop(1)
    trainer = ninc.Trainer(
        network, ninc.SGD(0.05), augment=augment, average=EMA(0.7, norm_batches=3), seed=4
    )
    trainer.fit(data, epochs=2, batch_size=16, progress=False)
    state = network.state_dict()
    conv = next(name for name in state if state[name].ndim == 4).rpartition(".")[0]
    preprocessing = stored_preprocessing(network.core)
    means, variances = [], []
    # The latest epoch's first batches, through the averaged convolution.
    for _, (x, _) in zip(range(3), training_batches(data, preprocessing, 16, augment, 4, 1)):
        y = ninc.functional.conv2d(x, state[f"{conv}.weight"], state[f"{conv}.bias"], padding=1)
        y = y.astype(np.float64)
        means.append(y.mean(axis=(0, 2, 3)))
        variances.append(y.var(axis=(0, 2, 3), ddof=1))
    (mean,) = (value for name, value in state.items() if name.endswith("running_mean"))
    (var,) = (value for name, value in state.items() if name.endswith("running_var"))
    np.testing.assert_allclose(mean, np.mean(means, axis=0), atol=1e-5)
    np.testing.assert_allclose(var, np.mean(variances, axis=0), rtol=1e-5)


def test_what_is_validated_is_what_fit_ends_with():
    trainer = ninc.Trainer(small_network(), ninc.SGD(0.1, momentum=0.9), average=EMA(0.9))
    history = trainer.fit(bars(), bars(seed=1), epochs=3, batch_size=16, progress=False)
    result = trainer.evaluate(bars(seed=1))
    assert (result.loss, result.accuracy) == (history["val_loss"][-1], history["val_accuracy"][-1])


def test_an_average_that_never_began_leaves_the_last_weights():
    plain, averaged = small_network(), small_network()
    for network, average in ((plain, None), (averaged, SWA(0.99))):
        ninc.Trainer(network, average=average).fit(bars(), epochs=1, batch_size=16, progress=False)
    assert_same_weights(plain, averaged)


def test_a_second_fit_begins_new_averages():
    first, second = (small_network() for _ in range(2))
    trainer = ninc.Trainer(first, ninc.SGD(0.0), average=EMA(0.9))
    trainer.fit(bars(), epochs=1, batch_size=16, progress=False)
    trainer.fit(bars(), epochs=1, batch_size=16, progress=False)
    for name, value in first.parameters().items():  # a rate of nothing: averages of one value
        np.testing.assert_allclose(value, second.parameters()[name], atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: EMA(1.0),
        lambda: EMA(0.0),
        lambda: EMA(norm_batches=0),
        lambda: SWA(1.0),
        lambda: SWA(-0.1),
        lambda: SWA(norm_batches=0),
        lambda: ninc.SGD(0.1, clip_norm=0),
        lambda: ninc.SGD(0.1, clip_norm=float("nan")),
    ],
)
def test_settings_are_checked(make):
    with pytest.raises(ArgumentError):
        make()
