"""Schedules and SGD's groups."""

import math

import numpy as np
import pytest

from ninc.errors import ArgumentError
from ninc.schedules import Constant, Cosine, OneCycle, Step
from ninc.training.optim import SGD


def test_constant():
    assert {Constant()(epoch, 10) for epoch in (0, 3.5, 9.99)} == {1.0}


def test_step_divides_at_its_milestones():
    schedule = Step([2, 4], gamma=0.1)
    got = [schedule(epoch, 5) for epoch in (0, 1.99, 2, 3.5, 4, 4.9)]
    assert got == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize("epochs", [13, 26, 260])
def test_relative_step_hits_whole_epochs(epochs):
    schedule = Step([200 / 260, 230 / 260], relative=True)
    first = epochs * 200 // 260
    assert schedule(first - 0.01, epochs) == 1.0
    assert schedule(first, epochs) == pytest.approx(0.1)
    assert schedule(epochs * 230 / 260, epochs) == pytest.approx(0.01)


def test_cosine():
    schedule = Cosine(floor=0.1)
    assert schedule(0, 8) == pytest.approx(1.0)
    assert schedule(2, 8) == pytest.approx(0.1 + 0.45 * (1 + math.sqrt(0.5)))
    assert schedule(4, 8) == pytest.approx(0.55)
    assert schedule(8, 8) == pytest.approx(0.1)


@pytest.mark.parametrize("anneal, middle", [("linear", 0.505), ("cosine", 0.505)])
def test_one_cycle_rises_then_falls(anneal, middle):
    schedule = OneCycle(warmup=0.2, start=0.05, end=0.01, anneal=anneal)
    assert schedule(0, 10) == pytest.approx(0.05)
    assert schedule(1, 10) == pytest.approx(0.525)
    assert schedule(2, 10) == pytest.approx(1.0)
    assert schedule(6, 10) == pytest.approx(middle)  # both curves cross half way down
    assert schedule(10, 10) == pytest.approx(0.01)
    values = [schedule(epoch, 10) for epoch in np.linspace(2, 10, 50)]
    assert values == sorted(values, reverse=True)


def test_one_cycle_without_warm_up_starts_at_the_top():
    assert OneCycle(warmup=0.0)(0, 3) == 1.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Step([4, 2]),
        lambda: Cosine(floor=2),
        lambda: OneCycle(warmup=1.0),
        lambda: OneCycle(anneal="sine"),
        lambda: SGD(-1),
        lambda: SGD(0.1, momentum=float("nan")),
        lambda: SGD(0.1, nesterov=True),
        lambda: SGD("fast"),
        lambda: SGD(0.1, clip_norm=0),
        lambda: SGD(0.1, groups=[("*", dict(rate=1))]),
        lambda: SGD(0.1, groups=[("*", dict(lr_mult=float("nan")))]),
        lambda: SGD(0.1, groups=[("*", dict(weight_decay=-1))]),
    ],
)
def test_settings_are_checked(make):
    with pytest.raises(ArgumentError):
        make()


def test_sgd_groups_go_by_name_and_later_ones_win():
    names = ["conv1.weight", "conv1.bias", "cccp6.weight", "cccp6.bias"]
    optimizer = SGD(
        0.1,
        weight_decay=1e-4,
        groups=[
            ("*.bias", dict(lr_mult=2, weight_decay=0)),
            ("cccp6.*", dict(lr_mult=0.1)),
        ],
    )
    lr, weight_decay = optimizer.vectors(names)
    assert lr.dtype == weight_decay.dtype == np.float32
    np.testing.assert_allclose(lr, [0.1, 0.2, 0.01, 0.01], rtol=1e-6)
    np.testing.assert_allclose(weight_decay, [1e-4, 0, 1e-4, 0], rtol=1e-6)


def test_sgd_group_that_matches_nothing_is_told():
    with pytest.raises(ArgumentError, match=r"'fc\*'.*conv1.weight"):
        SGD(0.1, groups=[("fc*", dict(lr_mult=2))]).vectors(["conv1.weight"])
