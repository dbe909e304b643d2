"""Model files, and what a trainer's checkpoint has in them beside the network."""

from __future__ import annotations

import os

from .. import _core

# A checkpoint is a model file with an entry in its metadata that tells where the run stands, and
# arrays, these before the parameters' names.
TRAINING = "training"
VELOCITY, AVERAGE = "velocity:", "average:"


def load_model(path: str) -> _core.Model:
    """The network in a file; what a checkpoint has besides is left out."""
    model = _core.Model.load(os.fsencode(path))
    forget_training(model)
    return model


def forget_training(model: _core.Model) -> None:
    """Leaves of a checkpoint's model what it is as a network; changes no other model."""
    metadata = model.metadata()
    if metadata.pop(TRAINING, None) is None:
        return
    model.set_metadata(metadata)
    for name in model.extras():
        if name.startswith((VELOCITY, AVERAGE)):
            model.remove_extra(name)
