"""What ONNX sees of a step's N×C×H×W: its axes, of which each holds some of ours.

An axis of ONNX is a row of atoms, the outermost first. An atom is all of one of our axes, or a part
of it: of channels that a file takes apart into 4 groups of 8, c = 8 * group + place, the groups are
the atom of size 4 and stride 8, the places that of size 8 and stride 1. Axes of size 1 have no
atoms, but for the batch, which may have any size once the network runs. So transposing, flattening
and reshaping rearrange atoms, and no number moves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from .sizes import Size, Unsupported, dims_shown, divided, product
from .steps import Array, Step


@dataclasses.dataclass(frozen=True)
class Atom:
    """letter: N, C, H or W."""

    letter: str
    size: Size
    stride: Size = 1


Axis = tuple[Atom, ...]


@dataclasses.dataclass(frozen=True)
class View:
    step: Step
    axes: tuple[Axis, ...]

    @property
    def shape(self) -> tuple[Size, ...]:
        return tuple(product(atom.size for atom in axis) for axis in self.axes)

    @property
    def atoms(self) -> list[Atom]:
        return [atom for axis in self.axes for atom in axis]

    def letter(self, axis: int) -> str:
        """The one axis of ours that an axis of ONNX is; "" for one of size 1, "?" for all else."""
        atoms = self.axes[axis]
        if not atoms:
            return ""
        is_whole = len(atoms) == 1 and atoms[0] == whole(self.step, atoms[0].letter)
        return atoms[0].letter if is_whole else "?"

    @property
    def letters(self) -> list[str]:
        return [self.letter(axis) for axis in range(len(self.axes))]

    def permuted(self, order: Sequence[int]) -> View:
        return View(self.step, tuple(self.axes[axis] for axis in order))

    def __str__(self) -> str:
        return dims_shown(self.shape)


def whole(step: Step, letter: str) -> Atom:
    return Atom(letter, step.sizes.of(letter))


def axis_of(step: Step, letter: str) -> Axis:
    """All of one of our axes as an axis of ONNX."""
    atom = whole(step, letter)
    return () if letter != "N" and atom.size == 1 else (atom,)


def view_as(step: Step, letters: Sequence[str]) -> View:
    """The step's result as ONNX has it: "NCHW", "NHWC", "NC"; "" is an axis of size 1."""
    return View(step, tuple(axis_of(step, one) if one else () for one in letters))


def relabelled(view: View, step: Step) -> View:
    """The same axes of another step's result, whose sizes may differ; all must be whole ones."""
    return view_as(step, view.letters)


# ---- Reshaping -----------------------------------------------------------------------------------


def reshaped(view: View, dims: Sequence[Size]) -> View:
    """The view with other axes; -1 among the sizes stands for what is left over."""
    atoms = view.atoms
    before: list[Axis] = []
    behind: list[Axis] = []
    try:
        open_axis = next((place for place, size in enumerate(dims) if _is_open(size)), len(dims))
        for size in dims[:open_axis]:
            before.append(_taken(atoms, size, from_end=False))
        for size in reversed(dims[open_axis + 1 :]):
            behind.insert(0, _taken(atoms, size, from_end=True))
    except _DoesNotFit:
        raise Unsupported(
            f"it makes {dims_shown(dims)} of {view}, which goes across its axes"
        ) from None
    if open_axis < len(dims):
        before.append(joined(atoms))
    elif atoms:
        raise Unsupported(f"it makes {dims_shown(dims)} of {view}, which has more numbers")
    return View(view.step, (*before, *behind))


class _DoesNotFit(Exception):
    pass


def _is_open(size: Size) -> bool:
    return isinstance(size, int) and size == -1


def _taken(atoms: list[Atom], size: Size, from_end: bool) -> Axis:
    """Takes atoms of so many places from one end of the list, and parts one where needed."""
    place = -1 if from_end else 0
    taken: list[Atom] = []
    if size == 1:
        # A batch of one picture is an axis, too: the first that it can be.
        is_batch = bool(atoms) and atoms[0].letter == "N" and atoms[0].size == 1
        return (atoms.pop(0),) if is_batch and not from_end else ()
    while size != 1:
        if not atoms:
            raise _DoesNotFit
        atom = atoms.pop(place)
        rest = divided(size, atom.size)
        if rest is None:
            inner = divided(atom.size, size)
            if inner is None or atom.letter == "N":
                raise _DoesNotFit
            # c = inner * outer place + inner place, in steps of the atom's own stride.
            if from_end:
                part = Atom(atom.letter, size, atom.stride)
                atoms.append(Atom(atom.letter, inner, atom.stride * size))
            else:
                part = Atom(atom.letter, size, atom.stride * inner)
                atoms.insert(0, Atom(atom.letter, inner, atom.stride))
            atom, rest = part, 1
        taken.append(atom)
        size = rest
    return joined(taken[::-1] if from_end else taken)


def joined(atoms: Sequence[Atom]) -> Axis:
    """Parts of one axis that stand beside one another in its own order become one again."""
    result: list[Atom] = []
    for atom in atoms:
        if result and result[-1].letter == atom.letter and atom.letter != "N":
            outer = result[-1]
            if outer.stride == atom.stride * atom.size:
                result[-1] = Atom(atom.letter, outer.size * atom.size, atom.stride)
                continue
        result.append(atom)
    return tuple(result)


# ---- Constants beside a view ---------------------------------------------------------------------


def aligned(view: View, numbers: Array) -> tuple[View, Array]:
    """A constant that is broadcast with a view, as C×H×W with 1 for each axis that it lacks.

    The view comes back with the axes that broadcasting gives it.
    """
    extra = max(0, numbers.ndim - len(view.axes))
    if extra:
        view = View(view.step, ((),) * extra + view.axes)
    shape = (1,) * (len(view.axes) - numbers.ndim) + numbers.shape
    dims: list[int] = []
    for count, axis in zip(shape, view.axes):
        if count == 1:
            dims += [1] * len(axis)
            continue
        if (
            not axis
            or not count
            or (len(axis) > 1 and product(atom.size for atom in axis) != count)
        ):
            raise Unsupported(f"its constant of {dims_shown(shape)} does not fit {view}")
        if any(atom.letter == "N" for atom in axis):
            raise Unsupported("its constant has other numbers for each picture of a batch")
        sizes = [count] if len(axis) == 1 else [atom.size for atom in axis]
        if len(axis) == 1 and axis[0].size != count and isinstance(axis[0].size, int):
            raise Unsupported(f"its constant of {dims_shown(shape)} does not fit {view}")
        dims += [int(size) for size in sizes]
    return view, _ordered(view.atoms, numbers.reshape(dims))


def _ordered(atoms: Sequence[Atom], numbers: Array) -> Array:
    """C×H×W of numbers whose axes are these atoms, some of them 1 where all places share one."""
    groups: dict[str, list[int]] = {letter: [] for letter in "CHW"}
    batches = [place for place, atom in enumerate(atoms) if atom.letter == "N"]
    for place, atom in enumerate(atoms):
        if atom.letter != "N":
            groups[atom.letter].append(place)
    for letter, places in groups.items():
        counts = {numbers.shape[place] == 1 for place in places}
        if len(counts) > 1:
            raise Unsupported(f"its constant has numbers for parts of the axis {letter}")
        if len(places) > 1:  # of one there is nothing to order, and its stride may not be known
            places.sort(key=lambda place: -int(atoms[place].stride))
    order = [*batches, *groups["C"], *groups["H"], *groups["W"]]
    turned = numbers.transpose(order)
    dims = [int(np.prod([numbers.shape[place] for place in groups[one]])) for one in "CHW"]
    return turned.reshape(dims)
