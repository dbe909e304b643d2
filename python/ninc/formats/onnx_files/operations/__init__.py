"""The table from ONNX's operations to ninc's layers, a file for each kind."""

from ..walk import Operation
from . import activations, arithmetic, normalisation, pooling, shapes, weighted

TABLE: dict[str, Operation] = {
    **weighted.OPERATIONS,
    **normalisation.OPERATIONS,
    **pooling.OPERATIONS,
    **activations.OPERATIONS,
    **arithmetic.OPERATIONS,
    **shapes.OPERATIONS,
}
