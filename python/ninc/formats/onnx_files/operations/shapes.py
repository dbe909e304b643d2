"""What changes the shape of a value, or nothing at all."""

from __future__ import annotations

from collections.abc import Mapping

from ....errors import ModelError
from ..folding import array_of_sizes, axes_of, shape_of, slices, split_sizes, target
from ..sizes import Size, Unknown, Unsupported, dims_shown, product
from ..steps import Array
from ..tensors import FLOATS
from ..views import View, joined, relabelled, reshaped
from ..walk import Job, Operation

_MANY = 10_000
_BEYOND = 2**31 - 1  # what files say for the end of an axis of any size


# ---- Nothing at all ------------------------------------------------------------------------------


def _cast(job: Job) -> View:
    to = job.told.integer("to", 0)
    job.told.ignore("saturate", "round_mode")
    if to not in FLOATS:
        raise Unsupported(f"it casts to ONNX's type {to}, only floats are known")
    return job.view(0)


# ---- Other axes ----------------------------------------------------------------------------------


def _transpose(job: Job) -> View:
    view = job.view(0)
    order = job.told.integers("perm") or list(range(len(view.axes)))[::-1]
    if sorted(order) != list(range(len(view.axes))):
        raise ModelError(f"{job.what}: its perm is {order}, for {view}")
    return view.permuted(order)


def _reshape(job: Job) -> View:
    view = job.view(0)
    view = reshaped(view, target(job, 1, view.shape))
    job.note(view)
    return view


def _flatten(job: Job) -> View:
    axis, view = job.told.integer("axis", 1), job.view(0)
    rank = len(view.axes)
    if not -rank <= axis <= rank:
        raise ModelError(f"{job.what}: its axis is {axis}, of {view}")
    axis += rank if axis < 0 else 0
    parts = view.axes[:axis], view.axes[axis:]
    rows = [joined([atom for one in part for atom in one]) for part in parts]
    flat = View(view.step, tuple(rows))
    job.note(flat)
    return flat


def _squeeze(job: Job) -> View:
    view = job.view(0)
    axes = axes_of(job, 1, len(view.axes))
    if not axes:
        axes = [axis for axis, size in enumerate(view.shape) if size == 1]
    if any(view.axes[axis] for axis in axes):
        raise Unsupported(f"it takes the axes {axes} out of {view}, only those of size 1 can go")
    return View(view.step, tuple(one for axis, one in enumerate(view.axes) if axis not in axes))


def _unsqueeze(job: Job) -> View:
    view = job.view(0)
    told = job.told.integers("axes")
    count = len(job.integers(1, "axes") if told is None else told)
    axes = axes_of(job, 1, len(view.axes) + count)
    left = iter(view.axes)
    rank = len(view.axes) + count
    return View(view.step, tuple(() if axis in axes else next(left) for axis in range(rank)))


def _expand(job: Job) -> View:
    view, dims = job.view(0), job.dims(1, "shape")
    shape = list(view.shape)
    extra = [1] * (len(dims) - len(shape))
    wanted = [1] * (len(shape) - len(dims)) + dims
    if any(need not in (1, have) for have, need in zip([*extra, *shape], wanted)):
        raise Unsupported(f"it makes {dims_shown(dims)} of {view}")
    return View(view.step, ((),) * len(extra) + view.axes)


def _shape(job: Job) -> Array:
    return shape_of(job, job.view(0).shape)


def _size(job: Job) -> Array:
    return array_of_sizes([product(job.view(0).shape)]).reshape(())


# ---- Parts of maps, and zeros around them --------------------------------------------------------

_NAMES = {"C": "channels", "H": "height", "W": "width"}


def _slice(job: Job) -> View:
    view = job.view(0)
    told: dict[str, tuple[int | None, ...]] = {}
    sizes: dict[str, Size] = {}
    for axis, start, stop, step in slices(job, len(view.axes)):
        size, letter = view.shape[axis], view.letter(axis)
        if start == 0 and step == 1 and (stop >= _BEYOND or stop == size):
            continue
        if letter not in _NAMES or step < 1 or (letter == "C" and step != 1):
            raise Unsupported(
                f"it takes {start}:{stop}:{step} of axis {axis} of {view}, only parts of channels, "
                "height and width are known, and of channels in steps of 1"
            )
        if isinstance(size, Unknown):
            end = None if stop >= _BEYOND else stop
            told[letter] = (start, end) if letter == "C" else (start, end, step)
            sizes[letter] = job.walk.unknown("S")
            continue
        start, stop, _ = slice(start, stop).indices(size)
        if start >= stop:
            raise Unsupported(f"it takes {start}:{stop} of axis {axis} of {view}, which is nothing")
        told[letter] = (start, stop) if letter == "C" else (start, stop, step)
        sizes[letter] = -(-(stop - start) // step)
    if not told:
        return view
    return _part(job, view, told, sizes)


def _part(
    job: Job,
    view: View,
    told: Mapping[str, tuple[int | None, ...]],
    sizes: dict[str, Size],
    suffix: str = "",
) -> View:
    view = job.whole(view)
    settings = {_NAMES[letter]: part for letter, part in told.items()}
    made = job.add("Slice", [view.step], view.step.sizes.changed(**sizes), settings, suffix=suffix)
    return relabelled(view, made)


def _split(job: Job) -> list[View]:
    axis = job.told.integer("axis", 0)
    view = job.view(0)
    if not -len(view.axes) <= axis < len(view.axes):
        raise ModelError(f"{job.what}: its axis is {axis}, of {view}")
    letter = view.letter(axis)
    if letter not in _NAMES:
        raise Unsupported(f"it splits axis {axis} of {view}, only parts of maps are known")
    parts, begin = [], 0
    lengths = split_sizes(job, view.shape[axis])
    for number, length in enumerate(lengths[: len(job.node.outputs)], 1):
        if length < 1:
            raise Unsupported(f"its part {number} is of size {length}")
        end = begin + length
        told = (begin, end) if letter == "C" else (begin, end, 1)
        is_used = job.is_used(number - 1)
        parts.append(
            _part(job, view, {letter: told}, {letter: length}, f"_{number}") if is_used else view
        )
        begin = end
    return parts


def _pad(job: Job) -> View:
    mode = job.told.text("mode", "constant")
    if mode != "constant":
        raise Unsupported(f"its mode is {mode[:40]!r}, only 'constant' is known")
    if job.opset < 11:
        pads, value = job.told.integers("pads") or [], job.told.number("value", 0.0)
    else:
        pads, value = job.integers(1, "pads"), 0.0
        if job.has(2):
            value = float(job.floats(2, "value").reshape(-1)[:1].sum())
    view = job.view(0)
    rank = len(view.axes)
    axes = list(range(rank))
    if job.has(3):
        axes = [axis + rank if axis < 0 else axis for axis in job.integers(3, "axes")]
    if len(pads) != 2 * len(axes) or any(not 0 <= axis < rank for axis in axes):
        raise ModelError(f"{job.what}: its pads are {pads}, for {view}")
    told: dict[str, tuple[int, int]] = {}
    sizes: dict[str, Size] = {}
    for number, axis in enumerate(axes):
        before, after = pads[number], pads[number + len(axes)]
        letter = view.letter(axis)
        if before == after == 0:
            continue
        if letter not in _NAMES or min(before, after) < 0 or max(before, after) > _BEYOND:
            raise Unsupported(f"its pads are {pads}, for {view}")
        told[letter] = (before, after)
        size = view.step.sizes.of(letter)
        is_open = isinstance(size, Unknown)
        sizes[letter] = job.walk.unknown("P") if is_open else size + before + after
    if not told:
        return view
    settings = {**{_NAMES[one]: pads for one, pads in told.items()}, "value": value}
    view = job.whole(view)
    made = job.add("Pad", [view.step], view.step.sizes.changed(**sizes), settings)
    return relabelled(view, made)


OPERATIONS = {
    "Identity": Operation(lambda job: job.view(0)),
    "Cast": Operation(_cast),
    "Transpose": Operation(_transpose),
    "Reshape": Operation(_reshape, (2, 2)),
    "Flatten": Operation(_flatten),
    "Squeeze": Operation(_squeeze, (1, 2)),
    "Unsqueeze": Operation(_unsqueeze, (1, 2)),
    "Expand": Operation(_expand, (2, 2)),
    "Shape": Operation(_shape),
    "Size": Operation(_size),
    "Slice": Operation(_slice, (1, 5)),
    "Split": Operation(_split, (1, 2), _MANY),
    "Pad": Operation(_pad, (1, 4)),
}
