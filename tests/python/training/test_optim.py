"""The optimiser's settings: read when a step is made, checked when they are set."""

import copy

import numpy as np
import pytest

import ninc
from ninc.errors import ArgumentError, Remark
from ninc.schedules import Step
from support.small_training import bars, batch, small_network
from support.weights import assert_same_weights, copies


def step_of(trainer):
    """How far each parameter moves in one step."""
    before = copies(trainer.network)
    trainer.step(*batch())
    return {n: v - before[n] for n, v in trainer.network.parameters().items()}


def gradients():
    """The gradients of a network's first step, and its weights."""
    network = small_network()
    core = ninc.Trainer(network).stepper.core
    return core.gradients(*batch(), seed=0, step=0)[2], network.parameters()


def test_what_is_set_later_counts():
    """w = w - lr * lr_mult * (g + weight_decay * w), by numpy."""
    trainer = ninc.Trainer(small_network(), ninc.SGD(5.0))
    sgd = trainer.optimizer
    sgd.lr, sgd.weight_decay = 0.25, 0.125
    sgd.groups = [("*.bias", {"lr_mult": 2.0, "weight_decay": 0.0})]
    moved, (g, w) = step_of(trainer), gradients()
    for name, step in moved.items():
        rate, decay = (0.5, 0.0) if name.endswith(".bias") else (0.25, 0.125)
        # Three roundings of float32, of values below 2.
        np.testing.assert_allclose(step, -rate * (g[name] + decay * w[name]), atol=1e-6)


def test_groups_may_be_changed_where_they_are():
    trainer = ninc.Trainer(small_network(), ninc.SGD(0.5, groups=[("*.weight", {"lr_mult": 3.0})]))
    trainer.stepper.rates.of(trainer.optimizer)
    trainer.optimizer.groups[0][1]["lr_mult"] = 0.0
    trainer.optimizer.groups.append(("*.bias", {"weight_decay": 0.5}))
    moved, (g, w) = step_of(trainer), gradients()
    for name, step in moved.items():
        if name.endswith(".weight"):
            assert not step.any()
        else:
            decay = 0.5 if name.endswith(".bias") else 0.0
            np.testing.assert_allclose(step, -0.5 * (g[name] + decay * w[name]), atol=1e-6)


def test_another_optimiser_counts():
    trainer = ninc.Trainer(small_network(), ninc.SGD(5.0))
    trainer.optimizer = ninc.SGD(0.125)
    moved, (g, _) = step_of(trainer), gradients()
    for name, step in moved.items():
        np.testing.assert_allclose(step, -0.125 * g[name], atol=1e-6)
    trainer.optimizer = ninc.SGD(0.0)
    assert not any(step.any() for step in step_of(trainer).values())


def test_vectors_are_made_anew_only_where_something_changed(monkeypatch):
    made = []
    vectors = ninc.SGD.vectors
    monkeypatch.setattr(
        ninc.SGD, "vectors", lambda sgd, names: made.append(1) or vectors(sgd, names)
    )
    trainer = ninc.Trainer(small_network(), ninc.SGD(0.01, groups=[("*", {"lr_mult": 0.5})]))
    for _ in range(4):
        trainer.step(*batch())
    assert len(made) == 1
    trainer.optimizer.momentum = 0.5  # in no vector
    trainer.step(*batch())
    assert len(made) == 1
    trainer.optimizer.lr = 0.02
    trainer.step(*batch())
    assert len(made) == 2


def test_history_tells_the_rate_that_was_used():
    """Changed in the middle of an epoch, and by a schedule."""
    trainer = ninc.Trainer(small_network(), ninc.SGD(0.25))
    calls = []

    def augment(x, rng):
        return x

    def schedule(epoch, epochs):
        calls.append(epoch)
        if epoch == 1.5:
            trainer.optimizer.lr = 0.0625
        if epoch == 2.5:
            trainer.optimizer = ninc.SGD(0.03125, momentum=0.5)
        return 0.5

    trainer.schedule, trainer.augment = schedule, augment
    history = trainer.fit(bars(32), epochs=3, batch_size=16, progress=False)
    assert calls == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert history["lr"] == [0.125, 0.03125, 0.015625]
    trainer.schedule = Step([1], gamma=0.25)
    trainer.optimizer.lr = 1.0
    assert trainer.fit(bars(32), epochs=2, batch_size=16, progress=False)["lr"] == [1.0, 0.25]


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("lr", -0.5, "SGD: lr must be a number of 0 or more, got -0.5"),
        ("lr", "0.1", "SGD: lr must be a number, got '0.1'"),
        ("lr", None, "SGD: lr must be a number, got None"),
        ("lr", float("nan"), "SGD: lr must be a number of 0 or more"),
        ("momentum", -1, "SGD: momentum must be a number of 0 or more"),
        ("momentum", 0, "nesterov needs a momentum above 0; set nesterov to False first"),
        ("nesterov", "False", "SGD: nesterov must be True or False, got 'False'"),
        ("weight_decay", [1, 2], "SGD: weight_decay must be a number"),
        ("clip_norm", 0, "SGD: clip_norm must be above 0, or None"),
        ("groups", {"*.bias": {}}, "SGD: groups must be pairs"),
        ("groups", 3, "SGD: groups must be pairs .*, got 3"),
        ("groups", [("*.bias", 0.1)], r"SGD: groups must be pairs .*got \('\*.bias', 0.1\)"),
        ("groups", [("*.bias", {"lr": 1})], "knows lr_mult and weight_decay, got lr"),
        (
            "groups",
            [("*.bias", {"lr_mult": -1})],
            r"group '\*.bias': lr_mult must be a number of 0",
        ),
        ("learning_rate", 0.1, "'learning_rate' is no setting and would change nothing.*lr, mom"),
    ],
)
def test_a_wrong_value_is_named_and_changes_nothing(name, value, words):
    sgd = ninc.SGD(0.5, momentum=0.25, nesterov=True, groups=[("*", {"lr_mult": 1.0})])
    before = repr(sgd)
    with pytest.raises(ArgumentError, match=words):
        setattr(sgd, name, value)
    assert repr(sgd) == before
    assert repr(copy.deepcopy(sgd)) == before and repr(sgd.replaced()) == before


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda groups: groups.append(("nowhere.*", {"lr_mult": 1})), "'nowhere.*' matches none"),
        (lambda groups: groups.append("*.bias"), "SGD: groups must be pairs"),
        (lambda groups: groups[0][1].update(lr_mult=-2), "lr_mult must be a number of 0 or more"),
    ],
)
def test_groups_that_were_spoilt_are_told_at_the_step(change, words):
    trainer = ninc.Trainer(small_network(), ninc.SGD(0.1, groups=[("*.bias", {"lr_mult": 2.0})]))
    change(trainer.optimizer.groups)
    before = copies(trainer.network)
    with pytest.raises(ArgumentError, match=words):
        trainer.step(*batch())
    assert_same_weights(trainer.network, before)


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("optimizer", 0.1, "Trainer: optimizer must be a ninc.SGD, Adam or AdamW, got 0.1"),
        ("optimizer", ninc.SGD(0.1, groups=[("x", {})]), "group 'x' matches none"),
        ("schedule", 0.1, "Trainer: schedule must be a function"),
        ("augment", "flip", "Trainer: augment must be a function .*, or None, got 'flip'"),
        ("average", 0.9, "Trainer: average must be ninc.averages.EMA or SWA, or None, got 0.9"),
        ("seed", -2, "Trainer: seed must be at least 0, got -2"),
        ("lr_factor", None, "Trainer: lr_factor must be a number, got None"),
        ("lr_factor", float("inf"), "Trainer: lr_factor must be a number of 0 or more"),
        ("lr", 0.1, "Trainer: lr is the optimizer's; set trainer.optimizer.lr"),
        ("label_smoothing", 0.1, "label_smoothing is given once; make another Trainer"),
        ("network", None, "network is given once"),
    ],
)
def test_a_trainer_refuses_what_it_could_not_go_by(name, value, words):
    trainer = ninc.Trainer(small_network())
    with pytest.raises(ArgumentError, match=words):
        setattr(trainer, name, value)
    if name in ("optimizer", "schedule", "augment", "average", "seed"):
        with pytest.raises(ArgumentError, match=words):
            ninc.Trainer(small_network(), **{name: value})


def test_a_trainer_needs_a_network():
    with pytest.raises(ArgumentError, match="Trainer: network must be a ninc.Network, got 'nin'"):
        ninc.Trainer("nin")


@pytest.mark.parametrize("wrong", [None, "0.5", -1.0, float("nan")])
def test_a_schedule_that_gives_no_factor_is_named(wrong):
    def odd(epoch, epochs):
        return 1.0 if epoch < 1 else wrong

    trainer = ninc.Trainer(small_network(), schedule=odd)
    words = f"a schedule gives a number of 0 or more, but .*odd.* gave {wrong!r} at epoch 1$"
    with pytest.raises(ArgumentError, match=words):
        trainer.fit(bars(32), epochs=2, batch_size=16, progress=False)


def test_a_rate_of_nothing_is_told():
    trainer = ninc.Trainer(small_network(), ninc.SGD(0))
    with pytest.warns(Remark, match="learning rate is 0: no weight will change"):
        trainer.fit(bars(32), epochs=1, batch_size=16, progress=False)
