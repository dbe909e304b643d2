"""What convolutions and pools are told of their windows, in all ways that ONNX has for it."""

from __future__ import annotations

import dataclasses

from ..sizes import Size, Unknown, Unsupported
from ..steps import Sizes
from ..walk import Job

Pair = tuple[int, int]

_LARGEST = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Window:
    """kernel, stride, dilation: (height, width). before, after: zeros around the map, likewise."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    before: Pair
    after: Pair
    ceil: bool = False

    @property
    def padding(self) -> tuple[int, int, int, int]:
        """(top, left, bottom, right)."""
        return (*self.before, *self.after)

    def output(self, axis: int, size: int) -> int:
        """Height or width of the result; less than 1 where no window fits."""
        room = size + self.before[axis] + self.after[axis] - reach(self, axis)
        step = self.stride[axis]
        count = (-(-room // step) if self.ceil else room // step) + 1
        # A last window that would begin behind the map and its padding before it is dropped.
        begins = (count - 1) * step
        return count - (self.ceil and begins >= size + self.before[axis])


def reach(window: Window, axis: int) -> int:
    """From a window's first place to its last."""
    return window.dilation[axis] * (window.kernel[axis] - 1) + 1


def window_of(job: Job, sizes: Sizes, kernel: Pair | None) -> Window:
    """A node's window over maps of these sizes. kernel: of the weights, None to read it."""
    told = pair(job, "kernel_shape", kernel, 1)
    if told is None:
        raise Unsupported("its kernel_shape is missing")
    if kernel is not None and told != kernel:
        raise Unsupported(f"its kernel_shape is {told}, and its weight's {kernel}")
    stride, dilation = pair(job, "strides", (1, 1), 1), pair(job, "dilations", (1, 1), 1)
    ceil = job.told.flag("ceil_mode", False)
    pads = job.told.integers("pads") or [0, 0, 0, 0]
    if len(pads) != 4:
        raise Unsupported(f"its pads are {len(pads)}, only windows of two axes are known")
    if not all(0 <= one <= _LARGEST for one in pads):
        raise Unsupported(f"its pads are {pads}, only those from 0 to {_LARGEST:,} are known")
    window = Window(told, stride, dilation, (pads[0], pads[1]), (pads[2], pads[3]), ceil)  # type: ignore[arg-type]
    mode = job.told.text("auto_pad", "NOTSET")
    if mode in ("NOTSET", ""):
        return window
    if mode == "VALID":
        return dataclasses.replace(window, before=(0, 0), after=(0, 0))
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise Unsupported(f"its auto_pad is {mode[:40]!r}")
    totals = [_same(window, axis, (sizes.H, sizes.W)[axis]) for axis in (0, 1)]
    # A stride of one more than the kernel is common, and programs agree on it for convolutions.
    if min(totals) < (0 if kernel is None else -1):
        raise Unsupported(
            f"its auto_pad is {mode}, and its strides {list(window.stride)} pass over more than "
            "its kernel"
        )
    totals = [max(0, one) for one in totals]
    less = totals[0] // 2, totals[1] // 2
    more = totals[0] - less[0], totals[1] - less[1]
    before, after = (less, more) if mode == "SAME_UPPER" else (more, less)
    return dataclasses.replace(window, before=before, after=after, ceil=False)


def _same(window: Window, axis: int, size: Size) -> int:
    """Zeros that make an output of size / stride, rounded up; below 0 where a stride passes over
    what is behind the last window.
    """
    step, length = window.stride[axis], reach(window, axis)
    if step == 1:
        return length - 1
    if isinstance(size, Unknown):
        raise Unsupported(
            f"its auto_pad depends on the size of the pictures, which the file leaves open, since "
            f"its stride is {step}"
        )
    return (-(-size // step) - 1) * step + length - size


def pair(job: Job, name: str, default: Pair | None, least: int) -> Pair | None:
    """An attribute of two numbers, for height and width."""
    told = job.told.integers(name)
    if not told:
        return default
    if len(told) != 2:
        raise Unsupported(f"its {name} has {len(told)} numbers, only windows of two axes are known")
    if not all(least <= one <= _LARGEST for one in told):
        raise Unsupported(f"its {name} is {told}, only {least} to {_LARGEST:,} are known")
    return told[0], told[1]


def output_sizes(job: Job, sizes: Sizes, window: Window, channels: Size) -> Sizes:
    """The sizes of what windows give; Unsupported where none fits into the map."""
    found: list[Size] = []
    for axis, size in enumerate((sizes.H, sizes.W)):
        if isinstance(size, Unknown):
            pads = window.before[axis] + window.after[axis]
            keeps = window.stride[axis] == 1 and pads == reach(window, axis) - 1
            found.append(size if keeps else job.walk.unknown("HW"[axis]))
            continue
        count = window.output(axis, size)
        if count < 1:
            raise Unsupported(f"its window is larger than the map of {sizes.H}×{sizes.W}")
        found.append(count)
    return Sizes(sizes.N, channels, *found)
