"""Runs end by one path: the last epoch, patience and signals leave the same kind of weights."""

import json
import os
import signal
import threading

import numpy as np
import pytest

import ninc
from ninc._base.interrupt import Interrupted
from ninc.averages import EMA, SWA
from ninc.data import BatchStream
from ninc.training import ending
from ninc.training.record import checkpoint
from ninc.training.stepper import Stepper
from support.small_training import bars, everything, small_network, stop_after
from support.weights import assert_same_weights

pytestmark = pytest.mark.usefixtures("own_handler")


def run(trainer, epochs=4, folder=None, **options):
    """Epochs of 5 steps; the words of the interrupt that ended them, or None."""
    settings = dict(epochs=epochs, batch_size=16, progress=False, checkpoint_dir=folder, **options)
    try:
        trainer.fit(bars(80), bars(24, seed=1), **settings)
    except Interrupted as stop:
        return str(stop)
    return None


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("folder", [False, True])
def test_an_interrupt_leaves_the_best_weights_with_patience(tmp_path, monkeypatch, name, folder):
    def made():
        return everything(small_network(), schedule=None)

    whole = made()
    history = run(whole, patience=9)
    best = int(np.argmax(history_of(whole)[:3])) + 1
    expected = made()
    run(expected, epochs=best)  # ends with its averages, which is what the best epoch had
    stop_after(monkeypatch, 17, name)
    trainer = made()
    words = run(trainer, patience=9, folder=tmp_path if folder else None)
    assert history is None and f"({name}) after epoch 4, step 2" in words
    assert words.endswith(f"; the network has the best weights, those of epoch {best}")
    assert_same_weights(trainer.network, expected.network)
    assert ("last.safetensors holds it all" in words) == folder


def history_of(trainer):
    return trainer.history["val_accuracy"]


def test_an_interrupt_leaves_the_averages(tmp_path, monkeypatch):
    """They are those of the weights after each step, as numpy finds them."""
    average, update = {}, Stepper.update

    def watched(stepper, x, labels, settings):
        result = update(stepper, x, labels, settings)
        rate = settings["average_rate"]
        for name, value in trainer.network.parameters().items():
            old = average.get(name, 0.0)
            average[name] = old + rate * (value.astype(np.float64) - old)
        return result

    monkeypatch.setattr(Stepper, "update", watched)
    stop_after(monkeypatch, 8)
    trainer = ninc.Trainer(small_network(), ninc.SGD(0.1, momentum=0.9), average=EMA(0.8))
    words = run(trainer, folder=tmp_path)
    assert words.endswith("holds it all; the network has the averaged weights")
    raw = checkpoint.load(tmp_path / "last.safetensors").model
    for name, value in trainer.network.parameters().items():
        # One rounding of values below 2 a step.
        np.testing.assert_allclose(value, average[name], atol=8 * 2**-23, err_msg=name)
        assert not np.array_equal(value, raw.parameters()[name])
    statistics = [name for name, _, trained in raw.specs() if not trained]
    for name in statistics:  # estimated for the averages, not those of the last weights
        assert not np.array_equal(trainer.network.state_dict()[name], raw.parameters()[name]), name


@pytest.mark.parametrize(
    "changed, patience",
    [({"average": None}, None), ({"average": SWA(0.9)}, None), ({"average": None}, 3)],
)
def test_where_there_is_neither_the_last_weights_stay(tmp_path, monkeypatch, changed, patience):
    """No average yet, and in the first epoch no best one."""
    stop_after(monkeypatch, 3)
    trainer = everything(small_network(), schedule=None, **changed)
    words = run(trainer, folder=tmp_path, patience=patience)
    assert words.endswith("; the network has the last weights")
    assert_same_weights(trainer.network, ninc.load(tmp_path / "last.safetensors"))


def test_what_an_interrupt_leaves_is_what_is_saved_and_validated(tmp_path, monkeypatch):
    stop_after(monkeypatch, 10)  # with an epoch: it is validated by these averages
    stopped, whole = (everything(small_network(), schedule=None) for _ in range(2))
    run(stopped)
    monkeypatch.undo()
    run(whole, epochs=2)
    assert stopped.history["epoch"] == [1]  # its second epoch was not validated
    stopped.network.save(tmp_path / "net")
    assert_same_weights(ninc.load(tmp_path / "net"), whole.network)


def test_a_signal_while_the_run_ends_is_not_lost(tmp_path, monkeypatch):
    averaged = ending.copies

    def copies(network):
        os.kill(os.getpid(), signal.SIGTERM)
        return averaged(network)

    monkeypatch.setattr(ending, "copies", copies)
    trainer, whole = (everything(small_network(), schedule=None) for _ in range(2))
    words = run(trainer, epochs=2, folder=tmp_path)
    assert "interrupted (SIGTERM) after epoch 2; " in words and "averaged weights" in words
    monkeypatch.undo()
    run(whole, epochs=2)
    assert_same_weights(trainer.network, whole.network)
    assert json.loads((tmp_path / "run.json").read_text())["results"]["ended_by"] == "epochs"


def test_a_second_signal_ends_at_once_with_the_last_weights(tmp_path, monkeypatch):
    """While batch norm's statistics are estimated for the averages."""

    class Impatient(EMA):
        estimating = False

        @property
        def norm_batches(self):
            if self.estimating:
                os.kill(os.getpid(), signal.SIGINT)
            return 4

        @norm_batches.setter
        def norm_batches(self, count):
            pass

    average = Impatient(0.9)

    def end(fit, name):
        average.estimating = True
        return told(fit, name)

    told = ending.end
    monkeypatch.setattr(ending, "end", end)
    stop_after(monkeypatch, 7)
    trainer = everything(small_network(), schedule=None, average=average)
    with pytest.raises(KeyboardInterrupt, match="interrupted at once") as stop:
        run(trainer, folder=tmp_path)
    assert not isinstance(stop.value, Interrupted)
    assert_same_weights(trainer.network, ninc.load(tmp_path / "last.safetensors"))


def test_batches_that_never_come_again_do_not_hold_up_the_end(monkeypatch):
    """Averages need some for batch norm's statistics; a dead source must not keep the process."""
    monkeypatch.setattr(ending, "_LONGEST_WAIT", 0.2)
    data, for_ever, opened = bars(48), threading.Event(), []

    def batches():
        opened.append(1)
        for start in (0, 16):
            if len(opened) > 1:
                for_ever.wait()
            yield data.images[start : start + 16], data.labels[start : start + 16]

    network = small_network()
    network.preprocessing = ninc.preprocess.Preprocessing.fit(data.images)
    trainer = ninc.Trainer(network, average=EMA(0.9, norm_batches=3))
    stop_after(monkeypatch, 2)
    stream = BatchStream(batches, data.classes)
    with pytest.raises(Interrupted, match="the last weights, as no batch came to estimate"):
        trainer.fit(stream, epochs=1, progress=False)
    for_ever.set()


def test_a_lost_best_does_not_hide_the_interrupt(tmp_path, monkeypatch):
    stop_after(monkeypatch, 7)
    update = Stepper.update

    def lose(*args):
        (tmp_path / "best.safetensors").unlink(missing_ok=True)
        return update(*args)

    monkeypatch.setattr(Stepper, "update", lose)
    words = run(everything(small_network(), schedule=None), folder=tmp_path, patience=3)
    assert "the network has the last weights (" in words and "best.safetensors: missing" in words


@pytest.mark.parametrize("steps, ended_by, last", [(3, "SIGTERM", None), (99, "epochs", 2)])
def test_the_folder_tells_what_ended_the_run(tmp_path, monkeypatch, steps, ended_by, last):
    stop_after(monkeypatch, steps)
    trainer = everything(small_network(), schedule=None)
    run(trainer, epochs=2, folder=tmp_path)
    results = json.loads((tmp_path / "run.json").read_text())["results"]
    assert results["ended_by"] == ended_by and not results["stopped_early"]
    assert (results["last"] or {}).get("epoch") == last
