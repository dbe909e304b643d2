"""What watches a run: plateau schedules, warm-up before them, early stopping, held-out data."""

import numpy as np
import pytest

import ninc
from ninc.errors import ArgumentError
from ninc.inference.evaluation import Evaluation
from ninc.schedules import Constant, Cosine, Plateau, Warmup
from support.small_training import bars, small_network
from support.weights import assert_same_weights, copies


def test_a_plateau_lowers_the_rate_after_patience():
    schedule = Plateau(gamma=0.5, patience=2, min_delta=0.1)
    factors = []
    for loss in (2.0, 1.0, 0.95, 0.93, 0.92, 0.91, 0.5, 0.45):
        schedule.observe({"val_loss": loss})
        factors.append(schedule(0, 10))
    # 0.95 and 0.93 are no better than 1.0 by more than 0.1; so are 0.92 and 0.91.
    assert factors == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_a_plateau_of_accuracy_has_a_floor_and_a_memory():
    schedule = Plateau(gamma=0.1, patience=1, monitor="val_accuracy", floor=0.05)
    for accuracy in (0.5, 0.6, 0.6, float("nan"), 0.7):
        schedule.observe({"val_accuracy": accuracy})
    assert schedule(3, 10) == 0.05
    other = Plateau(gamma=0.1, patience=1, monitor="val_accuracy", floor=0.05)
    other.load_state(schedule.state())
    for row in ({"val_accuracy": 0.69}, {"val_accuracy": 0.8}):
        schedule.observe(row)
        other.observe(row)
    assert other.state() == schedule.state() and schedule.state()["best"] == 0.8
    other.load_state({})
    assert other(0, 10) == 1.0


def test_warm_up_goes_before_any_schedule():
    schedule = Warmup(2, then=Cosine(), start=0.2)
    assert schedule(0, 10) == pytest.approx(0.2)
    assert schedule(1, 10) == pytest.approx(0.6 * Cosine()(1, 10))
    for epoch in (2, 5.5, 10):
        assert schedule(epoch, 10) == Cosine()(epoch, 10)
    assert schedule.monitor is None and schedule.state() == {}
    assert Warmup(1)(5, 10) == Constant()(5, 10)
    behind = Warmup(1, then=Plateau(patience=1, gamma=0.5))
    for _ in range(2):
        behind.observe({"val_loss": 1.0})
    assert behind(5, 10) == 0.5 and behind.monitor == "val_loss"


def test_the_trainer_shows_the_plateau_each_epoch():
    schedule = Plateau(gamma=0.5, patience=1, monitor="loss", min_delta=100.0)
    trainer = ninc.Trainer(small_network(), ninc.SGD(0.1), schedule=schedule)
    history = trainer.fit(bars(32), epochs=4, batch_size=16, progress=False)
    assert history["lr"] == pytest.approx([0.1, 0.1, 0.05, 0.025])
    again = trainer.fit(bars(32), epochs=1, batch_size=16, progress=False)
    assert again["lr"] == [0.1]  # a new run begins without memories


def rigged(monkeypatch, values):
    """Has validation find these accuracies; returns the weights there were each time."""
    seen = []

    def evaluated(trainer, data, **_):
        right = values[len(seen)]
        seen.append(copies(trainer.network))
        return Evaluation(1.0 - right / 100, np.array([[right, 100 - right], [0, 0]]), ["a", "b"])

    monkeypatch.setattr(ninc.Trainer, "evaluate", evaluated)
    return seen


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_loss"])
@pytest.mark.parametrize("min_delta, epochs, best", [(0.0, 6, 3), (0.05, 4, 1)])
def test_patience_ends_the_run_with_the_best(monkeypatch, monitor, min_delta, epochs, best):
    seen = rigged(monkeypatch, [50, 60, 58, 62, 61, 62, 90])
    trainer = ninc.Trainer(small_network())
    history = trainer.fit(
        bars(32), bars(8), epochs=7, batch_size=16, progress=False, patience=2,
        min_delta=min_delta, monitor=monitor,
    )  # fmt: skip
    assert len(history) == epochs
    assert_same_weights(trainer.network, seen[best])


def test_the_best_network_is_kept_in_the_folder(monkeypatch, tmp_path):
    seen = rigged(monkeypatch, [50, 70, 60])
    trainer = ninc.Trainer(small_network())
    trainer.fit(bars(32), bars(8), epochs=3, batch_size=16, progress=False, checkpoint_dir=tmp_path)
    assert_same_weights(ninc.load(tmp_path / "best.safetensors"), seen[1])
    assert_same_weights(trainer.network, seen[2])  # without patience it is the last


def test_a_share_is_held_out_of_each_class_by_the_seed():
    data = bars()
    whole, split = (ninc.Trainer(small_network(), seed=5) for _ in range(2))
    rest, held_out = data.split(0.25, 5)
    expected = whole.fit(rest, held_out, epochs=2, batch_size=16, progress=False)
    history = split.fit(data, 0.25, epochs=2, batch_size=16, progress=False)
    assert history["val_loss"] == expected["val_loss"] and history["loss"] == expected["loss"]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"patience": 2}, "patience needs validation data"),
        ({"validation": bars(8), "patience": 0}, "patience must be at least 1"),
        ({"validation": bars(8), "min_delta": -1.0}, "min_delta must be 0 or more"),
        ({"validation": bars(8), "monitor": "loss"}, "monitor must be val_accuracy or val_loss"),
        ({"validation": bars(8), "monitor": "luck"}, "monitor must be 'val_loss', 'val_acc"),
        ({"validation": 1.5}, "validation as a share must lie between 0 and 1"),
        ({"checkpoint_every": "soon"}, "checkpoint_every must be"),
    ],
)
def test_fit_checks_what_it_is_asked(options, words):
    with pytest.raises(ArgumentError, match=words):
        ninc.Trainer(small_network()).fit(bars(32), progress=False, **options)


def test_a_plateau_without_validation_is_told():
    trainer = ninc.Trainer(small_network(), schedule=Warmup(1, then=Plateau()))
    with pytest.raises(ArgumentError, match="needs validation data to watch val_loss"):
        trainer.fit(bars(32), progress=False)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Plateau(gamma=1.0),
        lambda: Plateau(patience=0),
        lambda: Plateau(min_delta=-1),
        lambda: Plateau(monitor="luck"),
        lambda: Plateau(floor=2),
        lambda: Warmup(0),
        lambda: Warmup(1, start=2),
    ],
)
def test_settings_are_checked(make):
    with pytest.raises(ArgumentError):
        make()
