"""Checkpoints: what they hold, and that a run stopped anywhere ends as if it had not been."""

import json
import os
import signal
from functools import partial

import numpy as np
import pytest

import ninc
from ninc.averages import SWA
from ninc.data import BatchStream, Dataset
from ninc.errors import ArgumentError
from ninc.training.record import checkpoint
from ninc.training.record.checkpoint import Pace
from ninc.training.record.history import in_order
from support.small_training import (
    as_floats,
    assert_same_checkpoints,
    bars,
    everything,
    fit_in,
    interrupted_after,
    small_network,
)
from support.weights import assert_same_weights, copies

fit = partial(fit_in, epochs=3)


def fit_and_stop(monkeypatch, steps, folder, **options):
    with interrupted_after(monkeypatch, steps) as stopped:
        fit(folder, **options)
    return str(stopped.value)


def test_a_checkpoint_is_a_network_with_the_trainers_arrays(tmp_path):
    trainer = fit(tmp_path, epochs=1, validation=False, changed={"schedule": None})
    found = checkpoint.load(tmp_path / "last.safetensors")
    assert (found.state.epoch, found.state.steps, found.state.averaged) == (1, 6, 6)
    assert found.target == ninc.target() and found.version == ninc.__version__
    extras = found.model.extras()
    for name, velocity in trainer.stepper.core.optimizer_state()["velocity"].items():
        np.testing.assert_array_equal(extras[f"velocity:{name}"], velocity)
        np.testing.assert_array_equal(extras[f"average:{name}"], trainer.network.state_dict()[name])
    network = ninc.load(tmp_path / "last.safetensors")
    assert network.classes == ["lying", "upright"] and network.preprocessing["size"] == [8, 8]
    assert not (tmp_path / "best.safetensors").exists()
    assert not network.core.extras() and "training" not in network.core.metadata()
    network.save(tmp_path / "plain")  # no longer a checkpoint
    assert (tmp_path / "plain").stat().st_size < (tmp_path / "last.safetensors").stat().st_size / 2


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, copies(fit(folder).network)


@pytest.mark.parametrize("stop", [1, 5, 6, 7, 12, 13, 18])
def test_a_run_stopped_behind_any_step_ends_the_same(tmp_path, monkeypatch, whole_run, stop):
    whole, expected = whole_run
    words = fit_and_stop(monkeypatch, stop, tmp_path)
    place = f"epoch {(stop - 1) // 6 + 1}, step {(stop - 1) % 6 + 1}"
    assert words == (
        f"interrupted (SIGTERM) after {place}; {tmp_path}/last.safetensors holds it all; "
        "the network has the averaged weights"
    )
    trainer = fit(tmp_path, resume=True)
    assert_same_checkpoints(tmp_path, whole)
    assert_same_weights(trainer.network, expected)
    assert trainer.history["epoch"] == [1, 2, 3] and len(trainer.history["seconds"]) == 3


def test_a_run_stopped_while_it_validates_ends_the_same(tmp_path, monkeypatch, whole_run):
    evaluate, seen = ninc.Trainer.evaluate, []

    def evaluated(trainer, *args, **options):
        seen.append(1)
        if len(seen) == 2:  # with the averages in the network
            os.kill(os.getpid(), signal.SIGTERM)
        return evaluate(trainer, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(ninc.Trainer, "evaluate", evaluated)
        with pytest.raises(KeyboardInterrupt, match=r"\(SIGTERM\) after epoch 2, step 6"):
            fit(tmp_path)
    fit(tmp_path, resume=True)
    assert_same_checkpoints(tmp_path, whole_run[0])


def test_threads_change_no_byte_of_a_checkpoint(tmp_path, threads):
    for count in (1, 2, 5):
        threads(count)
        fit(tmp_path / str(count), epochs=1)
    assert_same_checkpoints(tmp_path / "1", tmp_path / "2")
    assert_same_checkpoints(tmp_path / "1", tmp_path / "5")


def test_the_papers_whitening_survives_a_resume(tmp_path, monkeypatch):
    options = dict(preprocessing="gcn_zca", epochs=1)
    whole = fit(tmp_path / "whole", **options).network
    fit_and_stop(monkeypatch, 2, tmp_path / "cut", **options)
    # The stored matrix counts: fitting it anew might give other bits on another machine.
    monkeypatch.setattr(ninc.preprocess.Preprocessing, "fit", None)
    cut = fit(tmp_path / "cut", resume=True, **options).network
    assert_same_checkpoints(tmp_path / "cut", tmp_path / "whole")
    pictures = list(bars(4).images)
    np.testing.assert_array_equal(cut.predict(pictures), whole.predict(pictures))


def test_early_stopping_resumes_with_its_best(tmp_path, monkeypatch):
    options = dict(
        epochs=6, patience=2, monitor="val_loss", min_delta=0.02,
        changed={"optimizer": ninc.SGD(0.4, momentum=0.9), "average": SWA(0.2, norm_batches=2)},
    )  # fmt: skip
    whole = fit(tmp_path / "whole", **options)
    fit_and_stop(monkeypatch, 15, tmp_path / "cut", **options)
    cut = fit(tmp_path / "cut", resume=True, **options)
    assert cut.history["val_loss"] == whole.history["val_loss"]
    assert_same_checkpoints(tmp_path / "cut", tmp_path / "whole")
    assert_same_weights(cut.network, ninc.load(tmp_path / "cut" / "best.safetensors"))


def test_a_resumed_history_has_its_columns_in_the_same_order(tmp_path, monkeypatch):
    whole = fit(tmp_path / "whole")
    fit_and_stop(monkeypatch, 14, tmp_path / "run")
    resumed = fit(tmp_path / "run", resume=True)
    assert [list(row) for row in resumed.history] == [list(row) for row in whole.history]
    lines = [(tmp_path / name / "history.jsonl").read_text() for name in ("whole", "run")]
    keys = [[list(json.loads(line)) for line in text.splitlines()] for text in lines]
    assert keys[0] == keys[1] and keys[0][0][:2] == ["epoch", "lr"]
    assert list(in_order({"own": 1.0, "loss": 0.5, "epoch": 2})) == ["epoch", "loss", "own"]


def test_history_is_mended_on_resume(tmp_path, monkeypatch):
    fit_and_stop(monkeypatch, 8, tmp_path)
    history = tmp_path / "history.jsonl"
    first = history.read_text()
    history.write_text(first + '{"epoch": 2, "loss": 1.0}\n{"epo')
    trainer = fit(tmp_path, resume=True)
    rows = [json.loads(line) for line in history.read_text().splitlines()]
    assert rows == trainer.history.rows and json.loads(first) == rows[0]
    history.unlink()  # then what the clock said is gone, and nothing else
    assert fit(tmp_path, resume=True).history["loss"] == trainer.history["loss"]


@pytest.mark.parametrize("every", ["", "10", "m", "10 m", "-3s", "1d", 0, -1])
def test_a_pace_that_makes_no_sense(every):
    with pytest.raises(ArgumentError, match="checkpoint_every"):
        Pace(every)


def test_paces(monkeypatch):
    assert not Pace(None).due(10**9)
    steps = Pace(3)
    assert [step for step in range(10) if steps.due(step) and steps.done(step) is None] == [3, 6, 9]
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    minutes = Pace("1.5m")
    now[0] = 89.0
    assert not minutes.due(10**9)
    now[0] = 90.0
    assert minutes.due(0)
    minutes.done(0)
    assert not minutes.due(1)
    assert (Pace("2h").seconds, Pace("7s").seconds) == (7200.0, 7.0)


def test_a_stream_is_trained_on_and_resumed(tmp_path, monkeypatch):
    data = bars()
    x, _ = as_floats(data)
    edges = (0, 16, 40, 60, 96)  # batches of several sizes

    def batches():
        for begin, end in zip(edges, edges[1:]):
            yield x[begin:end], data.labels[begin:end]

    held_out = Dataset(x[:32], data.labels[:32])

    def run(folder, **options):
        trainer = everything(small_network())
        stream = BatchStream(batches, data.classes)
        trainer.fit(
            stream, held_out, epochs=2, progress=False, checkpoint_dir=tmp_path / folder, **options
        )
        return trainer

    whole = run("whole")
    assert whole.stepper.steps == 8 and whole.network.classes == data.classes
    with interrupted_after(monkeypatch, 6):
        run("cut")
    run("cut", resume=True)
    assert_same_checkpoints(tmp_path / "cut", tmp_path / "whole")
    with pytest.raises(ArgumentError, match="stream cannot be split"):
        ninc.Trainer(small_network()).fit(BatchStream(batches), 0.5, progress=False)
    with pytest.raises(ArgumentError, match="needs its preprocessing first"):
        pictures = BatchStream([(data.images, data.labels)])
        ninc.Trainer(small_network()).fit(pictures, progress=False)
