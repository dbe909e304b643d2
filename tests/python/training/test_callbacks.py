"""`fit(callbacks=...)`: what they are told, how they end a run, and what their errors leave."""

import json

import pytest

import ninc
from ninc.averages import EMA
from support.small_training import (
    assert_same_checkpoints,
    bars,
    everything,
    fit_in,
    remarks,
    small_network,
)
from support.weights import assert_same_weights, copies


def fit(epochs=3, trainer=None, **options):
    trainer = trainer or ninc.Trainer(small_network(), ninc.SGD(0.05))
    trainer.fit(bars(), bars(32, 1), epochs=epochs, batch_size=16, progress=False, **options)
    return trainer


def test_they_are_told_where_the_run_stands():
    told, order = [], []

    def first(end):
        order.append("first")
        told.append((end.epoch, dict(end.row), len(end.history), end.trainer, end.network))
        assert end.trainer.evaluate(bars(32, 1)).accuracy == end.row["val_accuracy"]

    trainer = fit(callbacks=(first, lambda end: order.append("second")))
    assert order == ["first", "second"] * 3
    assert [entry[0] for entry in told] == [1, 2, 3]
    assert [entry[1] for entry in told] == trainer.history.rows
    assert [entry[2] for entry in told] == [1, 2, 3]
    assert all(entry[3] is trainer and entry[4] is trainer.network for entry in told)
    assert_same_weights(trainer.network, fit().network)


def test_one_that_asks_ends_the_run(tmp_path):
    after = []

    def stop(end):
        if end.epoch == 2:
            end.stop()

    trainer = fit(5, callbacks=[stop, lambda end: after.append(end.epoch)])
    assert len(trainer.history) == 2 and after == [1, 2]
    assert_same_weights(trainer.network, fit(2).network)
    fit_in(tmp_path, epochs=4, callbacks=[stop])
    results = json.loads((tmp_path / "run.json").read_text())["results"]
    assert (results["epochs"], results["ended_by"], results["stopped_early"]) == (
        2,
        "callback",
        True,
    )


def test_the_run_ends_with_the_weights_that_its_end_would_leave():
    """The averages, while a callback sees those that training goes on with."""
    seen = []

    def stop(end):
        seen.append(copies(end.network))
        end.stop()

    def averaging():
        return ninc.Trainer(small_network(), ninc.SGD(0.05), average=EMA(0.9, norm_batches=2))

    with remarks():
        stopped = fit(4, averaging(), callbacks=[stop])
        whole = fit(1, averaging())
    assert_same_weights(stopped.network, whole.network)
    name = next(iter(seen[0]))
    assert (seen[0][name] != stopped.network.state_dict()[name]).any()


def test_a_stopped_run_goes_on_as_one_that_never_was(tmp_path):
    stop = [lambda end: end.stop()]
    fit_in(tmp_path / "stopped", epochs=2, callbacks=stop)
    fit_in(tmp_path / "stopped", epochs=2, resume=True)
    fit_in(tmp_path / "whole", epochs=2)
    assert_same_checkpoints(tmp_path / "stopped", tmp_path / "whole")


def test_what_they_set_counts_and_is_in_the_checkpoint(tmp_path):
    def halve(end):
        end.trainer.optimizer.lr *= 0.5

    def fails_late(end):
        if end.epoch == 2:
            raise KeyError("no such thing")

    options = dict(epochs=3, callbacks=[halve, fails_late])
    with pytest.raises(ninc.Error, match="holds the run up to there"):
        fit_in(tmp_path / "failed", **options)
    resumed = fit_in(tmp_path / "failed", epochs=3, callbacks=[halve], resume=True)
    whole = fit_in(tmp_path / "whole", epochs=3, callbacks=[halve])
    assert whole.optimizer.lr == resumed.optimizer.lr == 0.1 / 8
    assert_same_checkpoints(tmp_path / "failed", tmp_path / "whole")


class Broken:
    def __call__(self, end):
        raise ZeroDivisionError("by nothing")


@pytest.mark.parametrize("callback, name", [(Broken(), "Broken"), (lambda end: 1 / 0, "lambda")])
def test_an_exception_ends_the_run_and_names_the_callback(callback, name, tmp_path):
    with pytest.raises(
        ninc.Error, match=rf"the callback .*{name}.* failed after epoch 1: ZeroDivisionError"
    ) as raised:
        fit_in(tmp_path, callbacks=[callback])
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert ninc.load(tmp_path / "last.safetensors").num_parameters
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 1
    again = everything(small_network())  # the folder is free, and so is the trainer
    again.fit(bars(), bars(32, 1), 2, 16, tmp_path, resume=True, progress=False)
    assert len(again.history) == 2


@pytest.mark.parametrize(
    "callbacks, words",
    [
        (print, "got a single one: put it into a list"),
        ([print, 3], "got 3 in it"),
        (None, "got None"),
        ("report", "got 'report'"),
    ],
)
def test_what_cannot_be_called_is_refused_before_the_first_step(callbacks, words):
    trainer = ninc.Trainer(small_network(), ninc.SGD(0.05))
    before = copies(trainer.network)
    with pytest.raises(ninc.ArgumentError, match=f"fit: callbacks must be a list of.*{words}"):
        fit(1, trainer, callbacks=callbacks)
    now = trainer.network.state_dict()
    assert all((now[name] == value).all() for name, value in before.items())
