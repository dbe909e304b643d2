"""Files that a bulk run writes its answers to: Parquet by pyarrow, or JSON lines.

Both have the columns path, class, probability and probabilities, the last one number a class.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import Any, BinaryIO

import numpy as np

from .._base.plain_json import json_text
from ..errors import ArgumentError
from .choices import JSON_LINES, PARQUET
from .rows import Row

_ROWS_AT_A_TIME = 4096  # so many wait in memory to be written to a Parquet file at once

Write = Callable[[Row], None]


def usual_kind() -> str:
    """Parquet where pyarrow is installed, else JSON lines."""
    return JSON_LINES if find_spec("pyarrow") is None else PARQUET


def check_kind(kind: str) -> None:
    """Raises ArgumentError where what writes such files is missing."""
    if kind == PARQUET and find_spec("pyarrow") is None:
        raise ArgumentError(
            "writing Parquet needs pyarrow: pip install 'ninc[ray]', or pyarrow alone; "
            "--bulk-format jsonl needs neither"
        )


def writer(kind: str, file: BinaryIO) -> AbstractContextManager[Write]:
    """A function that writes one row after another to a file of this kind."""
    return _parquet_writer(file) if kind == PARQUET else _json_writer(file)


def error_line(row: Row) -> bytes:
    """What a file of bad pictures says of one."""
    return json_text({"path": row.name, "error": row.error}).encode() + b"\n"


@contextlib.contextmanager
def _json_writer(file: BinaryIO) -> Iterator[Write]:
    def write(row: Row) -> None:
        assert row.probabilities is not None
        told = {
            "path": row.name,
            "class": row.label,
            "probability": float(row.probabilities.max()),
            "probabilities": row.probabilities.tolist(),
        }
        file.write(json_text(told).encode() + b"\n")

    yield write


@contextlib.contextmanager
def _parquet_writer(file: BinaryIO) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("path", pa.string()),
            ("class", pa.string()),
            ("probability", pa.float32()),
            ("probabilities", pa.list_(pa.float32())),
        ]
    )
    waiting: list[Row] = []

    def flush() -> None:
        if waiting:
            table.write_table(pa.table(_arrays(pa, waiting), schema))
            waiting.clear()

    def write(row: Row) -> None:
        waiting.append(row)
        if len(waiting) == _ROWS_AT_A_TIME:
            flush()

    with pq.ParquetWriter(file, schema) as table:
        yield write
        flush()


def _arrays(pa: Any, rows: list[Row]) -> list[Any]:
    probabilities: Any = [row.probabilities for row in rows]
    ends = np.cumsum([0, *map(len, probabilities)], dtype=np.int32)
    numbers = pa.array(np.concatenate(probabilities))
    return [
        pa.array([_text(row.name or "") for row in rows], pa.string()),
        pa.array([row.label for row in rows], pa.string()),
        pa.array(np.array([values.max() for values in probabilities], np.float32)),
        pa.ListArray.from_arrays(pa.array(ends), numbers),
    ]


def _text(name: str) -> str:
    """The name as UTF-8 can have it: bytes of file names that are none are written as \\xe9."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
