"""`load_onnx`: a network in an ONNX file becomes one of ninc's."""

from __future__ import annotations

import contextlib
import json
import os
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from ..._base.arguments import listed, shown
from ...errors import ArgumentError, Error, FileError, ModelError, OutOfMemoryError, remark
from ...nn import Graph
from ...preprocess import Preprocessing
from ..names import SET_PREPROCESSING, shown_name
from .build import lacks, network_of
from .files import OnnxFile, read_onnx
from .folding import FOLDS
from .operations import TABLE
from .program import MOST_OUTPUTS, Program, program_of
from .simplify import simplified
from .sizes import Unsupported
from .steps import AFFINE, Array, Step, live
from .views import View
from .walk import Job, Lost, Problem, Walk, go

_MOST_SHOWN = 100  # nodes of a kind, or kinds, in a message
_MOST_ADVISED = 4  # outputs that a message proposes

# Where ninc's own exporter puts what a model file has as metadata of these names.
_PREPROCESSING, _CLASSES = "ninc.preprocess", "ninc.classes"
_TEMPERATURE = "ninc.temperature"


def load_onnx(
    path: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    outputs: Sequence[str] | None = None,
) -> Graph:
    """The network in an ONNX file, in inference as ONNX computes it; it trains, too.

    path: the file's name; or its content, as bytes, bytearray or memoryview; or a file object that
        is open for reading bytes. Weights that lie in files of their own are found beside the
        model, in its folder, where it is given by name.
    outputs: names of what the network is to give in place of the file's outputs, the main one
        first: of values, or of the nodes that give them, anywhere in the file. What only others
        need is left out, so a network comes in without an end that ninc does not have.

    The network takes N×C×H×W, also where the file's input is N×H×W×C, and gives its output so. Its
    layers have the names of the file's nodes; of several outputs, which `Network.outputs` gives,
    the layers that end in them have the outputs' names. Batch norms stay batch norms, and
    arithmetic with constants becomes part of the layer before it where it can. Preprocessing and
    class names come along where ninc wrote the file; else a `ninc.Remark` tells that pictures need
    preprocessing.

    Needs the package onnx: pip install "ninc[onnx]"; ArgumentError where it is missing, and for
    outputs that are not in the file. Raises FileError where the file cannot be read, and ModelError
    where it is no ONNX file, or damaged, and for what ninc does not have: all such nodes in one
    message, with the reasons.
    """
    wanted = _checked(outputs)
    file = read_onnx(path)
    network = network_in(file, {}, wanted)
    told = _described(network, file)
    if not told:
        remark(f"{file.where}: it does not say how its pictures are prepared; {SET_PREPROCESSING}")
    return network


def _checked(outputs: Sequence[str] | None) -> list[str] | None:
    if outputs is None:
        return None
    names = listed("load_onnx", "outputs", outputs, "names of outputs")
    for name in names:
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"load_onnx: outputs must be names, got {shown(name)}")
    if not 0 < len(names) <= MOST_OUTPUTS:
        raise ArgumentError(
            f"load_onnx: outputs must be 1 to {MOST_OUTPUTS:,} names, got {len(names):,}"
        )
    return names


def network_in(
    file: OnnxFile, bound: Mapping[str, Array], outputs: list[str] | None = None
) -> Graph:
    """The network of a model. bound: inputs of its graph that are constants, by their names."""
    try:
        program = program_of(file, bound, outputs)
        found, problems, ends = _outputs_of(program)
        if not found:
            advice = _advice(file, bound, ends)
            raise ModelError(_refusal(program, problems) + advice)
        return network_of(list(zip(program.titles, found)), file.where)
    except (ArgumentError, FileError, ModelError, OutOfMemoryError):
        raise
    except Error as error:  # such as a setting that the core does not take
        raise ModelError(f"{file.where}: {error}") from error


# ---- The steps -----------------------------------------------------------------------------------


def _outputs_of(program: Program) -> tuple[list[Step], list[Problem], list[str]]:
    """The network's outputs; or none, all that cannot be taken over, and the values before that."""
    best: list[Problem] = []
    ends: list[str] = []
    most = (False, -1)
    for letters in _layouts(program):
        walk = Walk(program, letters)
        if program.input:
            go(walk, TABLE, FOLDS)
        outputs, problems = _ended(walk)
        if outputs and not program.problems:
            return outputs, [], []
        # With the wrong axes a walk does not come far.
        reached = (not walk.problems, len(walk.steps))
        if reached > most:
            best, ends, most = problems, walk.ends(problems), reached
    return [], best, ends


def _advice(file: OnnxFile, bound: Mapping[str, Array], ends: list[str]) -> str:
    """Which outputs would be read, for the message about those that are not; "" for none."""
    is_short = all(name == shown_name(name) for name in ends)  # a name cut off would be of no use
    if not (0 < len(ends) <= _MOST_ADVISED and is_short):
        return ""
    with contextlib.suppress(Error):
        program = program_of(file, bound, ends)
        found, _, _ = _outputs_of(program)
        if found:
            network_of(list(zip(program.titles, found)), file.where)
            return f"; what comes before it is read: load_onnx(path, outputs={ends!r})"
    return ""


def _layouts(program: Program) -> list[str]:
    """How the input's axes may be meant, the likelier first.

    Nothing in a file says so: the axes are right where the nodes can follow them.
    """
    dims = program.dims
    if dims is None or len(dims) != 4:
        return ["NC"] if dims is not None and len(dims) == 2 else ["NCHW"]
    few = (1, 3, 4)  # channels of pictures
    if dims[3] in few and dims[1] not in few:
        return ["NHWC", "NCHW"]
    # Networks with the channels last are full of transposes, since ONNX's layers have them first.
    may_be_last = dims[3] in (None, *few) or any(node.op == "Transpose" for node in program.nodes)
    return ["NCHW", "NHWC"] if may_be_last else ["NCHW"]


def _ended(walk: Walk) -> tuple[list[Step], list[Problem]]:
    """The steps that give the outputs, or none; and all that cannot be taken over."""
    ready = not walk.problems and walk.program.input
    outputs = [_output(walk, name) for name in walk.program.outputs] if ready else []
    found = [step for step in outputs if step is not None]
    if not found or len(found) < len(outputs):
        # What is made of lost values is not known, so every step is looked at.
        made = [step for step in walk.steps if not step.absorbed and step.op != AFFINE]
        return [], walk.problems + _lacking(made)
    found = simplified(found)
    lacking = _lacking(live(found))
    return ([], lacking) if lacking else (found, [])


def _lacking(steps: list[Step]) -> list[Problem]:
    found = ((step, lacks(step)) for step in steps)
    return [(step.order, step.kind, step.node, why) for step, why in found if why]


def _output(walk: Walk, name: str) -> Step | None:
    """The step that gives an output, N×C×H×W whatever the order of its axes in the file."""
    program = walk.program
    try:
        value = walk.value(name)
        if isinstance(value, Lost):  # of an input that is none of the network's, which is told
            return None
        if not isinstance(value, View):
            raise Unsupported("it is a constant")
        view = value if not program.nodes else Job(walk, program.nodes[-1]).whole(value)
        if view.letters[:1] != ["N"]:
            raise Unsupported(f"it is {view}, whose first axis is not the batch")
        axes = "".join(view.letters)
        if axes not in [_without(order, axes) for order in ("NCHW", "NHWC")]:
            raise Unsupported(f"it is {view}, whose axes are {'×'.join(axes)}")
    except Unsupported as reason:
        walk.problems.append((0, "output", shown_name(name), str(reason)))
        return None
    return view.step


def _without(order: str, axes: str) -> str:
    """The order of those axes that are there; others are of size 1."""
    return "".join(one for one in order if one in axes)


def _refusal(program: Program, problems: list[Problem]) -> str:
    """What a message says: nodes by operation and reason, in the order of the file."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for _, op, node, why in sorted(problems):
        names = grouped.setdefault((op, why), [])
        if node not in names:
            names.append(node)
    lines = list(program.problems)
    lines += [
        f"{', '.join(names[:_MOST_SHOWN])} ({shown_name(op)}): {why}"
        for (op, why), names in grouped.items()
    ]
    return f"{program.where}: what ninc cannot take over: {'; '.join(lines[:_MOST_SHOWN])}"


# ---- What it says of itself ----------------------------------------------------------------------


def _described(network: Graph, file: OnnxFile) -> bool:
    """Gives the network the preprocessing and classes that ninc wrote; False where none are."""
    told = {one.key: one.value for one in file.model.metadata_props}
    settings = _entry(told, _PREPROCESSING, dict, file.where)
    classes = _entry(told, _CLASSES, list, file.where)
    temperature = _entry(told, _TEMPERATURE, float, file.where)
    try:
        if settings is not None:
            network.preprocessing = Preprocessing.from_dict(settings, {}).to_dict()
        if classes is not None:
            network.classes = classes
        if temperature is not None:
            network.temperature = temperature
    except ArgumentError as error:
        raise ModelError(f"{file.where}: what it says of itself makes no sense: {error}") from error
    return settings is not None


def _entry(told: Mapping[str, str], key: str, kind: type, where: str) -> Any:
    text = told.get(key)
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where}: its {key} cannot be read: {error}") from error
    if value is not None and not isinstance(value, kind):
        raise ModelError(f"{where}: its {key} must be a {kind.__name__}, got {reprlib.repr(text)}")
    return value
