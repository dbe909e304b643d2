"""Makes an ONNX file of a network; see `Network.export_onnx`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from ... import _core
from ..._base.arguments import integer
from ..._base.arguments import path as file_path
from ..._base.graph import Node, Nodes, graph_of
from ...errors import ArgumentError, ModelError, ShapeError, remark
from ..metadata import check_stored_classes, stored_preprocessing
from ..target import is_writable, write_to
from .builder import Builder, Value
from .operations import OPERATIONS

WHERE = "export_onnx"

# The oldest in which softmax is taken along one axis and Unsqueeze reads its axes, as written here.
LOWEST_OPSET = 13

# Metadata of the file <- the entry of the model file, the same JSON.
PROPERTIES = {
    "ninc.preprocess": "preprocessing",
    "ninc.classes": "classes",
    "ninc.temperature": "temperature",
}

# Protocol buffers end at 2 GiB; the steps take little beside the numbers.
LARGEST = 2**31 - 2**20

Dims = Sequence[Any]  # a number or a name each


def export_onnx(model: _core.Model, target: Any, opset: int) -> None:
    """Writes the network to a path or a file object; see `Network.export_onnx`."""
    if not is_writable(target):
        target = file_path(WHERE, "path", target)
    onnx = _package()
    opset = integer(WHERE, "opset", opset, LOWEST_OPSET, onnx.defs.onnx_opset_version())
    check_stored_classes(model, WHERE)
    write_to(WHERE, target, _written(onnx, model, opset))


def _package() -> ModuleType:
    try:
        import onnx
    except ImportError as error:
        raise ArgumentError(f"{WHERE} needs onnx: pip install 'ninc[onnx]'") from error
    return onnx


def _written(onnx: ModuleType, model: _core.Model, opset: int) -> bytes:
    """The file's bytes; weights and what the metadata say are of one moment."""
    parameters, texts, _ = model.state()
    graph = graph_of(model)
    _check_known(graph)
    build = Builder(graph, parameters, opset)
    outputs = _built(build, graph)
    size = sum(array.nbytes for array in build.numbers.values())
    if size > LARGEST:
        raise ModelError(
            f"{WHERE}: the network's weights are {size:,} bytes, and an ONNX file holds "
            f"{LARGEST:,} at most"
        )
    settings = stored_preprocessing(model)
    if settings is not None and settings.whitening is not None:
        remark(
            f"{WHERE}: the network's pictures are whitened, and the whitening's arrays have no "
            "place in an ONNX file; network.preprocessing and ninc's own file have them"
        )
    pictures = None if settings is None else settings.size
    taken, given = _dims(model, graph, outputs, pictures)
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    made = helper.make_model(
        helper.make_graph(
            [
                helper.make_node(
                    step.operator, step.inputs, [step.output], name=step.name, **step.attributes
                )
                for step in build.steps
            ],
            "ninc",
            [helper.make_tensor_value_info(build.tensor(graph[0]), number, taken)],
            [
                helper.make_tensor_value_info(output.tensor, number, dims)
                for output, dims in zip(outputs, given)
            ],
            [onnx.numpy_helper.from_array(array, name) for name, array in build.numbers.items()],
        ),
        producer_name="ninc",
        producer_version=_core.__version__,
        opset_imports=[helper.make_opsetid("", opset)],
        # The oldest that has these operators, so that older engines read the file, too.
        ir_version=helper.find_min_ir_version_for([helper.make_opsetid("", opset)]),
    )
    properties = {name: texts[key] for name, key in PROPERTIES.items() if key in texts}
    helper.set_model_props(made, properties)
    return made.SerializeToString()


def _needed(graph: Nodes) -> list[Node]:
    """The nodes that lead to the outputs, in order; the input is always one."""
    names = {graph[0].name, *(node.name for node in graph.outputs)}
    for node in reversed(graph):
        if node.name in names:
            names.update(node.inputs)
    return [node for node in graph if node.name in names]


def _check_known(graph: Nodes) -> None:
    """Raises ModelError that names all nodes which the table has no row for."""
    unknown = [
        f"{node.name} ({node.operation})"
        for node in _needed(graph)
        if node.operation not in OPERATIONS and node.operation != "Input"
    ]
    if unknown:
        raise ModelError(
            f"{WHERE}: layers that are not written as ONNX operators: {', '.join(unknown)}"
        )


def _built(build: Builder, graph: Nodes) -> list[Value]:
    """Adds the steps of all nodes; returns the network's outputs."""
    source, *others = _needed(graph)
    values = {source.name: Value(build.tensor(source))}
    for node in others:
        inputs = [values[name] for name in node.inputs]
        values[node.name] = OPERATIONS[node.operation](build, node, inputs)
    return build.give([(values[node.name], node) for node in graph.outputs], build.tensor(source))


# ---- Shapes --------------------------------------------------------------------------------------


def _dims(
    model: _core.Model, graph: Nodes, outputs: Sequence[Value], pictures: tuple[int, int] | None
) -> tuple[Dims, list[Dims]]:
    """The dimensions of input and outputs; what may be any number has a name.

    pictures: (H, W) as the preprocessing gives them. They are the input's where the layers tie the
        network to a size, which could be another only by chance.
    """
    known = model.channels()
    channels = known[graph[0].name]
    size: Dims = ("height", "width")
    given: list[Dims] = []
    for number, (output, node) in enumerate(zip(outputs, graph.outputs), 1):
        end = "out" if number == 1 else f"out{number}"
        maps = output.size or (f"height_{end}", f"width_{end}")
        given.append((known[node.name] or f"channels_{end}", *maps))
    if pictures and channels and _is_tied(graph, known):
        shape = (1, channels, *pictures)
        try:
            given = [model.output_shape(shape, node.name)[1:] for node in graph.outputs]
            size = pictures
        except ShapeError:
            pass  # the network takes no pictures of this size
    ends: list[Dims] = [
        ("batch", *(dims[:1] if output.flat else dims)) for output, dims in zip(outputs, given)
    ]
    return ("batch", channels or "channels", *size), ends


def _is_tied(graph: Nodes, known: Mapping[str, int | None]) -> bool:
    """Whether a layer with weights reads as many channels as the size of the picture makes."""
    return any(
        node.parameters and any(known[name] is None for name in node.inputs)
        for node in _needed(graph)
    )
