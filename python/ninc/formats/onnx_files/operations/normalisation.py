"""Batch norm, and normalisation across neighbouring channels."""

from __future__ import annotations

import numpy as np

from ....errors import ModelError
from ..sizes import Unsupported, dims_shown
from ..views import View
from ..walk import Job, Operation
from .weighted import expect_channels


def _batch_norm(job: Job) -> View:
    names = ("weight", "bias", "running_mean", "running_var")
    weights = {name: job.floats(place, name) for place, name in enumerate(names, 1)}
    for name, numbers in weights.items():
        if numbers.ndim != 1 or numbers.shape != weights["weight"].shape or not numbers.size:
            raise ModelError(
                f"{job.what}: its {name} has the shape {dims_shown(numbers.shape)}, a number for "
                "each channel is needed"
            )
    eps, kept = job.told.number("epsilon", 1e-5), job.told.number("momentum", 0.9)
    if eps <= 0.0:
        raise Unsupported(f"its epsilon is {eps:g}, a number above 0 is needed")
    if not 0.0 <= kept <= 1.0:
        raise Unsupported(f"its momentum is {kept:g}, a number from 0 to 1 is needed")
    if job.told.flag("training_mode", False):
        raise Unsupported(
            "its training_mode is set: it normalises by each batch's statistics; in inference, as "
            "model.eval() exports it, it does not"
        )
    if job.told.integer("spatial", 1) != 1:
        raise Unsupported("its spatial is 0: it has statistics for each place of a map")
    view = job.maps(job.view(0), (2, 4))
    channels = len(weights["weight"])
    expect_channels(job, view.step, channels)
    # ONNX's momentum is the share that is kept, ninc's and PyTorch's that which is new. The
    # shortest number that is the same float32, 0.9 for 0.8999999762, leaves the 0.1 that was meant.
    settings = dict(channels=channels, eps=eps, momentum=1.0 - float(str(np.float32(kept))))
    made = job.add("BatchNorm2d", [view.step], view.step.sizes, settings, weights)
    return View(made, view.axes)


def _local_response(job: Job) -> View:
    told = job.told
    size = told.integer("size", 0)
    alpha, beta, bias = (
        told.number(name, default)
        for name, default in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))
    )
    if size < 1 or size % 2 == 0:
        raise Unsupported(f"its size is {size}, an odd number of channels is needed")
    view = job.maps(job.view(0))
    settings = dict(size=size, alpha=alpha, beta=beta, k=bias)
    made = job.add("LocalResponseNorm", [view.step], view.step.sizes, settings)
    return View(made, view.axes)


OPERATIONS = {
    "BatchNormalization": Operation(_batch_norm, (5, 5)),
    "LRN": Operation(_local_response),
}
