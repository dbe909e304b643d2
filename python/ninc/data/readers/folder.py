"""Reads a folder of pictures: `train/CLASS/*`, `val/CLASS/*`, `test/CLASS/*`, or `CLASS/*` alone.

A class's pictures are those in its folder and in the folders below it. What lies beside the class
folders, folders without pictures and files that are no pictures are told in the part's notes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...errors import FileError
from ..listing import files_in, folders_in, holds_pictures, picture_files, some_names
from ..part import LoadOptions, Part, part_called
from ..pictures import PictureFiles
from . import layout


def can_read(path: Path) -> bool:
    return path.is_dir() and layout.is_laid_out(path)


def parts(path: Path) -> tuple[str, ...]:
    return tuple(layout.part_folders(path)) or ("train",)


def read(path: Path, part: str, options: LoadOptions) -> Part:
    """The classes are the sorted names of the training set's folders that have pictures."""
    found = layout.part_folders(path)
    place = found.get(part, path)
    folders = layout.class_folders(place)
    listed = {name: picture_files(*folders[name]) for name in folders}
    filled = [name for name in folders if listed[name][0]]
    if not filled:
        raise FileError(f"{place}: {_lack(place)}")
    if part == "train":
        classes = filled
    else:
        classes = _classes_of([found["train"]] if "train" in found else found.values())
    unknown = [name for name in filled if name not in classes]
    if unknown:
        raise FileError(
            f"{folders[unknown[0]][0]}: no class of this name in the training folder, whose "
            f"classes are {some_names(classes)}"
        )
    empty = [name for name in folders if name not in filled] if part == "train" else []
    files = [file for name in filled for file in listed[name][0]]
    counts = [len(listed[name][0]) for name in filled]
    labels = np.repeat(np.array([classes.index(name) for name in filled], np.int64), counts)
    no_pictures = [file for name in folders for file in listed[name][1]]
    notes = _notes(path, place, found, empty, no_pictures)
    alike = layout.alike_inside([folder for name in filled for folder in folders[name]])
    if alike:
        notes.append(
            f"each of the {len(filled)} class folders has the folders {some_names(alike)} in it: "
            "if those are the classes, give one of the folders above them"
        )
    return Part(picture_source(files, path, options), labels, classes, tuple(notes))


def picture_source(files: list[str], root: Path, options: LoadOptions) -> PictureFiles:
    """A source of files, whose names are told from `root` on, so that this may lie anywhere."""
    return PictureFiles(
        files, options.framing(3), options.threads, root=root, tolerant=options.on_error == "skip"
    )


def _classes_of(places: Iterable[Path]) -> list[str]:
    """The sorted names of the folders with pictures."""
    filled: set[str] = set()
    for place in places:
        folders = layout.class_folders(place)
        filled.update(name for name in folders if any(map(holds_pictures, folders[name])))
    return sorted(filled)


def _lack(place: Path) -> str:
    """Words for what a folder without classes has instead."""
    loose = [file.name for file in files_in(place)]
    if folders_in(place):
        return "no pictures in its class folders"
    here = f"; in the folder itself there are {some_names(loose)}" if loose else ""
    return f"no class folders in it (expected CLASS/*.jpg, *.png, ...){here}"


def _notes(
    root: Path, place: Path, found: dict[str, Path], empty: list[str], no_pictures: list[str]
) -> list[str]:
    """Notes on what is there and was not used, each with its number and a few names."""
    loose = [file.path for file in files_in(place)]
    beside: list[str] = []
    unlabelled: list[str] = []
    if found:
        loose += [file.path for file in files_in(root)]
        for entry in folders_in(root):
            part = part_called(entry.name)
            if part not in found:
                (beside if part is None else unlabelled).append(entry.name)

    def told(names: list[str], one: str, many: str) -> str:
        what = one if len(names) == 1 else many
        return f"passed over {len(names):,} {what} ({some_names(names)})"

    def from_root(files: list[str]) -> list[str]:
        return [os.path.relpath(file, root) for file in files]

    notes = (
        (empty, "class folder without pictures", "class folders without pictures"),
        (beside, "folder beside the parts", "folders beside the parts"),
        (unlabelled, "part without class folders", "parts without class folders"),
        (from_root(loose), "file outside the class folders", "files outside the class folders"),
        (from_root(no_pictures), "file that opens as no picture", "files that open as no pictures"),
    )
    return [told(*note) for note in notes if note[0]]
