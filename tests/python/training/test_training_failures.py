"""Failures of machine and numbers: one sentence, exit status 1, the last checkpoint whole."""

import os
import resource
import signal
import subprocess

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc._base.files import append_line
from ninc._base.interrupt import Interrupted, Interrupts
from ninc.data import Dataset
from ninc.errors import DivergedError, FileError
from ninc.training.record import checkpoint
from ninc.training.stepper import Stepper
from support.command_line import ninc_command
from support.processes import command, finished
from support.small_training import bars, everything, random_npz, small_network
from support.weights import assert_same_weights, copies


def train_command(data, run, *options, **more):
    return command(
        "train", data, "-o", run.parent / "net.safetensors", "--model", "nin-mnist", "--epochs", 2,
        "--batch-size", 8, "--limit", 8, "--checkpoint", run, *options, **more,
    )  # fmt: skip


def one_line(err):
    last = err.splitlines()[-1]
    assert last.startswith("ninc: ") and "Traceback" not in err
    return last


@pytest.fixture
def data(tmp_path):
    return random_npz(tmp_path / "data.npz")


def begin(data, run):
    """Begins a run and stops it; returns its checkpoint's bytes."""
    process = train_command(data, run, "--checkpoint-every", 1)
    while not (run / "last.safetensors").exists():
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    assert finished(process)[0] == 1
    return (run / "last.safetensors").read_bytes()


def check_intact(data, run, before):
    assert (run / "last.safetensors").read_bytes() == before
    ninc.load(run / "last.safetensors")
    status, _, err = finished(train_command(data, run, "--resume"))
    assert status == 0, err
    assert not list(run.glob(".*"))


def test_a_write_that_fails_leaves_the_last_checkpoint(data, tmp_path):
    run = tmp_path / "run"
    before = begin(data, run)

    def small_files():  # a checkpoint has 2.8 MB
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    options = ("--resume", "--checkpoint-every", 1)
    status, _, err = finished(train_command(data, run, *options, before=small_files))
    assert status == 1
    assert "last.safetensors: " in one_line(err) and "too large" in one_line(err)
    check_intact(data, run, before)


def test_a_full_disk_leaves_the_last_checkpoint(data, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "none", str(run)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount a small disk")
    try:
        before = begin(data, run)
        free = os.statvfs(run)
        (run / "ballast").write_bytes(bytes(free.f_bavail * free.f_frsize - 1_000_000))
        options = ("--resume", "--checkpoint-every", 1)
        status, _, err = finished(train_command(data, run, *options))
        assert status == 1
        assert "last.safetensors: " in one_line(err)
        assert "no space left on device" in one_line(err).lower()
        (run / "ballast").unlink()
        check_intact(data, run, before)
    finally:
        subprocess.run(["umount", "-l", str(run)], check=True)


def test_a_history_that_cannot_be_written_is_told():
    with pytest.raises(FileError, match="/dev/full: cannot write .no space left on device"):
        append_line("/dev/full", "{}")


def test_a_folder_that_cannot_be_made_is_told(data, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        words = ("train", data, "-o", tmp_path / "n", "--model", "nin-mnist")
        assert ninc_command(*words, "--checkpoint", folder) == 1
        assert f"{folder}: cannot make this folder" in one_line(capsys.readouterr().err)


def test_too_little_memory_is_told(data, tmp_path, monkeypatch):
    run = tmp_path / "run"
    before = begin(data, run)
    with monkeypatch.context() as patch:
        patch.setenv("NINC_MEMORY_LIMIT", "1000000")
        status, _, err = finished(train_command(data, run, "--resume"))
    assert status == 1
    assert "MiB are needed" in one_line(err)
    check_intact(data, run, before)


def test_memory_that_ends_within_a_step_is_told_with_advice(monkeypatch):
    def exhausted(*_):
        raise ninc.OutOfMemoryError("activations: 900 MiB are needed, and 5 MiB are free")

    monkeypatch.setattr(Stepper, "update", exhausted)
    with pytest.raises(ninc.OutOfMemoryError, match="5 MiB are free; a smaller batch size"):
        ninc.Trainer(small_network()).fit(bars(), epochs=1, progress=False)


# ---- Numbers that stop being finite --------------------------------------------------------------


def test_a_rate_far_too_high_names_epoch_step_and_layer(data, tmp_path, capsys):
    run = tmp_path / "run"
    words = ["train", data, "-o", tmp_path / "n", "--model", "nin-mnist", "--limit", 8]
    words += ["--batch-size", 8, "--lr", 1e30, "--checkpoint", run, "--checkpoint-every", 1]
    assert ninc_command(*words) == 1
    words = one_line(capsys.readouterr().err)
    assert "at epoch 1, step " in words
    assert "not finite first is the output of bn_conv1 (BatchNorm2d); try a rate below " in words
    assert not (tmp_path / "n").exists()
    if (run / "last.safetensors").exists():
        values = ninc.load(run / "last.safetensors").state_dict().values()
        assert all(np.isfinite(value).all() for value in values)


def spoilt(name, value):
    network = small_network()
    weight = network.state_dict()[name].copy()
    weight.flat[0] = value
    network.core.set_parameters({name: weight})
    return network


def test_the_layer_where_it_began_is_named_and_nothing_changes():
    names = list(small_network().parameters())
    for name in (names[0], names[-2]):
        network = spoilt(name, np.nan)
        before = copies(network)
        layer = name.rpartition(".")[0]
        expected = f"became nan at epoch 1, step 1: not finite first is {name} of {layer} .Conv2d."
        with pytest.raises(DivergedError, match=expected):
            ninc.Trainer(network).fit(bars(), epochs=1, batch_size=16, progress=False)
        assert_same_weights(network, before)


def test_an_output_that_overflows_is_named():
    network = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 2, 1), nn.GlobalAvgPool2d())
    for name, value in network.parameters().items():
        if value.ndim == 4:
            network.core.set_parameters({name: np.full(value.shape, 1e30, np.float32)})
    second = [name for name, value in network.parameters().items() if value.ndim == 4][1]
    with pytest.raises(DivergedError, match=f"the output of {second.rpartition('.')[0]} .Conv2d."):
        ninc.Trainer(network).fit(bars(), epochs=1, batch_size=16, progress=False)


def test_weights_that_one_step_ruins_are_not_taken_for_a_result(tmp_path, monkeypatch):
    network = small_network()

    def ruin(*_):
        name, value = next(iter(network.parameters().items()))
        network.core.set_parameters({name: np.full(value.shape, np.inf, np.float32)})
        return 1.0, 0, True  # the loss before it was a number

    monkeypatch.setattr(Stepper, "update", ruin)
    with pytest.raises(DivergedError, match="holds numbers that are not finite after epoch 1"):
        ninc.Trainer(network).fit(
            bars(), validation=bars(), epochs=1, progress=False, checkpoint_dir=tmp_path
        )
    assert not (tmp_path / "best.safetensors").exists()


@pytest.mark.parametrize("patience", [None, 4])
@pytest.mark.parametrize("folder", [False, True])
def test_an_interrupt_does_not_save_what_a_step_has_ruined(tmp_path, monkeypatch, folder, patience):
    """A signal right after the step, before anything has looked at the weights."""
    update, done = Stepper.update, []

    def ruin(*args):
        result = update(*args)
        done.append(1)
        if len(done) == 8:  # the second epoch's second
            name, value = next(iter(trainer.network.parameters().items()))
            trainer.network.core.set_parameters({name: np.full(value.shape, np.nan, np.float32)})
            os.kill(os.getpid(), signal.SIGTERM)
        return result

    monkeypatch.setattr(Stepper, "update", ruin)
    trainer = ninc.Trainer(small_network())
    with pytest.raises(DivergedError, match="not finite after epoch 2, step 2") as stop:
        trainer.fit(bars(), bars(32, 1), epochs=5, batch_size=16, progress=False,
                    patience=patience, checkpoint_dir=tmp_path if folder else None)  # fmt: skip
    if patience:
        assert "the network has the best weights, those of epoch 1" in str(stop.value)
        assert all(np.isfinite(value).all() for value in trainer.network.state_dict().values())
    if folder:
        assert checkpoint.load(tmp_path / "last.safetensors").state.epoch == 1


def test_images_that_are_not_finite_are_blamed():
    x = np.zeros((16, 1, 8, 8), np.float32)
    x[3, 0, 2, 2] = np.inf
    with pytest.raises(DivergedError, match="epoch 1, step 1: the images of this batch are not"):
        ninc.Trainer(small_network()).fit((x, np.arange(16) % 2), epochs=1, progress=False)


def test_the_last_good_checkpoint_is_named(tmp_path):
    def cliff(epoch, epochs):
        return 1e30 if epoch >= 1 else 1.0

    trainer = everything(small_network(), schedule=cliff)
    with pytest.raises(DivergedError, match="epoch 2, step .*last.safetensors is the last good"):
        trainer.fit(bars(), epochs=3, batch_size=16, progress=False, checkpoint_dir=tmp_path)
    assert checkpoint.load(tmp_path / "last.safetensors").state.epoch == 1


@pytest.mark.parametrize("folder", [False, True])
def test_with_patience_the_best_weights_are_not_lost(tmp_path, folder):
    def cliff(epoch, epochs):
        return 1e30 if epoch >= 2 else 1.0

    trainer, other = (everything(small_network(), schedule=None, average=None) for _ in range(2))
    trainer.schedule = cliff
    folder = tmp_path if folder else None
    with pytest.raises(DivergedError, match=r"epoch 3, .*the network has the best weights, those"):
        trainer.fit(bars(), bars(32, 1), epochs=4, batch_size=16, progress=False, patience=3,
                    checkpoint_dir=folder)  # fmt: skip
    found = trainer.history["val_accuracy"]
    other.fit(bars(), epochs=found.index(max(found)) + 1, batch_size=16, progress=False)
    assert_same_weights(trainer.network, other.network)


def test_numbers_that_are_not_finite_reach_no_checkpoint(tmp_path):
    trainer = everything(small_network())
    trainer.fit(bars(), bars(), epochs=1, progress=False, checkpoint_dir=tmp_path)
    last = tmp_path / "last.safetensors"
    before, found = last.read_bytes(), checkpoint.load(last)
    name = next(iter(trainer.network.parameters()))
    network = spoilt(name, np.inf)
    with pytest.raises(DivergedError, match=f"{name} holds numbers that are not finite"):
        checkpoint.save(last, network.core, trainer.stepper.core, found.state, found.settings)
    assert last.read_bytes() == before


# ---- Signals -------------------------------------------------------------------------------------


def test_the_first_signal_waits_and_the_second_does_not(own_handler):
    told, before = [], signal.getsignal(signal.SIGTERM)
    with Interrupts(told.append) as interrupts:
        interrupts.check()
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.requested == "SIGINT" and len(told) == 1
        with pytest.raises(Interrupted) as stop:
            interrupts.check()
        assert stop.value.signal == "SIGINT"
        with pytest.raises(KeyboardInterrupt, match="at once"):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_programs_own_handlers_are_left_alone():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
    try:
        with Interrupts(print) as interrupts:
            os.kill(os.getpid(), signal.SIGTERM)
            assert seen == [1] and interrupts.requested is None
    finally:
        signal.signal(signal.SIGTERM, before)


def test_training_in_another_thread_touches_no_handler():
    import threading

    before = signal.getsignal(signal.SIGINT)
    inside = []

    def work():
        trainer = ninc.Trainer(small_network())
        trainer.schedule = lambda *_: inside.append(signal.getsignal(signal.SIGINT)) or 1.0
        trainer.fit(bars(32), epochs=1, batch_size=16, progress=False)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before, before]


def test_a_signal_without_a_folder_leaves_the_finished_steps():
    trainer = ninc.Trainer(small_network())

    def stop(epoch, epochs):
        if epoch >= 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return 1.0

    trainer.schedule = stop
    words = r"interrupted \(SIGTERM\) after epoch 3, step 1; the network has the last weights$"
    with pytest.raises(Interrupted, match=words):
        trainer.fit(Dataset(bars().images, bars().labels), epochs=5, batch_size=32, progress=False)
    assert trainer.history["epoch"] == [1, 2] and trainer.stepper.steps == 7
