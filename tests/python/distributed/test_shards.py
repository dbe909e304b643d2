"""Training with batches that are cut into shards, in one process."""

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.averages import EMA
from ninc.errors import ArgumentError, ShapeError
from support.small_training import bars, fit_in, small_network
from support.weights import assert_same_weights, copies


def network_of(norm=False, seed=3):
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        *([nn.BatchNorm2d(6)] if norm else []),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv2d(6, 2, 1),
        nn.GlobalAvgPool2d(),
        seed=seed,
    )


def trained(
    shards, norm=False, threads=2, epochs=2, optimizer=None, average=None, sync=False, **options
):
    network = network_of(norm)
    ninc.set_num_threads(threads)
    trainer = ninc.Trainer(
        network,
        ninc.SGD(0.1, momentum=0.9) if optimizer is None else optimizer,
        augment=ninc.augment.PadCrop(1),
        average=average,
        shards=shards,
        sync_batch_norm=sync,
    )
    # 3 steps an epoch
    trainer.fit(bars(60), epochs=epochs, batch_size=25, progress=False, **options)
    return copies(network)


def test_a_sum_is_added_to_another_in_place():
    core = ninc.Trainer(network_of(), ninc.SGD(0.1)).stepper.core
    total = np.float32([1, 2, 3])
    core.add_sum(np.float32([0.5, 0.25, -3]), total)
    assert total.tolist() == [1.5, 2.25, 0]
    with pytest.raises(ShapeError, match="2 values cannot be added to 3"):
        core.add_sum(np.ones(2, np.float32), total)
    for other in (np.zeros(3), np.zeros(6, np.float32)[::2]):
        with pytest.raises(TypeError, match="total must be a contiguous array of float32"):
            core.add_sum(np.ones(3, np.float32), other)
    total.flags.writeable = False
    with pytest.raises(ValueError, match="not writeable"):
        core.add_sum(np.ones(3, np.float32), total)
    assert total.tolist() == [1.5, 2.25, 0]


@pytest.mark.parametrize("shards", [2, 3, 8, 100])
def test_the_result_is_the_whole_batchs_but_for_rounding(shards):
    whole, cut = trained(1), trained(shards)
    for name, values in whole.items():
        np.testing.assert_allclose(cut[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "settings",
    [
        dict(optimizer=ninc.Adam(0.01)),
        dict(optimizer=ninc.AdamW(0.01, clip_norm=0.1)),
        dict(optimizer=ninc.SGD(0.1, momentum=0.9, nesterov=True, clip_norm=0.1)),
        dict(average=EMA(0.5)),
        dict(freeze="conv1.*"),
        dict(class_weights=[0.25, 4.0]),
    ],
    ids=str,
)
def test_so_it_is_with_other_settings(settings):
    whole, cut, plain = trained(1, **settings), trained(8, **settings), trained(8)
    for name, values in whole.items():
        # Adam divides by roots of squares that are almost 0 in the first steps.
        np.testing.assert_allclose(cut[name], values, rtol=1e-3, atol=1e-4, err_msg=name)
    assert any(not np.allclose(cut[name], plain[name], 1e-3, 1e-3) for name in cut)
    if "freeze" in settings:
        assert np.array_equal(cut["conv1.weight"], copies(network_of())["conv1.weight"])


def test_threads_do_not_change_it():
    assert_same_weights(trained(4, norm=True, threads=1), trained(4, norm=True, threads=2))


def test_a_batch_norm_normalises_each_shard_by_itself():
    shards, whole = trained(4, norm=True), trained(1, norm=True)
    assert not np.allclose(shards["bn1.bias"], whole["bn1.bias"], 1e-3)


@pytest.mark.parametrize("shards", [2, 3, 8])
def test_or_all_by_the_whole_batch(shards):
    whole, cut = trained(1, norm=True), trained(shards, norm=True, sync=True)
    for name, values in whole.items():  # running statistics among them
        np.testing.assert_allclose(cut[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_so_it_is_with_class_weights_and_smoothed_labels():
    x = np.random.default_rng(5).standard_normal((8, 1, 6, 6), np.float32)
    labels = np.array([0, 1, 1, 1, 0, 1, 1, 1])
    losses = []
    for shards in (1, 4):
        network = network_of(norm=True)
        trainer = ninc.Trainer(
            network, ninc.SGD(0.1), label_smoothing=0.2, shards=shards, sync_batch_norm=True
        )
        trainer.stepper.core.set_class_weights([0.25, 4.0])
        losses.append([float(trainer.step(x, labels)) for _ in range(3)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_it_may_be_turned_on_and_off_between_two_steps():
    x = np.random.default_rng(6).standard_normal((8, 1, 6, 6), np.float32)
    labels = np.arange(8) % 2
    steps = [(1, False), (4, True), (2, True), (4, False), (8, True), (1, True)]
    network, again = network_of(norm=True), network_of(norm=True)
    trainer = ninc.Trainer(network, ninc.SGD(0.1))
    for number, (shards, sync) in enumerate(steps):
        trainer.shards, trainer.sync_batch_norm = shards, sync
        trainer.step(x, labels)
        fresh = ninc.Trainer(again, ninc.SGD(0.1), shards=shards, sync_batch_norm=sync)
        fresh.stepper.steps = number  # by which dropout draws
        fresh.step(x, labels)
        assert_same_weights(network, again)


def test_what_is_not_finite_is_found_where_the_batch_norms_are_the_batchs():
    network = network_of(norm=True)
    weights = copies(network)
    weights["conv2.weight"][:] = 3e38
    network.load_state_dict(weights)
    trainer = ninc.Trainer(network, ninc.SGD(0.1), shards=4, sync_batch_norm=True)
    with pytest.raises(ninc.DivergedError, match=r"the output of conv2 \(Conv2d\)"):
        trainer.fit(bars(60), epochs=1, batch_size=25, progress=False)


def test_a_run_goes_on_with_the_batch_norms_it_was_begun_with(tmp_path):
    sync = {"shards": 4, "sync_batch_norm": True}
    fit_in(tmp_path, changed=sync, epochs=1)
    with pytest.raises(ArgumentError, match="batch norms the batch, now it is shards; give the"):
        fit_in(tmp_path, changed={"shards": 4}, epochs=2, resume=True)
    resumed = fit_in(tmp_path, changed=sync, epochs=2, resume=True)
    unbroken = fit_in(tmp_path / "other", changed=sync, epochs=2)
    assert_same_weights(resumed.network, unbroken.network)


def test_then_threads_do_not_change_it_either():
    one, two = (trained(4, norm=True, sync=True, threads=threads) for threads in (1, 2))
    assert_same_weights(one, two)


def test_running_statistics_are_those_of_all_shards():
    network = network_of(norm=True)
    x = np.random.default_rng(0).standard_normal((8, 1, 6, 6), np.float32)
    before = copies(network)
    trainer = ninc.Trainer(network, ninc.SGD(0.1), shards=4)
    trainer.step(x, np.zeros(8, np.int64))
    maps = ninc.functional.conv2d(x, before["conv1.weight"], before["conv1.bias"], padding=1)
    shards = maps.reshape(4, 2, 6, 6, 6)
    mean = shards.mean((1, 3, 4)).mean(0)
    var = shards.var((1, 3, 4), ddof=1).mean(0)
    after = copies(network)
    np.testing.assert_allclose(after["bn1.running_mean"], 0.1 * mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after["bn1.running_var"], 0.9 + 0.1 * var, rtol=1e-4, atol=1e-6)


def test_a_run_goes_on_with_the_shards_it_was_begun_with(tmp_path):
    fit_in(tmp_path, changed={"shards": 4}, epochs=1)
    with pytest.raises(ArgumentError, match="begun with shards 4, now it is 1; give the same"):
        fit_in(tmp_path, epochs=2, resume=True)
    resumed = fit_in(tmp_path, changed={"shards": 4}, epochs=2, resume=True)
    unbroken = fit_in(tmp_path / "other", changed={"shards": 4}, epochs=2)
    assert_same_weights(resumed.network, unbroken.network)


@pytest.mark.parametrize("shards", [0, -1, 1.5, "2", None])
def test_other_numbers_are_refused(shards):
    with pytest.raises(ninc.Error, match="Trainer: shards must be"):
        ninc.Trainer(small_network(), shards=shards)


def test_they_cannot_change_while_a_run_is_under_way():
    trainer = ninc.Trainer(small_network(), ninc.SGD(0.1), shards=2)

    def change(epoch):
        epoch.trainer.shards = 3

    with pytest.raises(ninc.Error, match="shards cannot be changed while fit is under way"):
        trainer.fit(bars(20), epochs=1, batch_size=8, progress=False, callbacks=[change])
