"""A network, data and runs so small that a test can train several times."""

import contextlib
import os
import signal
import warnings

import numpy as np
import pytest

import ninc
from ninc import nn
from ninc.augment import Compose, Flip, PadCrop
from ninc.averages import EMA
from ninc.data import Dataset
from ninc.errors import Remark
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


def as_floats(data):
    """A data set's pictures as N×C×H×W float32 from 0 to 1, and its labels."""
    return data.images.transpose(0, 3, 1, 2).astype(np.float32) / 255, data.labels


def batch(count=16, seed=4):
    """`bars` as a trainer's step takes them."""
    return as_floats(bars(count, seed))


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


def fit_in(folder, network=None, train=None, seed=0, validation=True, changed=(), **options):
    """The trainer of a run with everything, two epochs of six steps, recorded in the folder."""
    trainer = everything(network or small_network(), seed, **dict(changed))
    held_out = bars(32, seed=1) if validation else None
    settings = dict(epochs=2, batch_size=16, progress=False, checkpoint_dir=folder)
    trainer.fit(bars() if train is None else train, held_out, **{**settings, **options})
    return trainer


def assert_same_checkpoints(one, other):
    """Two folders of runs hold the same last and best networks, byte for byte."""
    for name in ("last.safetensors", "best.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@contextlib.contextmanager
def remarks():
    """A list that has every remark of ninc's, as text, once the block has ended."""
    found = []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield found
    found += [str(warning.message) for warning in told if warning.category is Remark]


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


@contextlib.contextmanager
def interrupted_after(monkeypatch, steps):
    """The fit within is interrupted after its step number `steps`, and says so."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as stopped:
        stop_after(patch, steps)
        yield stopped


def random_npz(path, count=80):
    """28×28 pictures of five classes, a bright column each, as `ninc train` reads them."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 5, count)
    images = rng.integers(0, 120, (count, 28, 28, 1), dtype=np.uint8)
    for image, label in zip(images, labels):
        image[:, 4 + 4 * label : 7 + 4 * label] += 100
    np.savez(path, x=images, y=labels)
    return path
