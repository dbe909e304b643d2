"""Finds the folders of the training, validation and test pictures, and those of the classes."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from ...errors import FileError
from ..listing import files_in, folders_in, holds_pictures, is_picture
from ..part import PARTS, part_called


def part_folders(root: Path) -> dict[str, Path]:
    """Part -> its folder, such as "validation" -> root/Val, in the order of `PARTS`.

    It is empty where `root` has class folders of its own, since "train" and "test" may be classes'
    names, too. Unpacking `train.zip` into `train` makes a folder inside another of the same
    meaning; the inner one is then taken. Beside training pictures, a folder without classes is no
    part, as many test sets are published without labels. Raises FileError where two folders mean
    the same part.
    """
    found: dict[str, list[Path]] = {}
    others = []
    for entry in folders_in(root):
        part = part_called(entry.name)
        if part is None:
            others.append(entry)
        else:
            found.setdefault(part, []).append(Path(entry.path))
    # Beside folders of pictures, `train` is a part only if it has folders: a class may be called
    # so.
    divided = "train" in found and any(map(folders_in, found["train"]))
    if not divided and any(map(holds_pictures, others)):
        return {}
    for part, same in found.items():
        if len(same) > 1:
            names = " and ".join(folder.name for folder in same)
            raise FileError(
                f"{root}: the folders {names} both mean the {part} pictures; keep or rename one"
            )
    places = {part: _innermost(found[part][0], part) for part in PARTS if part in found}
    return {
        part: place
        for part, place in places.items()
        if part == "train" or "train" not in places or any(map(holds_pictures, folders_in(place)))
    }


def class_folders(folder: Path) -> dict[str, list[Path]]:
    """Name -> folders, sorted. Names that differ only in how Unicode spells them are one."""
    found: dict[str, list[Path]] = {}
    for entry in folders_in(folder):
        found.setdefault(unicodedata.normalize("NFC", entry.name), []).append(Path(entry.path))
    return dict(sorted(found.items()))


def is_laid_out(root: Path) -> bool:
    """True where `root` holds parts with classes, or classes, and not one folder that does."""
    found = part_folders(root)
    if found:
        return any(any(map(holds_pictures, folders_in(place))) for place in found.values())
    filled = []
    for entry in folders_in(root):
        if holds_pictures(entry):
            filled.append(entry)
        if len(filled) > 1:
            return True
    # A single folder whose pictures lie in folders of its own: these are the classes.
    return any(is_picture(file.path) for entry in filled for file in files_in(entry))


def alike_inside(folders: list[Path]) -> list[str]:
    """The names of the folders inside, where all folders hold the same ones and nothing else.

    The inner ones may then be the classes, as in `fold1/CLASS` and `fold2/CLASS`.
    """
    inside = {tuple(entry.name for entry in folders_in(folder)) for folder in folders}
    alike = len(folders) > 1 and len(inside) == 1 and not any(map(files_in, folders))
    names = list(inside.pop()) if alike else []
    return names if len(names) > 1 else []


def _innermost(folder: Path, part: str) -> Path:
    inside = folders_in(folder)
    if len(inside) == 1 and part_called(inside[0].name) == part and not files_in(folder):
        return _innermost(Path(inside[0].path), part)
    return folder
