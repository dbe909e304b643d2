"""Runs that are killed and resumed end with the bytes of a run that never was."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

import ninc
from ninc.schedules import Constant
from ninc.training.record.history import WALL_CLOCK
from ninc.training.stepper import Stepper
from support.processes import command, finished
from support.small_training import (
    assert_same_checkpoints,
    bars,
    everything,
    random_npz,
    small_network,
)

EPOCHS = 3
OPTIONS = (
    "--model", "nin-mnist", "--epochs", EPOCHS, "--batch-size", 8, "--held-out", 0.2,
    "--average", "ema:0.9", "--clip-norm", 1, "--schedule", "plateau", "--warmup", 0.5,
    "--patience", 3, "--momentum", 0.8, "--checkpoint-every", 3,
    "--augment",
    "padcrop:2,rotate:20:black,resizedcrop:0.6,jitter:0.2:0.2,alternatingflip,cutout:5",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return random_npz(tmp_path_factory.mktemp("data") / "columns.npz")


def start(data, folder, *options):
    """`ninc train` with everything that has a state switched on."""
    arguments = ("-o", folder / "net.safetensors", "--checkpoint", folder / "run", *OPTIONS)
    return command("train", data, *arguments, *options)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The folder of a run on one thread that was never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    status, _, err = finished(start(data, folder, "--threads", 1))
    assert status == 0, err
    return folder


def check_same(folder, whole):
    assert (folder / "net.safetensors").read_bytes() == (whole / "net.safetensors").read_bytes()
    assert_same_checkpoints(folder / "run", whole / "run")
    rows, expected = (
        [
            {name: value for name, value in json.loads(line).items() if name not in WALL_CLOCK}
            for line in (place / "run" / "history.jsonl").read_text().splitlines()
        ]
        for place in (folder, whole)
    )
    assert rows == expected and len(rows) == EPOCHS
    left = {path.name for path in (folder / "run").iterdir()} - {"history.png"}
    assert left == {"best.safetensors", "history.jsonl", "last.safetensors", "run.json"}


def until(process, happened):
    """Looks often whether `happened()`, for as long as the process runs."""
    while not happened():
        assert process.poll() is None, process.communicate()
        time.sleep(0.0005)


def changes(path: Path, count: int):
    """A question for `until`: whether the file has been replaced `count` times."""
    seen = set()

    def happened():
        if path.exists():
            seen.add(path.stat().st_mtime_ns)
        return len(seen) >= count

    return happened


def kill(process):
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def kill_before_any_checkpoint(process, run):
    until(process, (run / "run.json").exists)
    assert not (run / "last.safetensors").exists()
    kill(process)


def kill_within_an_epoch(process, run):
    until(process, changes(run / "last.safetensors", random.Random(1).randint(2, 3)))
    kill(process)


def kill_within_a_later_epoch(process, run):
    until(process, changes(run / "last.safetensors", random.Random(2).randint(5, 7)))
    kill(process)


def kill_behind_an_epoch(process, run):
    """Behind the line of history; the epoch's checkpoint may be there or not."""
    until(process, lambda: (run / "history.jsonl").exists()
          and (run / "history.jsonl").read_text().count("\n") == 2)  # fmt: skip
    kill(process)


def kill_while_writing(process, run):
    """With a checkpoint half written: the process stands still and its temporary file is there."""
    until(process, (run / "last.safetensors").exists)
    while True:
        until(process, lambda: any(run.glob(".ninc-*.tmp")))
        process.send_signal(signal.SIGSTOP)
        if any(run.glob(".ninc-*.tmp")):
            break
        process.send_signal(signal.SIGCONT)
    before = (run / "last.safetensors").read_bytes()
    kill(process)
    assert any(run.glob(".ninc-*.tmp"))
    assert (run / "last.safetensors").read_bytes() == before
    ninc.load(run / "last.safetensors")


@pytest.mark.parametrize(
    "kill_at, threads",
    [
        (kill_before_any_checkpoint, 1),
        (kill_within_an_epoch, 2),
        (kill_within_a_later_epoch, 1),
        (kill_behind_an_epoch, 5),
        (kill_while_writing, 1),
    ],
)
def test_a_killed_run_ends_as_if_it_never_was(data, whole, tmp_path, kill_at, threads):
    kill_at(start(data, tmp_path, "--threads", 1), tmp_path / "run")
    status, _, err = finished(start(data, tmp_path, "--resume", "--threads", threads))
    assert status == 0, err
    begun_anew = kill_at is kill_before_any_checkpoint
    assert ("nothing to resume" if begun_anew else "going on after epoch") in err
    check_same(tmp_path, whole)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_with_a_checkpoint_and_says_how_to_go_on(data, whole, tmp_path, name):
    process = start(data, tmp_path, "--threads", 2)
    until(process, changes(tmp_path / "run" / "last.safetensors", 2))
    process.send_signal(getattr(signal, name))
    status, out, err = finished(process)
    assert (status, out) == (1, "")
    last = err.splitlines()[-1]
    assert last.startswith(f"ninc: interrupted ({name}) after epoch ")
    assert f"go on with: ninc train {data} -o " in last and last.endswith(" --resume")
    assert not (tmp_path / "net.safetensors").exists()
    assert ninc.load(tmp_path / "run" / "last.safetensors").classes == list("01234")
    status, _, err = finished(start(data, tmp_path, "--resume"))
    assert status == 0, err
    check_same(tmp_path, whole)


def test_a_finished_run_is_resumed_to_the_same_file(data, whole, tmp_path):
    folder = tmp_path / "again"
    os.system(f"cp -r '{whole}' '{folder}'")
    (folder / "net.safetensors").unlink()
    status, out, err = finished(start(data, folder, "--resume", "--json"))
    assert status == 0 and "was finished already" in err
    results = json.loads(out)
    assert results["epochs"] == EPOCHS and 0 <= results["test_accuracy"] <= 1
    check_same(folder, whole)
    sessions = json.loads((folder / "run" / "run.json").read_text())["sessions"]
    assert [session["resumed"] for session in sessions] == [None, f"epoch {EPOCHS}"]


def test_the_run_folder_says_what_was_done(whole):
    about = json.loads((whole / "run" / "run.json").read_text())
    assert about["ninc"] == ninc.__version__ and about["target"] == ninc.target()
    assert about["sessions"][0]["command"].startswith("ninc train ")
    assert about["settings"]["seed"] == "0" and about["settings"]["clip_norm"] == "1.0"
    assert about["data"]["training"] + about["data"]["validation"] == 80
    assert about["results"]["epochs"] == EPOCHS
    lines = (whole / "run" / "history.jsonl").read_text().splitlines()
    assert about["results"]["last"] == json.loads(lines[-1])
    assert 0 <= about["results"]["last"]["waited"] <= 1


def test_settings_that_were_changed_on_the_way_are_resumed(tmp_path, monkeypatch):
    """The rate falls and decay and a group begin after the first epoch; then a signal comes."""

    class Falls(Constant):
        def observe(self, row):
            self.trainer.optimizer.lr = 0.01
            self.trainer.optimizer.weight_decay = 0.002
            self.trainer.optimizer.groups = [("*.bias", dict(lr_mult=2.0))]

    def run(folder, stop=None, **options):
        trainer = everything(small_network(), schedule=Falls(), average=None)
        trainer.schedule.trainer = trainer
        update = Stepper.update

        def counted(stepper, x, labels, settings):
            if settings["step"] == stop:
                os.kill(os.getpid(), signal.SIGTERM)
            return update(stepper, x, labels, settings)

        with monkeypatch.context() as patch:
            patch.setattr(Stepper, "update", counted)
            trainer.fit(
                bars(60), epochs=3, batch_size=20, checkpoint_dir=folder, progress=False, **options
            )
        return trainer

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", stop=7)
    resumed = run(tmp_path / "cut", resume=True)
    name = "last.safetensors"
    assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert resumed.history["lr"] == whole.history["lr"] == [0.1, 0.01, 0.01]
    assert resumed.history["weight_decay"] == whole.history["weight_decay"]
    assert whole.history["weight_decay"] == [1e-4, 0.002, 0.002]
