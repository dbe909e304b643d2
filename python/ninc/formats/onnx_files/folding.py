"""Constants of constants, by numpy: the shape arithmetic that exporters write, weights turned.

Sizes that are not known lie in arrays of objects among the whole numbers, as `sizes.Unknown`. What
grows beyond its inputs is measured before it is made, so that a small file asks for little memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import ModelError
from .sizes import Unknown, Unsupported, divided, product
from .steps import Array
from .walk import Job, Operation

_MANY = 100_000  # inputs of one node

# ONNX's numbers of types that constants are cast to; floats of 16 bits are rounded to them.
_CASTS = {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64,
    9: np.bool_, 10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64,
}  # fmt: skip


def fold(
    make: Callable[[Job], Any], inputs: tuple[int, int] = (1, 1), outputs: int = 1
) -> Operation:
    """An operation on constants; what numpy cannot compute is a fault of the file."""

    def checked(job: Job) -> Any:
        try:
            with np.errstate(all="ignore"):
                given = make(job)
        except (ArithmeticError, IndexError, TypeError, ValueError) as error:
            words = " ".join(str(error).split())[:200]
            raise ModelError(
                f"{job.what}: cannot be computed of its constants ({words})"
            ) from error
        given = [np.asarray(one) for one in (given if isinstance(given, list) else [given])]
        for one in given:
            job.walk.program.tensors.budget.take(one.nbytes, f"what {job.node} gives")
        return given

    return Operation(checked, inputs, outputs)


def room(job: Job, dims: Sequence[int], dtype: Any) -> None:
    """ModelError where there is no room for an array of this shape; it is made later."""
    budget = job.walk.program.tensors.budget
    count = math.prod(int(one) for one in dims) * np.dtype(dtype).itemsize
    if count > budget.left:
        budget.take(count, f"what {job.node} gives")


def array_of_sizes(sizes: Sequence[Any]) -> Array:
    """Sizes as a constant: int64, or objects where some are unknown."""
    if any(isinstance(one, Unknown) for one in sizes):
        made = np.empty(len(sizes), object)
        made[:] = list(sizes)
        return made
    return np.array(list(sizes), np.int64)


def axes_of(job: Job, place: int, rank: int, default: Sequence[int] | None = None) -> list[int]:
    """Axes that are an attribute in older opsets and an input in newer ones, from 0 on."""
    told = job.told.integers("axes")
    if told is None and job.has(place):
        told = job.integers(place, "axes")
    if told is None:
        told = list(default) if default is not None else []
    if not all(-rank <= one < rank for one in told) or len({one % rank for one in told}) < len(
        told
    ):
        raise ModelError(f"{job.what}: its axes are {told}, of {rank}")
    return [one % rank for one in told]


# ---- Constants -----------------------------------------------------------------------------------


def _constant(job: Job) -> Array:
    tensor = job.told.tensor("value")
    if tensor is not None:
        return job.walk.program.tensors.read(tensor, job.node.name)
    if "value_float" in job.told:
        return np.array(job.told.any_number("value_float", 0.0), np.float32)
    if "value_int" in job.told:
        return np.array(job.told.integer("value_int", 0), np.int64)
    floats, ints = job.told.numbers("value_floats"), job.told.integers("value_ints")
    if floats is not None:
        return np.array(floats, np.float32)
    if ints is not None:
        return np.array(ints, np.int64)
    raise Unsupported("its value is of a kind that is not known")


def _constant_of_shape(job: Job) -> Array:
    dims = job.integers(0, "shape")
    tensor = job.told.tensor("value")
    value = np.zeros(1, np.float32)
    if tensor is not None:
        value = job.walk.program.tensors.read(tensor, "value")
    room(job, dims, value.dtype)
    return np.full(dims, value.reshape(-1)[0])


def shape_of(job: Job, dims: Sequence[Any]) -> Array:
    start, end = job.told.integer("start", 0), job.told.integer("end", len(dims))
    return array_of_sizes(list(dims)[slice(start, end)])


def _cast(job: Job) -> Array:
    to = job.told.integer("to", 0)
    job.told.ignore("saturate", "round_mode")
    numbers = job.constant(0, "input")
    if to not in _CASTS:
        raise Unsupported(f"it casts to ONNX's type {to}")
    if numbers.dtype == object:
        if np.dtype(_CASTS[to]).kind not in "iu":
            raise Unsupported("it makes a float of a size that is not known")
        return numbers
    cast: Array = numbers.astype(_CASTS[to])
    return cast.astype(np.float32) if to == 10 else cast


# ---- Their axes ----------------------------------------------------------------------------------


def _reshape(job: Job) -> Array:
    numbers = job.constant(0, "input")
    return numbers.reshape([int(one) for one in target(job, 1, numbers.shape)])


def target(job: Job, place: int, shape: Sequence[Any]) -> list[Any]:
    """The shape that a Reshape asks for, with 0 for the input's own size written out."""
    dims = job.dims(place, "shape")
    keeps_zero = job.told.flag("allowzero", False)
    for axis, size in enumerate(dims):
        if isinstance(size, int) and size == 0:
            if keeps_zero:
                raise Unsupported("its shape has an axis of no size")
            if axis >= len(shape):
                raise ModelError(f"{job.what}: its shape keeps axis {axis}, of {len(shape)}")
            dims[axis] = shape[axis]
        elif isinstance(size, int) and size < -1:
            raise ModelError(f"{job.what}: its shape has an axis of size {size}")
    if sum(isinstance(one, int) and one == -1 for one in dims) > 1:
        raise ModelError(f"{job.what}: its shape leaves more than one axis open")
    return dims


def _squeeze(job: Job) -> Array:
    numbers = job.constant(0, "input")
    axes = axes_of(job, 1, numbers.ndim)
    if not axes and not job.has(1) and "axes" not in job.told:
        return np.squeeze(numbers)
    return np.squeeze(numbers, tuple(axes))


def _unsqueeze(job: Job) -> Array:
    numbers = job.constant(0, "input")
    told = job.told.integers("axes")
    count = len(job.integers(1, "axes") if told is None else told)
    return np.expand_dims(numbers, tuple(axes_of(job, 1, numbers.ndim + count)))


def _transpose(job: Job) -> Array:
    return job.constant(0, "input").transpose(job.told.integers("perm"))


def _flatten(job: Job) -> Array:
    numbers, axis = job.constant(0, "input"), job.told.integer("axis", 1)
    axis += numbers.ndim if axis < 0 else 0
    return numbers.reshape(math.prod(numbers.shape[:axis]), -1)


def _concat(job: Job) -> Array:
    parts = [job.constant(place, "input") for place in range(len(job))]
    room(job, [sum(part.nbytes for part in parts)], np.uint8)
    return np.concatenate(parts, job.told.integer("axis", 0))


def _slice(job: Job) -> Array:
    numbers = job.constant(0, "input")
    where = [slice(None)] * numbers.ndim
    for axis, start, stop, step in slices(job, numbers.ndim):
        # A stop before the first place is what -1 would say, which Python counts from the end.
        is_whole = step < 0 and stop < -numbers.shape[axis]
        where[axis] = slice(start, None if is_whole else stop, step)
    return numbers[tuple(where)]


def slices(job: Job, rank: int) -> list[tuple[int, int, int, int]]:
    """(axis, start, stop, step) of a Slice; attributes before opset 10, inputs after."""
    if job.opset < 10:
        starts, stops = job.told.integers("starts", []), job.told.integers("ends", [])
        axes, steps = job.told.integers("axes"), None
    else:
        starts, stops = job.integers(1, "starts"), job.integers(2, "ends")
        axes = job.integers(3, "axes") if job.has(3) else None
        steps = job.integers(4, "steps") if job.has(4) else None
    starts, stops = starts or [], stops or []
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(stops) == len(axes) == len(steps):
        raise ModelError(f"{job.what}: its starts, ends, axes and steps are not as many")
    if not all(-rank <= axis < rank for axis in axes) or 0 in steps:
        raise ModelError(f"{job.what}: has axes {axes} of {rank}, and steps {steps}")
    return [(a % rank, b, e, s) for a, b, e, s in zip(axes, starts, stops, steps)]


def _gather(job: Job) -> Array:
    numbers, axis = job.constant(0, "input"), job.told.integer("axis", 0)
    chosen = job.constant(1, "indices").astype(np.int64)
    if not -numbers.ndim <= axis < numbers.ndim:
        raise ModelError(f"{job.what}: gathers along axis {axis} of {numbers.ndim}")
    others = numbers.size // max(1, numbers.shape[axis])
    room(job, [chosen.size, others], numbers.dtype)
    return np.take(numbers, chosen, axis)


def _expand(job: Job) -> Array:
    numbers = job.constant(0, "input")
    dims = np.broadcast_shapes(numbers.shape, tuple(job.integers(1, "shape")))
    room(job, dims, numbers.dtype)
    return np.broadcast_to(numbers, dims).copy()


def _tile(job: Job) -> Array:
    numbers, times = job.constant(0, "input"), job.integers(1, "repeats")
    room(job, [*numbers.shape, *times], numbers.dtype)
    return np.tile(numbers, times)


def _range(job: Job) -> Array:
    start, stop, step = (float(job.constant(place, "limits").reshape(())) for place in range(3))
    room(job, [max(0, math.ceil((stop - start) / step))], np.int64)
    return np.arange(start, stop, step).astype(job.constant(0, "start").dtype)


def _split(job: Job) -> list[Array]:
    numbers, axis = job.constant(0, "input"), job.told.integer("axis", 0)
    parts = split_sizes(job, numbers.shape[axis])
    return np.split(numbers, np.cumsum(parts)[:-1], axis)


def split_sizes(job: Job, size: Any) -> list[int]:
    """How long each part of a Split is; `size` is that of the whole."""
    told = job.told.integers("split")
    if told is None and job.has(1):
        told = job.integers(1, "split")
    count = job.told.integer("num_outputs", len(job.node.outputs))
    if told is None:
        if isinstance(size, Unknown) or count < 1:
            raise Unsupported("it splits an axis whose size is not known")
        part = -(-size // count)
        told = [part] * (count - 1) + [size - part * (count - 1)]
    if any(one < 0 for one in told) or (isinstance(size, int) and sum(told) != size):
        raise ModelError(f"{job.what}: splits {size} into {told}")
    if len(told) < len(job.node.outputs):
        raise ModelError(f"{job.what}: gives {len(job.node.outputs)} parts of {len(told)}")
    return told


# ---- Arithmetic ----------------------------------------------------------------------------------


def _elementwise(function: Callable[..., Any], count: int | None) -> Operation:
    def make(job: Job) -> Any:
        parts = [job.constant(place, "input") for place in range(len(job))]
        dims = np.broadcast_shapes(*(part.shape for part in parts))
        room(job, dims, np.result_type(*parts))
        result = parts[0]
        if count == 1:
            return function(result)
        for part in parts[1:] if count is None or count == 2 else ():
            result = function(result, part)
        return function(*parts) if count == 3 else result

    return fold(make, (count, count) if count else (1, _MANY))


def _divide(a: Array, b: Array) -> Array:
    """Whole numbers are divided towards 0, as in C."""
    if a.dtype == object or b.dtype == object:
        return np.floor_divide(a.astype(object), b.astype(object))
    if a.dtype.kind in "iu" and b.dtype.kind in "iu":
        if (b == 0).any():
            raise ZeroDivisionError("a whole number divided by 0")
        quotient = np.abs(a) // np.abs(b)
        return np.where((a < 0) != (b < 0), -quotient, quotient).astype(a.dtype)
    return np.divide(a, b)


def _reduction(function: Callable[..., Any]) -> Operation:
    def make(job: Job) -> Array:
        numbers = job.constant(0, "input")
        axes = axes_of(job, 1, max(1, numbers.ndim))
        keeps = job.told.flag("keepdims", True)
        if not axes and job.told.flag("noop_with_empty_axes", False):
            return numbers
        if numbers.dtype == object:
            if numbers.ndim > 1 or function is not np.prod:
                raise Unsupported("it computes with a size that is not known")
            return array_of_sizes([product(numbers.reshape(-1).tolist())]).reshape(
                [1] * numbers.ndim if keeps else []
            )
        made = function(numbers, axis=tuple(axes) or None, keepdims=keeps)
        return np.asarray(made).astype(numbers.dtype)

    return fold(make, (1, 2))


def _compare(function: Callable[..., Any]) -> Callable[[Array, Array], Any]:
    """Where a size is not known the answer is not, either; equal ones are the same whatever."""

    def compared(a: Array, b: Array) -> Any:
        if object in (a.dtype, b.dtype) and function is np.equal:
            pairs = np.broadcast(a, b)
            answers = []
            for one, other in pairs:
                unknown = isinstance(one, Unknown) or isinstance(other, Unknown)
                if unknown and one != other and divided(one, 1) != other:
                    # A shape is compared with -1 to find what is left open; no size is below 0.
                    if not any(isinstance(x, (int, np.integer)) and x < 0 for x in (one, other)):
                        raise Unsupported("it compares a size that is not known")
                answers.append(bool(one == other))
            return np.array(answers, bool).reshape(pairs.shape)
        return function(a, b)

    return compared


FOLDS = {
    "Constant": fold(_constant, (0, 0)),
    "ConstantOfShape": fold(_constant_of_shape),
    "Shape": fold(lambda job: shape_of(job, job.constant(0, "input").shape)),
    "Size": fold(lambda job: np.array(job.constant(0, "input").size, np.int64)),
    "Cast": fold(_cast),
    "Identity": fold(lambda job: job.constant(0, "input")),
    "Reshape": fold(_reshape, (2, 2)),
    "Squeeze": fold(_squeeze, (1, 2)),
    "Unsqueeze": fold(_unsqueeze, (1, 2)),
    "Transpose": fold(_transpose),
    "Flatten": fold(_flatten),
    "Concat": fold(_concat, (1, _MANY)),
    "Slice": fold(_slice, (1, 5)),
    "Gather": fold(_gather, (2, 2)),
    "Expand": fold(_expand, (2, 2)),
    "Tile": fold(_tile, (2, 2)),
    "Range": fold(_range, (3, 3)),
    "Split": fold(_split, (1, 2), _MANY),
    "Where": _elementwise(np.where, 3),
    "Add": _elementwise(np.add, 2),
    "Sub": _elementwise(np.subtract, 2),
    "Mul": _elementwise(np.multiply, 2),
    "Div": _elementwise(_divide, 2),
    "Pow": _elementwise(lambda a, b: np.power(a, b).astype(a.dtype), 2),
    "Min": _elementwise(np.minimum, None),
    "Max": _elementwise(np.maximum, None),
    "Sum": _elementwise(np.add, None),
    "Equal": _elementwise(_compare(np.equal), 2),
    "Less": _elementwise(np.less, 2),
    "Greater": _elementwise(np.greater, 2),
    "And": _elementwise(np.logical_and, 2),
    "Or": _elementwise(np.logical_or, 2),
    "Not": _elementwise(np.logical_not, 1),
    "Neg": _elementwise(np.negative, 1),
    "Abs": _elementwise(np.abs, 1),
    "Sqrt": _elementwise(np.sqrt, 1),
    "Exp": _elementwise(np.exp, 1),
    "Log": _elementwise(np.log, 1),
    "Ceil": _elementwise(np.ceil, 1),
    "Floor": _elementwise(np.floor, 1),
    "Reciprocal": _elementwise(np.reciprocal, 1),
    "ReduceProd": _reduction(np.prod),
    "ReduceSum": _reduction(np.sum),
    "ReduceMean": _reduction(np.mean),
    "ReduceMax": _reduction(np.max),
    "ReduceMin": _reduction(np.min),
}
