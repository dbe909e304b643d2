"""Finds out where in a path the data lie and which reader reads them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import FileError, remark
from .listing import files_below, files_in, folders_in, is_picture, some_names
from .readers import cifar_binary, cifar_pickle, folder, idx, layout, npz, svhn, table

# The readers are asked in this order; the first whose `can_read(path)` says yes reads it.
# `parts(path)` tells which of `part.PARTS` there are, in their order, and `read(path, part,
# options)` gives a `Part`.
READERS = (cifar_binary, cifar_pickle, idx, svhn, npz, table, folder)

# Data lie at most so many folders deep, since archives and downloaders wrap them in one to three.
# And at most so many folders are looked into, lest a wrong path means an hour's walk over a disk.
_DEEPEST = 4
_MOST_FOLDERS = 200

# At most so many files are looked at for what a message says.
_MOST_FILES = 1000

_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".7z", ".rar")


def locate(path: Path) -> tuple[Any, Path]:
    """(reader, place): `path` itself, or the only folder below it with data in a known form.

    `pets/pets/CLASS/*` and `data/MNIST/raw` are such. Raises FileError where there is none, or
    several.
    """
    if not path.exists():
        raise FileError(f"{path}: no such file or folder", errno.ENOENT, path)
    is_folder = path.is_dir()
    if not is_folder and not path.is_file():
        raise FileError(f"{path}: neither a folder nor a file but a pipe or a device")
    found = list(_search(path, _DEEPEST if is_folder else 0, [_MOST_FOLDERS]))
    if not found and not is_folder:
        raise FileError(
            f"{path}: not a folder of images, and no file of a known form (.npz, .csv, .mat, IDX)"
            f"{_unpack([path.name])}"
        )
    if len(found) > 1:
        places = some_names([str(place) for _, place in found])
        raise FileError(f"{path}: has several data sets in it; give one of {places}")
    if not found:
        raise FileError(_nothing(path))
    reader, place = found[0]
    if reader is folder:
        _check_table(path, place)
    return reader, place


def _check_table(path: Path, place: Path) -> None:
    """Remarks on what is wrong with a table beside class folders that tells nothing of use.

    Raises FileError where there is only one folder, which is then no class: the table tells the
    classes.
    """
    if len(layout.class_folders(place)) == 1 and table.is_of_labels(place):
        raise FileError(table.complaint(place))
    for beside in dict.fromkeys((path, place)):
        complaint = table.complaint(beside)
        if complaint:
            remark(f"passed over {complaint}")


def _search(path: Path, depth: int, left: list[int]) -> Iterator[tuple[Any, Path]]:
    """(reader, place) of all data at `path` or, where there are none, below it."""
    left[0] -= 1
    for reader in READERS:
        if reader.can_read(path):
            yield reader, path
            return
    if depth:
        for entry in folders_in(path):
            if left[0] > 0:
                yield from _search(Path(entry.path), depth - 1, left)


def _nothing(path: Path) -> str:
    """A sentence that says what was looked for and what is there instead."""
    folders = [f"{entry.name}/" for entry in folders_in(path)]
    files = [entry.name for entry in files_in(path)]
    below = list(islice(files_below(path), _MOST_FILES))
    picture = next(filter(is_picture, below), None)
    if picture is not None:
        lack = f"no class folders: pictures such as {os.path.relpath(picture, path)} lie in none"
    elif folders:
        lack = "no pictures in its folders"
        if below:
            lack += f": Pillow cannot open {os.path.relpath(below[0], path)}, nor any other"
    else:
        lack = "no class folders in it"
    several = sum(name.lower().endswith((".npz", ".csv", ".tsv")) for name in files) > 1
    complaint = table.complaint(path)
    return (
        f"{path}: {lack}. Looked for CLASS/*.jpg, train/CLASS/* with val/ or test/, CIFAR batches, "
        "IDX files (train-images-idx3-ubyte), train_32x32.mat, one .npz or one .csv of files and "
        f"classes; there is {some_names(folders + files) or 'nothing'}"
        f"{'. Of several .npz or .csv files, give the one that is meant' if several else ''}"
        f"{f'. {complaint}' if complaint else ''}{_unpack(files)}"
    )


def _unpack(files: list[str]) -> str:
    packed = [name for name in files if name.lower().endswith(_ARCHIVES)]
    return f". Unpack {some_names(packed)} first" if packed else ""
