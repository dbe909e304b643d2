"""The forms of batches that a `Predictor` takes, and what it gives back for each."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._base.arguments import is_iterable, quoted, shown
from .._base.array_types import Floats
from .._base.arrays import is_array
from ..errors import ArgumentError
from ..formats.metadata import stored_classes
from .choices import Settings
from .rows import rows

if TYPE_CHECKING:
    from ..network import Network

# Columns that hold pictures; where there is neither, files that `path` names are read.
_BYTES, _IMAGE, _PATH = "bytes", "image", "path"

_WHERE = "Predictor"
_FORMS = "a dict of columns, a pandas DataFrame or a list of pictures"


class _Found(NamedTuple):
    """Of N pictures: likeliest classes, probabilities N×classes, errors; see `Predictor`."""

    labels: list[str]
    probabilities: Floats
    errors: list[str]


def answered(network: Network, batch: Any, settings: Settings) -> Any:
    """Columns for columns, a DataFrame for a DataFrame, else a list; see `Predictor.__call__`."""
    pandas = sys.modules.get("pandas")  # whoever has a DataFrame has imported it
    if pandas is not None and isinstance(batch, pandas.DataFrame):
        columns = {name: batch[name].to_numpy() for name in batch.columns}
        found = _columns(network, columns, settings)
        found["probabilities"] = list(found["probabilities"])
        return pandas.DataFrame(found, index=batch.index)
    if isinstance(batch, Mapping):
        return _columns(network, batch, settings)
    return _list(network, batch, settings)


def _list(network: Network, batch: Any, settings: Settings) -> list[dict[str, Any]]:
    single = isinstance(batch, (str, os.PathLike, bytes, bytearray, memoryview))
    if single or is_array(batch) or not is_iterable(batch):
        raise ArgumentError(f"{_WHERE}: a batch must be {_FORMS}, got {shown(batch)}")
    pictures = list(batch)
    names = list(map(_name, pictures))
    found = _found(network, pictures, names, settings)
    return [
        {
            **({} if name is None else {_PATH: name}),
            "class": label,
            "probability": float("nan") if error else float(probabilities.max()),
            "probabilities": probabilities,
            "error": error,
        }
        for name, label, probabilities, error in zip(names, *found)
    ]


def _columns(network: Network, columns: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    pictures = _pictures(columns)
    for name, column in columns.items():
        if not is_iterable(column) or len(column) != len(pictures):
            count = len(column) if is_iterable(column) else shown(column)
            raise ArgumentError(
                f"{_WHERE}: columns must be of one length, got {len(pictures)} pictures and "
                f"{count} in {shown(name)}"
            )
    names = list(map(_name, columns[_PATH])) if _PATH in columns else [None] * len(pictures)
    found = _found(network, pictures, names, settings)
    likeliest = np.full(len(pictures), np.nan, np.float32)
    for place, error in enumerate(found.errors):
        if not error:
            likeliest[place] = found.probabilities[place].max()
    kept = {name: column for name, column in columns.items() if name not in (_BYTES, _IMAGE)}
    return {
        **kept,
        # Texts and never None: of a batch without errors, or of bad pictures alone, the column has
        # the same type, so that batches can be put together and written.
        "class": np.array(found.labels, object),
        "probability": likeliest,
        "probabilities": found.probabilities,
        "error": np.array(found.errors, object),
    }


def _pictures(columns: Mapping[str, Any]) -> list[Any]:
    """The pictures of a batch of columns."""
    there = [name for name in (_BYTES, _IMAGE) if name in columns]
    if len(there) == 2:
        raise ArgumentError(f"{_WHERE}: a batch has both bytes and image; drop one of the columns")
    if not there and _PATH not in columns:
        got = quoted(list(map(str, columns))) or "none"
        raise ArgumentError(f"{_WHERE}: a batch needs a column bytes, image or path, got {got}")
    name = there[0] if there else _PATH
    column = columns[name]
    if isinstance(column, np.ndarray) and column.dtype.kind == "S":
        raise ArgumentError(
            f"{_WHERE}: {name} is an array of {column.dtype}, from which numpy cuts off zeros at "
            "the ends of files; make it one of dtype object"
        )
    if isinstance(column, (str, bytes, bytearray, memoryview)) or not is_iterable(column):
        raise ArgumentError(f"{_WHERE}: {name} must be a column of pictures, got {shown(column)}")
    return list(column)


def _name(picture: Any) -> str | None:
    return os.fsdecode(picture) if isinstance(picture, (str, os.PathLike)) else None


def _found(
    network: Network, pictures: Sequence[Any], names: Sequence[str | None], settings: Settings
) -> _Found:
    labels, errors, probabilities = [], [], []
    for row in rows(network, pictures, names, settings):
        labels.append(row.label)
        errors.append(row.error)
        probabilities.append(row.probabilities)
    known = [len(row) for row in probabilities if row is not None]
    # Bad pictures alone, or none, do not tell how many classes there are; the network mostly does.
    count = known[0] if known else network.core.output_channels()
    nothing = np.full(count or len(stored_classes(network.core) or ()), np.nan, np.float32)
    made = np.empty((len(pictures), len(nothing)), np.float32)
    for place, values in enumerate(probabilities):
        made[place] = nothing if values is None else values
    return _Found(labels, made, errors)
