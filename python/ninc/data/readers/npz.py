"""Reads numpy's `.npz`: the file, or a folder with a single one in it.

Training images stand under `x_train`, `train_images`, `train_x` or `images_train`, or `x` or
`images` alone, their labels under `y_train`, `train_labels`, ..., `y` or `labels`; a validation and
a test set, where there are any, under the same names with `val`, `valid` or `validation` and with
`test`; the classes' names under `classes`. Letter case does not matter. Images are N×H×W or N×H×W×C
uint8 pictures (C = 1 or 3), or N×C×H×W float32; labels are all that `Dataset` takes.

What `np.savez` writes is read as it goes; what `np.savez_compressed` writes is unpacked into
memory. Pickled arrays are refused.
"""

from __future__ import annotations

import math
import struct
import zipfile
from pathlib import Path

import numpy as np

from ..._base.memory import check_room
from ...errors import FileError
from ...preprocess.pictures import conversion
from ..labels import Classes, Labels, as_text
from ..listing import files_in, some_names
from ..part import PARTS, WORDS, LoadOptions, Part, as_file_errors
from ..source import Source, WholeSource
from .records import RecordFile

# Arrays with these names, which name no part, are the training set's.
_PLAIN = {"images": ("x", "images"), "labels": ("y", "labels")}

# In these names the part's name stands in the place of {}.
_PATTERNS = {
    "images": ("x_{}", "{}_images", "{}_x", "images_{}"),
    "labels": ("y_{}", "{}_labels", "{}_y", "labels_{}"),
}

# There is `except Exception` below, since zipfile, zlib and numpy's parser of headers raise errors
# of many kinds over damaged bytes, tokenize's among them. All mean the same.

# A zip member's own header has so many bytes before the name and the extra field.
_LOCAL_HEADER = 30


def can_read(path: Path) -> bool:
    return _file(path) is not None


def parts(path: Path) -> tuple[str, ...]:
    names = _arrays(_file(path) or path)
    # Images without labels, and labels without images, are reported when they are read.
    there = (part for part in PARTS if any(_named(names, part, what) for what in _PLAIN))
    return tuple(there) or ("train",)


def read(path: Path, part: str, options: LoadOptions) -> Part:
    file = _file(path) or path
    names = _arrays(file)
    first = parts(path)[0]
    with as_file_errors():
        source = _images(file, _find(file, names, part, "images"))
        labels = _labels(file, names, part, len(source))
        if "classes" in names:
            classes = Classes(list(map(as_text, _load(file, "classes").ravel().tolist())))
            if len(set(classes.names)) != len(classes.names):
                raise FileError(f"{file}: 'classes' names a class twice")
        else:
            classes = (labels if part == first else _labels(file, names, first)).classes()
        places = labels.among(classes)
    notes = [note for note in (labels.note, classes.note) if note]
    used = [name for part in PARTS for what in _PLAIN for name in _named(names, part, what)]
    unused = [name for name in names if name not in used and name != "classes"]
    if unused:
        notes.append(f"passed over the arrays {some_names(unused)}")
    return Part(source, places, classes.names, tuple(notes))


def _labels(file: Path, names: list[str], part: str, count: int | None = None) -> Labels:
    """A part's labels, as many as it has images or as `count`."""
    array = _load(file, _find(file, names, part, "labels"))
    return Labels(file, array, (array.shape or (1,))[0] if count is None else count)


def _file(path: Path) -> Path | None:
    if path.is_dir():
        files = [Path(file.path) for file in files_in(path) if file.name.lower().endswith(".npz")]
        return files[0] if len(files) == 1 else None
    return path if path.suffix.lower() == ".npz" else None


def _arrays(file: Path) -> list[str]:
    try:
        with zipfile.ZipFile(file) as archive:
            return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
    except Exception as error:
        raise FileError.of(error, f"{file}: not a whole .npz file ({error})", file) from error


def _spellings(part: str, what: str) -> list[str]:
    """A part's images or labels may have these names with its own in them, in small letters."""
    return [form.format(word) for word in WORDS[part] for form in _PATTERNS[what]]


def _named(names: list[str], part: str, what: str) -> list[str]:
    """The arrays that are images or labels of a part."""
    spellings = _spellings(part, what)
    found = [name for name in names if name.lower() in spellings]
    if not found and part == "train":
        found = [name for name in names if name.lower() in _PLAIN[what]]
    return found


def _find(file: Path, names: list[str], part: str, what: str) -> str:
    found = _named(names, part, what)
    if len(found) > 1:
        raise FileError(f"{file}: {' and '.join(map(repr, found))} both are {part} {what}")
    if found:
        return found[0]
    plain = _PLAIN[what] if part == "train" else ()
    words = ", ".join((*plain, *_spellings(part, what)[:2]))
    raise FileError(
        f"{file}: no {part} {what}: expected an array named {words}, ...; there is "
        f"{', '.join(names[:10]) or 'nothing'}"
    )


def _load(file: Path, name: str) -> np.ndarray:
    try:
        with np.load(file, allow_pickle=False) as archive:
            array = archive[name]
            if not isinstance(array, np.ndarray):
                raise ValueError("it is no array")
            return array
    except Exception as error:
        message = f"{file}: cannot read array {name!r} ({error})"
        raise FileError.of(error, message, file) from error


def _images(file: Path, name: str) -> Source:
    """The array as a source; only its header is read, unless it must be unpacked."""
    try:
        with zipfile.ZipFile(file) as archive, archive.open(f"{name}.npy") as member:
            version = np.lib.format.read_magic(member)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
            else:
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(member)
            data = member.tell()
            info = archive.getinfo(f"{name}.npy")
    except Exception as error:
        message = f"{file}: cannot read array {name!r} ({error})"
        raise FileError.of(error, message, file) from error
    _check(file, name, shape, dtype)
    if info.file_size != data + math.prod(shape) * dtype.itemsize:
        raise FileError(f"{file}: array {name!r} is not as long as its header says")
    shape = (*shape, 1) if len(shape) == 3 else shape
    if info.compress_type == zipfile.ZIP_STORED and not fortran:
        offset = info.header_offset + _local_header(file, info) + data
        return RecordFile(file, shape, dtype, offset)

    def unpack() -> np.ndarray:
        check_room(file, info.file_size, "np.savez writes files that are read as it goes")
        array = _load(file, name).reshape(shape)
        return np.ascontiguousarray(array, array.dtype.newbyteorder("="))

    return WholeSource(shape, dtype.newbyteorder("="), unpack)


def _check(file: Path, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    pictures = dtype == np.uint8 and (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3)))
    floats = dtype.newbyteorder("=") == np.float32 and len(shape) == 4
    if not (pictures or floats) or 0 in shape:
        raise FileError(
            f"{file}: {name!r} must be N×H×W, N×H×W×1 or N×H×W×3 uint8, or N×C×H×W float32, got "
            f"{dtype} of shape {shape}" + (conversion(dtype, shape) if dtype == np.uint8 else "")
        )


def _local_header(file: Path, info: zipfile.ZipInfo) -> int:
    """Bytes between a member's start and its content; its extra field is not the directory's."""
    with open(file, "rb") as opened:
        opened.seek(info.header_offset)
        header = opened.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER:
        raise FileError(f"{file}: cut short")
    name, extra = struct.unpack("<HH", header[26:30])
    return _LOCAL_HEADER + name + extra
