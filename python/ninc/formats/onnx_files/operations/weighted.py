"""Convolutions and linear layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....errors import ModelError
from ..sizes import Unknown, Unsupported, dims_shown, product
from ..steps import Array, Sizes, Step
from ..views import Atom, View, axis_of, view_as
from ..walk import Job, Operation
from .windows import output_sizes, window_of


def _conv(job: Job) -> View:
    weight = job.floats(1, "weight")
    bias = job.floats(2, "bias") if job.has(2) else None
    groups = job.told.integer("group", 1)
    if weight.ndim != 4:
        raise Unsupported(
            f"its weight has the shape {dims_shown(weight.shape)}, only kernels of two axes are "
            "known"
        )
    outputs, depth, *kernel = weight.shape
    if groups < 1 or min(weight.shape) < 1 or outputs % groups:
        raise ModelError(
            f"{job.what}: its weight has the shape {dims_shown(weight.shape)}, for {groups} groups"
        )
    if bias is not None and bias.shape != (outputs,):
        raise ModelError(
            f"{job.what}: its bias has the shape {dims_shown(bias.shape)}, its weight needs "
            f"{outputs}"
        )
    # Without a size at hand, settings that cannot be taken over are told all the same.
    view = job.maps(job.view(0))
    sizes = view.step.sizes
    expect_channels(job, view.step, depth * groups)
    window = window_of(job, sizes, (kernel[0], kernel[1]))
    settings = dict(
        in_channels=depth * groups,
        out_channels=outputs,
        kernel_size=window.kernel,
        stride=window.stride,
        padding=window.padding,
        dilation=window.dilation,
        groups=groups,
        bias=bias is not None,
    )
    made = output_sizes(job, sizes, window, outputs)
    weights = {"weight": weight} | ({} if bias is None else {"bias": bias})
    return view_as(job.add("Conv2d", [view.step], made, settings, weights), "NCHW")


def expect_channels(job: Job, x: Step, channels: int) -> None:
    """ModelError where the value has another number of channels."""
    have = x.sizes.C
    if not isinstance(have, Unknown) and have != channels:
        raise ModelError(
            f"{job.what}: its weight is for {channels:,} channels, and it is given {have:,}"
        )


# ---- Products with a matrix ----------------------------------------------------------------------


def _gemm(job: Job) -> View:
    matrix = job.floats(1, "second matrix")
    shift = job.floats(2, "third matrix") if job.has(2) else None
    alpha, beta = job.told.number("alpha", 1.0), job.told.number("beta", 1.0)
    if job.told.flag("transA", False):
        raise Unsupported("it transposes the batch")
    if matrix.ndim != 2:
        raise ModelError(f"{job.what}: its second matrix has the shape {dims_shown(matrix.shape)}")
    if job.told.flag("transB", False):
        matrix = matrix.T
    if alpha != 1.0:
        matrix = _scaled(matrix, alpha)
    outputs = matrix.shape[1]
    if shift is not None:
        if beta != 1.0:
            shift = _scaled(shift, beta)
        if shift.ndim > 2 or shift.size not in (1, outputs) or shift.shape[-1:] not in (
            (), (1,), (outputs,),
        ):  # fmt: skip
            raise Unsupported(
                f"its third matrix has the shape {dims_shown(shift.shape)}, only one number for "
                "each output is known"
            )
        shift = np.broadcast_to(shift.reshape(-1), (outputs,))
    view = job.view(0)
    if len(view.axes) != 2:
        raise ModelError(f"{job.what}: it is given {view}, and takes a matrix")
    return product_with(job, view, matrix, shift)


def _scaled(numbers: Array, factor: float) -> Array:
    with np.errstate(all="ignore"):
        return (numbers.astype(np.float64) * factor).astype(numbers.dtype)


def _matmul(job: Job) -> View:
    if isinstance(job.value(0), View) and isinstance(job.value(1), View):
        raise Unsupported("both of its inputs depend on the picture")
    if not isinstance(job.value(0), View):
        raise Unsupported("its first input is a constant, only the second can be")
    matrix = job.floats(1, "second input")
    if matrix.ndim < 2 or any(size != 1 for size in matrix.shape[:-2]):
        raise Unsupported(
            f"its second input has the shape {dims_shown(matrix.shape)}, a matrix is needed"
        )
    view = job.view(0)
    if matrix.ndim > max(2, len(view.axes)):
        raise Unsupported(f"it makes more axes of {view}")
    return product_with(job, view, matrix.reshape(matrix.shape[-2:]), None)


def product_with(job: Job, view: View, matrix: Array, shift: Array | None) -> View:
    """y = x @ matrix + shift over the view's last axis: matrix: inputs×outputs.

    A linear layer where that axis is all of a picture, a 1×1 convolution where it is the channels
    of a map.
    """
    inputs, outputs = matrix.shape
    if not view.axes or min(matrix.shape) < 1:
        raise ModelError(f"{job.what}: multiplies {view} with {dims_shown(matrix.shape)}")
    last, step = view.axes[-1], view.step
    size = product(atom.size for atom in last)
    if isinstance(size, int) and size != inputs:
        raise ModelError(f"{job.what}: its matrix has {inputs:,} rows, and it is given {view}")
    letters = [view.letter(axis) for axis in range(len(view.axes))]
    weights = {} if shift is None else {"bias": shift}
    is_channels = letters[-1] == "C" or (not last and step.sizes.C == 1)
    if is_channels and not step.is_pixel:
        settings = dict(
            in_channels=inputs,
            out_channels=outputs,
            kernel_size=1,
            padding=(0, 0, 0, 0),
            bias=shift is not None,
        )
        kernel = {"weight": matrix.T.reshape(outputs, inputs, 1, 1)}
        sizes = step.sizes.changed(C=outputs)
        made = job.add("Conv2d", [step], sizes, settings, kernel | weights)
        return View(made, (*view.axes[:-1], axis_of(made, "C")))
    if not is_channels:
        step, matrix = _flattened(job, view, matrix)
        letters = ["N" if axis and axis[0].letter == "N" else "" for axis in view.axes]
        letters[-1] = "C"
    settings = dict(in_features=inputs, out_features=outputs, bias=shift is not None)
    sizes = Sizes(step.sizes.N, outputs, 1, 1)
    made = job.add("Linear", [step], sizes, settings, {"weight": matrix.T} | weights)
    return view_as(made, [*letters[:-1], "C"])


def _flattened(job: Job, view: View, matrix: Array) -> tuple[Step, Array]:
    """The value as one row a picture, C×H×W, and the matrix with its rows in that order."""
    last, step = view.axes[-1], view.step
    others = [atom for axis in view.axes[:-1] for atom in axis]
    if any(atom.letter == "N" for atom in last) or [a.letter for a in others] != ["N"]:
        raise Unsupported(
            f"it is given {view}, whose last axis is neither the channels nor all of a picture"
        )
    is_in_order = [atom.letter for atom in last] == sorted({atom.letter for atom in last})
    if not is_in_order:
        matrix = _reordered(last, matrix)
    if step.is_pixel:
        return step, matrix
    return job.flat(step, last), matrix


def _reordered(atoms: Sequence[Atom], matrix: Array) -> Array:
    """Rows that stand for these atoms, the outermost first, in the order C, H, W."""
    if any(isinstance(atom.size, Unknown) for atom in atoms):
        raise Unsupported("it reads a map with the channels last, whose size the file leaves open")
    dims = [int(atom.size) for atom in atoms]
    order = sorted(range(len(atoms)), key=lambda one: (atoms[one].letter, -int(atoms[one].stride)))
    turned = matrix.reshape(*dims, -1).transpose(*order, len(dims))
    return turned.reshape(matrix.shape)


OPERATIONS = {
    "Conv": Operation(_conv, (2, 3)),
    "Gemm": Operation(_gemm, (2, 3)),
    "MatMul": Operation(_matmul, (2, 2)),
}
