"""Goes through a program's nodes: what depends on constants alone is computed, others are steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

import numpy as np

from ...errors import ModelError
from ..names import shown_name
from .attributes import Attributes
from .program import OWN_DOMAINS, Node, Program
from .sizes import Size, Unknown, Unsupported, product
from .steps import INPUT, Array, Sizes, Step
from .views import Axis, View, view_as

# A second of arithmetic; beyond it, functions are left as the nodes that they are of.
_MOST_COMPARED = 2**27

MOST_STEPS = 5_000  # a graph takes the square of the time to be built


class Lost:
    """In the place of what a node would have given that cannot be taken over."""


LOST = Lost()

Value = Union[Array, View, Lost]

Problem = tuple[int, str, str, str]  # order of the node, its operation, its name, the reason


class Unfollowed(Exception):
    """The node takes what was lost before it, so there is nothing to say about it."""


class Walk:
    """A program being gone through. letters: the input's axes, "NCHW", "NHWC" or "NC".

    problems: what cannot be taken over.
    """

    def __init__(self, program: Program, letters: str) -> None:
        self.program = program
        self.letters = letters
        self.steps: list[Step] = []
        self.problems: list[Problem] = []
        self._values: dict[str, Value] = dict(program.constants)
        self._unknowns = 0
        # Numbers that may still be compared to find functions of several nodes.
        self.comparable = _MOST_COMPARED
        # By the step they are made of, which is among `steps` as long as the walk goes on, and by
        # the axis they are needed for: the node that made this axis, and what was made.
        self.named: dict[tuple[int, Axis], Node] = {}
        self.made: dict[tuple[int, str, Axis], Step] = {}
        self.scaled: dict[int, list[Step]] = {}  # affine steps by what they scale and shift
        dims = program.dims or [None] * len(letters)
        told = dict(zip(letters, dims))
        sizes = Sizes(*(told[one] or Unknown([one]) if one in told else 1 for one in "NCHW"))
        self.input = Step(INPUT, (), sizes, program.input)
        is_picture = program.dims is None or len(program.dims) == len(letters)
        self._values.update(dict.fromkeys(program.others, LOST))
        self._values[program.input] = view_as(self.input, letters) if is_picture else LOST

    def value(self, name: str) -> Value:
        """What has this name; a tensor of the file is read when it is first asked for."""
        if name not in self._values:
            proto = self.program.initializers.get(name)
            if proto is None:
                raise ModelError(
                    f"{self.program.where}: {shown_name(name)!r} is needed, and nothing gives it"
                )
            self._values[name] = self.program.tensors.read(proto, name)
        return self._values[name]

    def give(self, node: Node, values: Sequence[Value]) -> None:
        for name, value in zip(node.outputs, values):
            if name:
                self._values[name] = value

    def lose(self, node: Node) -> None:
        self.give(node, [LOST] * len(node.outputs))

    def problem(self, node: Node, reason: str) -> None:
        self.problems.append((node.order, node.op, node.shown, reason))

    def ends(self, problems: Sequence[Problem]) -> list[str]:
        """The values of the picture that can be had, at which the network was to end or stops."""
        stopped = {order for order, *_ in problems}
        wanted = [
            name for node in self.program.nodes if node.order in stopped for name in node.inputs
        ]
        # Of layers that are not there, found after the walk, what comes behind them is had as well.
        outputs = self.program.outputs if self.problems else []
        names = dict.fromkeys((*outputs, *wanted))
        return [
            name
            for name in names
            if name != self.program.input and isinstance(self._values.get(name), View)
        ]

    def is_needed(self, name: str) -> bool:
        return name in self.program.needed

    def unknown(self, stem: str) -> Unknown:
        """A size that was not there before."""
        self._unknowns += 1
        return Unknown([f"{stem}{self._unknowns}"])

    def add(self, step: Step) -> Step:
        if len(self.steps) >= MOST_STEPS:
            raise ModelError(f"{self.program.where}: a network has at most {MOST_STEPS:,} layers")
        self.steps.append(step)
        return step


class Job:
    """One node to be taken over: its inputs and attributes, and the steps that it becomes."""

    def __init__(self, walk: Walk, node: Node) -> None:
        self.walk = walk
        self.node = node
        self.what = f"{walk.program.where}: {node}"
        self.opset = walk.program.opset
        self.told = Attributes(node.proto.attribute, self.what)
        self._inputs = node.inputs

    def __len__(self) -> int:
        return len(self._inputs)

    def has(self, place: int) -> bool:
        """Whether the input is there; optional ones may be left out, those between as ""."""
        return place < len(self._inputs) and bool(self._inputs[place])

    def value(self, place: int) -> Array | View:
        if not self.has(place):
            raise ModelError(f"{self.what}: its input {place + 1} is missing")
        value = self.walk.value(self._inputs[place])
        if isinstance(value, Lost):
            raise Unfollowed
        return value

    def view(self, place: int) -> View:
        """An input that depends on the picture."""
        value = self.value(place)
        if not isinstance(value, View):
            raise Unsupported(f"its input {place + 1} is a constant")
        return value

    def constant(self, place: int, what: str) -> Array:
        """An input that does not; what it is, for messages."""
        value = self.value(place)
        if isinstance(value, View):
            raise Unsupported(f"its {what} depends on the picture, a constant is needed")
        return value

    def floats(self, place: int, what: str) -> Array:
        """A constant of floats, as float32 or float64."""
        numbers = self.constant(place, what)
        if numbers.dtype.kind != "f":
            raise ModelError(f"{self.what}: its {what} is of type {numbers.dtype}, not of floats")
        return numbers

    def integers(self, place: int, what: str) -> list[int]:
        """A constant of whole numbers in a row, all of them known."""
        numbers = self.constant(place, what)
        if numbers.dtype.kind not in "iuO" or numbers.ndim > 1 or numbers.size > 64:
            raise ModelError(f"{self.what}: its {what} must be some whole numbers in a row")
        return [int(one) for one in numbers.reshape(-1).tolist()]

    def dims(self, place: int, what: str) -> list[Size]:
        """Does as `integers` for sizes, of which some may be unknown."""
        numbers = self.constant(place, what)
        if numbers.dtype.kind not in "iuO" or numbers.ndim > 1 or numbers.size > 64:
            raise ModelError(f"{self.what}: its {what} must be some whole numbers in a row")
        return numbers.reshape(-1).tolist()

    def is_used(self, place: int) -> bool:
        """Whether anything needs the output of this number."""
        outputs = self.node.outputs
        return place < len(outputs) and self.walk.is_needed(outputs[place])

    # ---- Steps -----------------------------------------------------------------------------------

    def add(
        self,
        op: str,
        inputs: Sequence[Step],
        sizes: Sizes,
        settings: Mapping[str, Any] | None = None,
        weights: Mapping[str, Array] | None = None,
        suffix: str = "",
    ) -> Step:
        """A step with the node's name, and `suffix` where the node becomes several."""
        weights = {name: self.weight(numbers) for name, numbers in (weights or {}).items()}
        return self.walk.add(
            Step(
                op,
                tuple(inputs),
                sizes,
                self.node.name + suffix,
                self.node.shown,
                self.node.op,
                self.node.order,
                settings or {},
                weights,
            )
        )

    def weight(self, numbers: Array) -> Array:
        """The numbers as a network has them."""
        self.walk.program.tensors.budget.take(4 * numbers.size, f"what {self.node} needs")
        with np.errstate(over="ignore", invalid="ignore"):
            return np.ascontiguousarray(numbers, np.float32)

    def note(self, view: View) -> None:
        """A layer that turns out to be needed for one of the view's axes has this node's name."""
        for atoms in view.axes:
            if len(atoms) > 1:
                self.walk.named.setdefault((id(view.step), atoms), self.node)

    def kept(self, op: str, view: View, settings: Mapping[str, Any]) -> View:
        """What a layer gives that computes each element by itself, and so has the view's axes."""
        made = self.add(op, [view.step], view.step.sizes, settings)
        for atoms in view.axes:
            node = self.walk.named.get((id(view.step), atoms))
            if node is not None:
                self.walk.named[id(made), atoms] = node
                made.is_after_reshape = True
        return View(made, view.axes)

    def whole(self, view: View) -> View:
        """The view with each axis one of ours, flattened or shuffled where it has to be.

        Raises Unsupported where ninc has no layer that gives it so.
        """
        axes = range(len(view.axes))
        odd = [axis for axis in axes if view.letter(axis) == "?"]
        if not odd:
            return view
        atoms = view.axes[odd[0]] if len(odd) == 1 else ()
        step = view.step
        if len(atoms) == 2 and {atom.letter for atom in atoms} == {"C"}:
            inner, outer = atoms  # c = stride * outer + inner becomes size * inner + outer
            if inner.stride == 1 and outer.stride == inner.size:
                told = {"groups": outer.size}
                made = self._once("ChannelShuffle", "_shuffle", step, atoms, step.sizes, told)
                return self._replaced(view, odd[0], made)
        letters = [atom.letter for atom in atoms]
        if letters == sorted(set(letters)) and self._all_in(atoms, step):
            return self._replaced(view, odd[0], self.flat(step, atoms))
        raise Unsupported(f"it needs the axes of {view} in an order that no layer of ninc's gives")

    def flat(self, step: Step, atoms: Axis) -> Step:
        """N×(C * H * W) of it, in the order C, H, W."""
        sizes = Sizes(step.sizes.N, product(step.sizes[1:]), 1, 1)
        return self._once("Flatten", "_flatten", step, atoms, sizes, {})

    def _once(
        self, op: str, suffix: str, of: Step, atoms: Axis, sizes: Sizes, told: Mapping[str, Any]
    ) -> Step:
        """A step that several nodes may need, and that is made when the first of them does."""
        key = (id(of), op, atoms)
        if key not in self.walk.made:
            node = self.walk.named.get((id(of), atoms))
            job, suffix = (self, suffix) if node is None else (Job(self.walk, node), "")
            self.walk.made[key] = job.add(op, [of], sizes, told, suffix=suffix)
        return self.walk.made[key]

    def _all_in(self, atoms: Sequence[Any], step: Step) -> bool:
        """Whether these are all of a picture: its channels, height and width where not 1."""
        wanted = {one: step.sizes.of(one) for one in "CHW" if step.sizes.of(one) != 1}
        found = {atom.letter: atom.size for atom in atoms}
        return len(found) == len(atoms) and found == wanted

    def _replaced(self, view: View, odd: int, step: Step) -> View:
        letters = view.letters
        letters[odd] = "C"
        return view_as(step, letters)

    def maps(self, view: View, ranks: Sequence[int] = (4,)) -> View:
        """The view as N×C×H×W; or, where `ranks` has 2, as N×C."""
        view = self.whole(view) if len(view.axes) in ranks else view
        letters = view.letters
        if len(letters) not in ranks:
            raise Unsupported(f"it takes {view}, and pictures have 4 axes")
        for have, need in zip(letters, "NCHW"):
            if have not in ("", need):
                raise Unsupported(
                    f"it takes {view} with the axis of ninc's {have} in the place of {need}"
                )
        if letters[0] != "N":
            raise Unsupported(f"it takes {view}, whose first axis is not the batch")
        return view


# ---- The walk ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Operation:
    """How nodes are made: into the value they give, or a list of values where they give several.

    inputs: the least and the most. outputs: those that are known.
    """

    make: Callable[[Job], Any]
    inputs: tuple[int, int] = (1, 1)
    outputs: int = 1


def go(walk: Walk, table: Mapping[str, Operation], folds: Mapping[str, Operation]) -> None:
    """Takes over all nodes of the program; what cannot be is in the walk's problems.

    table: operations on what depends on the picture; folds: those on constants alone.
    """
    walk.program.tensors.budget.renew()
    for node in walk.program.nodes:
        try:
            _take(walk, node, table, folds)
        except Unfollowed:
            walk.lose(node)
        except Unsupported as reason:
            walk.problem(node, str(reason))
            walk.lose(node)


def _take(
    walk: Walk, node: Node, table: Mapping[str, Operation], folds: Mapping[str, Operation]
) -> None:
    if node.proto.domain not in OWN_DOMAINS:
        raise Unsupported(
            f"it is of {shown_name(node.proto.domain)}, only ONNX's own operations are known"
        )
    if node.op not in table and node.op not in folds:
        raise Unsupported("ninc has no such operation")
    job = Job(walk, node)
    values = [walk.value(name) for name in node.inputs if name]
    is_constant = not any(isinstance(value, (View, Lost)) for value in values)
    operation = (folds if is_constant else table).get(node.op)
    if operation is None:
        if any(value is LOST for value in values):
            raise Unfollowed
        words = "takes constants alone" if is_constant else "is known for constants alone"
        raise Unsupported(f"it {words}")
    least, most = operation.inputs
    if not least <= len(node.inputs) <= most:
        raise ModelError(f"{job.what}: takes {len(node.inputs)} inputs instead of {least}")
    for place in range(operation.outputs, len(node.outputs)):
        if job.is_used(place):
            raise Unsupported(f"its output {place + 1} is used, only the first is known")
    given = operation.make(job)
    job.told.check_all_asked()
    walk.give(node, given if isinstance(given, list) else [given])
