"""Reads SVHN's cropped digits: `train_32x32.mat` and `test_32x32.mat`, or one such file.

Each holds `X`, H×W×3×N uint8, and `y`, N×1 labels 1 to 10, where 10 means the digit 0
(http://ufldl.stanford.edu/housenumbers). The classes are "0" to "9". Needs scipy.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..._base.memory import check_room
from ...errors import ArgumentError, FileError
from ..labels import Labels
from ..part import LoadOptions, Part, as_file_errors
from ..source import WholeSource

_FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}
_EXTRA = "extra_32x32.mat"


def can_read(path: Path) -> bool:
    if path.is_dir():
        return any((path / name).is_file() for name in _FILES.values())
    return path.suffix.lower() == ".mat"


def parts(path: Path) -> tuple[str, ...]:
    if not path.is_dir():
        return ("train",)
    return tuple(part for part, name in _FILES.items() if (path / name).is_file())


def read(path: Path, part: str, options: LoadOptions) -> Part:
    file = path / _FILES[part] if path.is_dir() else path
    shape = _shape(file)
    labels = _array(file, "y")
    if labels.dtype.kind not in "iuf" or not np.isin(labels, range(11)).all():
        raise FileError(f"{file}: 'y' must be labels 1 to 10, got {labels.dtype}")
    with as_file_errors():
        places = Labels(file, labels % 10, shape[3]).among([str(digit) for digit in range(10)])

    def unpack() -> np.ndarray:
        check_room(file, 2 * math.prod(shape), "an .npz of np.savez is read as it goes")
        return np.ascontiguousarray(_array(file, "X").transpose(3, 0, 1, 2))

    unused = path.is_dir() and part == "train" and (path / _EXTRA).is_file()
    notes = (f"passed over {_EXTRA}; that file itself can be given",) if unused else ()
    images = WholeSource((shape[3], *shape[:3]), np.uint8, unpack)
    return Part(images, places, [str(digit) for digit in range(10)], notes)


def _shape(file: Path) -> tuple[int, ...]:
    """H×W×3×N, from the file's directory."""
    found = {name: (shape, kind) for name, shape, kind in _call("whosmat", file)}
    if "X" not in found or "y" not in found:
        raise FileError(
            f"{file}: expected X (pictures) and y (labels) in it, as in SVHN's train_32x32.mat; "
            f"there is {', '.join(sorted(found)) or 'nothing'}"
        )
    shape, kind = found["X"]
    if len(shape) != 4 or shape[2] not in (1, 3) or 0 in shape or kind != "uint8":
        raise FileError(f"{file}: 'X' must be H×W×3×N uint8, got {kind} of shape {shape}")
    return tuple(shape)


def _array(file: Path, name: str) -> np.ndarray:
    return _call("loadmat", file, variable_names=[name])[name]


def _call(function: str, file: Path, **options: Any) -> Any:
    try:
        import scipy.io
    except ImportError as error:
        raise ArgumentError(f"{file}: reading .mat needs scipy: pip install scipy") from error
    try:
        return getattr(scipy.io, function)(file, **options)
    except FileNotFoundError as error:
        raise FileError.of(error, f"{file}: no such file", file) from error
    # Over damaged bytes scipy's parser raises errors of many kinds; it cannot read MATLAB 7.3's
    # files.
    except Exception as error:
        message = f"{file}: cannot read this .mat file ({error})"
        raise FileError.of(error, message, file) from error
