"""A network, data and runs so small that a test can train several times."""

import os
import signal
import subprocess
import sys

import numpy as np

import ninc
from ninc import nn
from ninc.augment import Compose, Flip, PadCrop
from ninc.averages import EMA
from ninc.data import Dataset
from ninc.schedules import Plateau, Warmup
from ninc.training.stepper import Stepper


def small_network(classes=2):
    return nn.Sequential(
        nn.MlpConv(1, (8, 8), 3, padding=1, batch_norm=True),
        nn.MaxPool2d(2),
        nn.Dropout(0.2),
        nn.MlpConv(8, (8, classes), 3, padding=1, logits=True),
        nn.GlobalAvgPool2d(),
        seed=3,
    )


def bars(count=96, seed=0):
    """uint8 pictures of an upright or a lying bar, labels 1 and 0."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, 8, 8, 1), dtype=np.uint8)
    labels = rng.integers(0, 2, count)
    for image, label, place in zip(images, labels, rng.integers(1, 7, count)):
        if label:
            image[:, place] += 180
        else:
            image[place] += 180
    return Dataset(images, labels, ["lying", "upright"])


def everything(network, seed=0, **changed):
    """A trainer with all that has a state switched on."""
    settings = dict(
        optimizer=ninc.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-4, clip_norm=0.5),
        schedule=Warmup(0.5, then=Plateau(patience=1, gamma=0.5)),
        augment=Compose(PadCrop(1), Flip()),
        label_smoothing=0.1,
        average=EMA(0.9, norm_batches=3),
        seed=seed,
    )
    return ninc.Trainer(network, **{**settings, **changed})


def random_npz(path, count=80):
    """28×28 pictures of five classes, a bright column each, as `ninc train` reads them."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 5, count)
    images = rng.integers(0, 120, (count, 28, 28, 1), dtype=np.uint8)
    for image, label in zip(images, labels):
        image[:, 4 + 4 * label : 7 + 4 * label] += 100
    np.savez(path, x=images, y=labels)
    return path


def stop_after(monkeypatch, steps, name="SIGTERM"):
    """Has the fit interrupted by a signal after its step number `steps`."""
    update, done = Stepper.update, []

    def counted(*args):
        result = update(*args)
        done.append(1)
        if len(done) == steps:
            os.kill(os.getpid(), getattr(signal, name))
        return result

    monkeypatch.setattr(Stepper, "update", counted)


def _hear_signals():
    """A test run in the background ignores Ctrl-C, under nohup SIGHUP; children inherit that."""
    for name in ("SIGINT", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def command(*args, **options):
    """`ninc ARGS` in a process of its own, which the caller waits for or kills."""
    return subprocess.Popen(
        [sys.executable, "-m", "ninc", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        preexec_fn=options.pop("before", _hear_signals),
        **options,
    )


def finished(process):
    """(exit status, stdout, stderr) of a process that ends by itself."""
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err
