"""Runs that are given more epochs, fewer, or more patience, and end as if begun so."""

import re

import numpy as np
import pytest

import ninc
from ninc.averages import EMA, SWA
from ninc.errors import ArgumentError
from ninc.schedules import Constant, Cosine, OneCycle, Step, Warmup
from support.small_training import (
    assert_same_checkpoints,
    bars,
    everything,
    interrupted_after,
    small_network,
)
from support.weights import assert_same_weights


class Halving:
    """A schedule of somebody's own that says that it may be extended."""

    extendable = True

    def __call__(self, epoch, epochs):
        return 0.5 ** int(epoch)

    def __repr__(self):
        return "Halving()"


def falling(epoch, epochs):
    return 1.0 / (1 + epoch)


def run(folder, epochs, changed=None, **options):
    """Epochs of four steps, in batches of 18 and 17 pictures."""
    trainer = everything(small_network(), seed=4, **(changed or {}))
    settings = dict(epochs=epochs, batch_size=18, progress=False, checkpoint_dir=folder)
    trainer.fit(bars(70), bars(30, seed=1), **{**settings, **options})
    return trainer


@pytest.mark.parametrize(
    "changed",
    [
        {},  # a warm-up before a plateau, and EMA
        {"schedule": Constant(), "average": None},
        {"schedule": Step([1, 2.5, 4], gamma=0.5), "average": EMA(0.7, norm_batches=2)},
        {"schedule": Warmup(1.5, then=Step([2])), "average": None},
        {"schedule": Halving()},
    ],
)
def test_an_extended_run_is_one_begun_so(tmp_path, changed):
    whole = run(tmp_path / "whole", 5, changed)
    run(tmp_path / "run", 2, changed)
    extended = run(tmp_path / "run", 5, changed, resume=True)
    assert extended.history["epoch"] == [1, 2, 3, 4, 5]
    assert extended.history["val_loss"] == whole.history["val_loss"]
    assert_same_checkpoints(tmp_path / "run", tmp_path / "whole")
    assert_same_weights(extended.network, whole.network)


@pytest.mark.parametrize("epochs", [2, 4])
def test_a_run_that_is_not_finished_may_become_longer_or_shorter(tmp_path, monkeypatch, epochs):
    whole = run(tmp_path / "whole", epochs)
    with interrupted_after(monkeypatch, 6):
        run(tmp_path / "run", 3)
    changed = run(tmp_path / "run", epochs, resume=True)
    assert_same_checkpoints(tmp_path / "run", tmp_path / "whole")
    assert_same_weights(changed.network, whole.network)


def test_a_run_cut_down_to_what_it_has_done_is_finished(tmp_path, capsys):
    whole = run(tmp_path / "whole", 2)
    run(tmp_path / "run", 2)
    longer = tmp_path / "run" / "last.safetensors"
    run(tmp_path / "run", 3, resume=True)
    before = longer.read_bytes()
    with pytest.raises(ArgumentError, match="after epoch 3 already, now epochs is 2; give at l"):
        run(tmp_path / "run", 2, resume=True)
    assert longer.read_bytes() == before
    again = run(tmp_path / "whole", 2, resume=True, progress=True)
    words = capsys.readouterr().err
    assert f"the run in {tmp_path / 'whole'} was finished already; more epochs go on\n" in words
    assert_same_weights(again.network, whole.network)


@pytest.mark.parametrize(
    "changed, named",
    [
        ({"schedule": OneCycle()}, r"OneCycle\("),
        ({"schedule": Cosine()}, r"Cosine\("),
        ({"schedule": Step([0.5], relative=True)}, r"Step\(\[0.5\].*relative=True\)"),
        ({"schedule": Warmup(1, then=Cosine())}, r"Warmup\(1, then=Cosine"),
        ({"schedule": falling}, "<function falling>"),
        ({"schedule": None, "average": SWA(0.5)}, r"SWA\("),
    ],
)
def test_what_depends_on_the_number_of_epochs_is_not_extended(tmp_path, capsys, changed, named):
    run(tmp_path, 1, changed)
    last = tmp_path / "last.safetensors"
    before = last.read_bytes()
    with pytest.raises(ArgumentError) as told:
        run(tmp_path, 3, changed, resume=True)
    words = str(told.value)
    assert words.startswith(
        f"{last}: cannot resume: the run was begun with epochs 1, now it is 3, "
    )
    assert re.search(named + ".* depends; ", words)
    for way in ("Constant, Step with milestones in epochs, Plateau", "EMA", "extendable = True",
                f"ninc train --init {last}", "ninc.load("):  # fmt: skip
        assert way in words
    assert last.read_bytes() == before
    run(tmp_path, 1, changed, resume=True, progress=True)
    assert "was finished already\n" in capsys.readouterr().err  # and no word of more epochs


# ---- Patience ------------------------------------------------------------------------------------

# Accuracies as validation finds them: the best is the second, the fourth and fifth are no better.
_FOUND = [50, 70, 60, 65, 68, 75, 60, 60, 60]


@pytest.fixture
def rigged(monkeypatch):
    """Has epoch e find the accuracy _FOUND[e - 1]."""
    evaluate = ninc.Trainer.evaluate

    def evaluated(trainer, data, **options):
        right = _FOUND[len(trainer.history)]
        result = evaluate(trainer, data, **options)
        object.__setattr__(result, "confusion", np.array([[right, 100 - right], [0, 0]]))
        return result

    monkeypatch.setattr(ninc.Trainer, "evaluate", evaluated)


@pytest.mark.parametrize("patience, epochs", [(4, 7), (None, 6), (3, 6)])
def test_more_patience_goes_on(tmp_path, rigged, patience, epochs):
    whole = run(tmp_path / "whole", epochs, patience=patience)
    stopped = run(tmp_path / "run", epochs, patience=2)
    assert len(stopped.history) == 4
    assert len(whole.history) == (5 if patience == 3 else epochs)
    more = run(tmp_path / "run", epochs, patience=patience, resume=True)
    assert more.history["val_accuracy"] == whole.history["val_accuracy"]
    assert_same_checkpoints(tmp_path / "run", tmp_path / "whole")
    assert_same_weights(more.network, whole.network)


def test_a_run_that_patience_ended_stays_so_whatever_its_epochs(tmp_path, rigged, capsys):
    stopped = run(tmp_path, 6, patience=2)
    again = run(tmp_path, 9, patience=2, resume=True, progress=True)
    assert len(again.history) == 4
    assert (
        "was finished already, by patience 2 after epoch 4 of 9; a larger patience goes on"
        in capsys.readouterr().err
    )
    assert_same_weights(again.network, stopped.network)


def test_less_patience_is_refused(tmp_path, rigged):
    run(tmp_path, 3, patience=2)
    words = "patience 2, now it is 1; give the same, a larger one or none, or begin anew"
    with pytest.raises(ArgumentError, match=words):
        run(tmp_path, 3, patience=1, resume=True)
