"""Reads model files, and leaves out what a trainer's checkpoint has in them beside the network."""

from __future__ import annotations

import os

from .. import _core

# A checkpoint is a model file that also has an entry in its metadata for where the run stands, and
# arrays, whose names are parameters' names after these prefixes.
TRAINING = "training"
VELOCITY, AVERAGE = "velocity:", "average:"


def load_model(path: str) -> _core.Model:
    """The network in a file, without what a checkpoint has besides."""
    model = _core.Model.load(os.fsencode(path))
    forget_training(model)
    return model


def forget_training(model: _core.Model) -> None:
    """Takes out of a checkpoint's model what is not the network; changes no other model."""
    if TRAINING not in model.metadata():
        return
    arrays = [name for name in model.extras() if name.startswith((VELOCITY, AVERAGE))]
    model.change({TRAINING: None}, dict.fromkeys(arrays))
