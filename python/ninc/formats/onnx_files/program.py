"""The nodes that lead from a model's input to its outputs, in order, and what they begin with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..._base.arguments import likeness, quoted, shown
from ...errors import ArgumentError, ModelError
from ..names import shown_name
from .files import OnnxFile
from .steps import Array
from .tensors import FLOATS, Tensors, type_told

OLDEST_OPSET, NEWEST_OPSET = 7, 28  # of ONNX's own operations: those that were tried
_MOST_NODES = 100_000
MOST_OUTPUTS = 1_000

OWN_DOMAINS = ("", "ai.onnx")


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """A node of the file. order: its place in it, from 1 on."""

    proto: Any
    order: int

    @property
    def op(self) -> str:
        return self.proto.op_type

    @property
    def name(self) -> str:
        """Its own name, or that of what it gives."""
        return self.proto.name or next(iter(self.outputs), "")

    @property
    def inputs(self) -> list[str]:
        return list(self.proto.input)

    @property
    def outputs(self) -> list[str]:
        return list(self.proto.output)

    @property
    def shown(self) -> str:
        return shown_name(self.proto.name) or f"node {self.order}"

    def __str__(self) -> str:
        return f"{self.shown} ({shown_name(self.op)})"


@dataclasses.dataclass(frozen=True)
class Program:
    """input: name of the network's input. dims: its shape, None where a size is open, or for all.

    others: inputs of the graph that are none of the network's, which is a problem.

    outputs: names of the values that the network gives, the main one first. titles: what the layers
    that give them are called.

    needed: names of values that some node, or an output, is computed of.
    """

    where: str
    opset: int
    nodes: list[Node]
    input: str
    dims: list[int | None] | None
    others: list[str]
    outputs: list[str]
    titles: list[str]
    needed: frozenset[str]
    initializers: Mapping[str, Any]
    constants: Mapping[str, Array]
    tensors: Tensors
    problems: list[str]  # of the model as a whole


def program_of(
    file: OnnxFile, bound: Mapping[str, Array], outputs: Sequence[str] | None = None
) -> Program:
    """The program of a file. bound: constants in the place of inputs. ModelError for a damaged one.

    outputs: names of the values, or of the nodes, that it is to lead to in place of the file's own
    outputs. ArgumentError for one that is not there.

    Whatever ninc cannot take over of the model as a whole stands in `problems`.
    """
    where, graph = file.where, file.model.graph
    nodes = _nodes(graph, where)
    initializers = _initializers(graph, where)
    titles = [one.name for one in graph.output] if outputs is None else list(outputs)
    problems = [] if titles else ["it has no output"]
    if len(titles) > MOST_OUTPUTS:
        raise ModelError(f"{where}: has {len(titles):,} outputs, at most {MOST_OUTPUTS:,} are read")
    values = titles if outputs is None else _values_of(titles, file, nodes)
    kept, needed = _leading_to(values, nodes, where)
    fixed = initializers.keys() | bound.keys()
    inputs = [one for one in graph.input if one.name not in fixed]
    used = [one for one in inputs if one.name in needed] or inputs[:1]
    if len(used) != 1:
        names = ", ".join(shown_name(one.name) for one in used[:10]) or "none"
        problems.append(f"a network has one input, and it takes {names}")
    dims = None
    if used:
        dims, words = _dims(used[0])
        problems += words
    _check_order(kept, {one.name for one in inputs} | fixed, where)
    return Program(
        where=where,
        opset=_opset(file.model, where),
        nodes=kept,
        input=used[0].name if used else "",
        dims=dims,
        others=[one.name for one in used[1:]],
        outputs=values,
        titles=titles,
        needed=frozenset(needed),
        initializers=initializers,
        constants=bound,
        tensors=Tensors(where, file.folder, file.size),
        problems=problems,
    )


def _nodes(graph: Any, where: str) -> list[Node]:
    if len(graph.node) > _MOST_NODES:
        raise ModelError(
            f"{where}: has {len(graph.node):,} nodes, at most {_MOST_NODES:,} are read"
        )
    return [Node(proto, order) for order, proto in enumerate(graph.node, 1)]


def _initializers(graph: Any, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in graph.initializer:
        if not one.name or one.name in found:
            raise ModelError(
                f"{where}: {'two tensors have' if one.name else 'a tensor has no'} name"
                f"{f': {shown_name(one.name)!r}' if one.name else ''}"
            )
        found[one.name] = one
    return found


def _opset(model: Any, where: str) -> int:
    versions = [one.version for one in model.opset_import if one.domain in OWN_DOMAINS]
    if not versions:
        raise ModelError(f"{where}: does not say of which opset of ONNX its operations are")
    [version, *_] = versions
    if not OLDEST_OPSET <= version <= NEWEST_OPSET:
        raise ModelError(
            f"{where}: is of ONNX's opset {version}, and {OLDEST_OPSET} to {NEWEST_OPSET} are "
            "read; onnx.version_converter brings a model to another"
        )
    return version


def _values_of(names: Sequence[str], file: OnnxFile, nodes: list[Node]) -> list[str]:
    """The value that each name means: one of the file's, or the first that a node of it gives."""
    graph = file.model.graph
    values = {one.name for one in graph.input}
    values.update(name for node in nodes for name in node.outputs if name)
    given = {node.proto.name: next(iter(filter(None, node.outputs)), "") for node in nodes[::-1]}
    found: dict[str, str] = {}  # value -> the name that it was given by
    for name in names:
        value = name if name in values else given.get(name)
        if not value:
            known = dict.fromkeys(each for node in nodes for each in (node.name, *node.outputs))
            raise ArgumentError(
                f"load_onnx: {file.where} has no value and no node {shown(name)}: its outputs are "
                f"{quoted([shown_name(one.name) for one in graph.output])}"
                f"{likeness(name, filter(None, known))}"
            )
        if value in found:
            raise ArgumentError(
                f"load_onnx: outputs must be different values, and {shown(found[value])} and "
                f"{shown(name)} are one"
            )
        found[value] = name
    return list(found)


def _leading_to(outputs: list[str], nodes: list[Node], where: str) -> tuple[list[Node], set[str]]:
    """The nodes that the outputs are computed of, in the file's order, and the names they use."""
    makers: dict[str, Node] = {}
    for node in nodes:
        for name in filter(None, node.outputs):
            if makers.setdefault(name, node) is not node:
                raise ModelError(
                    f"{where}: {node} gives {shown_name(name)!r}, which {makers[name]} gives, too"
                )
    needed, kept = set(outputs), set()
    waiting = list(outputs)
    while waiting:
        maker = makers.get(waiting.pop())
        if maker is None or maker.order in kept:
            continue
        kept.add(maker.order)
        new = [name for name in maker.inputs if name and name not in needed]
        needed.update(new)
        waiting += new
    return [node for node in nodes if node.order in kept], needed


def _check_order(nodes: list[Node], known: set[str], where: str) -> None:
    """Raises ModelError where a node takes what none before it gives, or gives what is there."""
    known = set(known)
    for node in nodes:
        for name in filter(None, node.inputs):
            if name not in known:
                raise ModelError(
                    f"{where}: {node} takes {shown_name(name)!r}, which no node before it gives"
                )
        for name in filter(None, node.outputs):
            if name in known:
                raise ModelError(
                    f"{where}: {node} gives {shown_name(name)!r}, which is there already"
                )
            known.add(name)


def _dims(info: Any) -> tuple[list[int | None] | None, list[str]]:
    """The input's shape as far as it is told, and why it is none that a network takes."""
    name = shown_name(info.name)
    kind = info.type.tensor_type
    if not info.type.HasField("tensor_type"):
        return None, [f"its input {name!r} is no tensor"]
    words = []
    if kind.elem_type not in FLOATS:
        words.append(f"its input {name!r} is of {type_told(kind.elem_type)}, floats are needed")
    if not kind.HasField("shape"):
        return None, words
    dims = [one.dim_value if one.dim_value > 0 else None for one in kind.shape.dim]
    if len(dims) not in (2, 4):
        words.append(f"its input {name!r} has {len(dims)} axes, a picture's has 4")
    return dims, words
