"""Reads labels from a table: a `.csv` of file names and classes, and the pictures it names.

The columns are found by their headings: `filename`, `file`, `path`, `image`, `id`, ... and `label`,
`class`, `category`, ...; of two columns with one heading known, the other is the other. Without
headings there are two columns, file and class. A column `split` or `set` says train, val or test.
Commas, semicolons and tabs separate; the text is UTF-8.

Pictures lie beside the table or in folders below it. A name without an ending is that of the
picture that has one; of a whole path that leads nowhere, as it was written on another machine, the
end that is found from the table on is taken. However Unicode spells a name, it is the same name.
Classes are sorted, as numbers where all are whole numbers.
"""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from ...errors import FileError
from ..labels import Labels
from ..listing import files_below, files_in, folders_in, is_picture, some_names
from ..part import PARTS, LoadOptions, Part, as_file_errors, part_called, read_bytes
from . import folder, layout

_SUFFIXES = (".csv", ".tsv")

# Headings in small letters without spaces and signs; the first one that a table has is taken.
_FILES = (
    "filename", "file", "filenames", "files", "filepath", "filepaths", "path", "paths", "imagepath",
    "imgpath", "imagefile", "imagename", "imgname", "fname", "image", "images", "img", "picture",
    "photo", "imageid", "imgid", "imageindex", "fileid", "id", "name",
)  # fmt: skip
_CLASSES = (
    "label", "labels", "class", "classes", "classname", "category", "categories", "target", "y",
    "labelname", "classlabel", "classid", "labelid", "categoryid", "species", "breed", "diagnosis",
)  # fmt: skip
_PARTS = ("split", "set", "dataset", "subset", "part", "partition")

# This recognises a path from a disk's root on.
_WHOLE = re.compile("/|[A-Za-z]:/")


class Table:
    """The rows of a table: `files`, `labels` and `parts` side by side.

    Raises FileError where the table cannot be read or has no columns of files and classes.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.root = path, path.parent
        lines = _lines(path)
        if not lines:
            raise FileError(f"{path}: has no rows")
        heading = lines[0][1]
        columns = _columns(heading)
        if columns is None:
            columns = self._without_heading(heading)
        else:
            lines = lines[1:]
        file, label, part = columns
        self.lines = [number for number, _ in lines]
        self.files = [_cell(row, file).replace("\\", "/") for _, row in lines]
        self.labels = [_plain(_cell(row, label)) for _, row in lines]
        parts = [None if part is None else _cell(row, part) for _, row in lines]
        self.parts = [self._part(number, name) for number, name in zip(self.lines, parts)]
        self._check()

    def rows(self, part: str) -> list[int]:
        return [row for row, found in enumerate(self.parts) if found == part]

    def _without_heading(self, row: Sequence[str]) -> tuple[int, int, None]:
        if len(row) == 2 and any((self.root / name).is_file() for name in row):
            return (0, 1, None) if (self.root / row[0]).is_file() else (1, 0, None)
        raise FileError(
            f"{self.path}: no columns of files and classes; its first row, {', '.join(row)}, needs "
            f"a heading such as {', '.join(_FILES[:2])} or image, and one such as "
            f"{', '.join(_CLASSES[:3])} or category"
        )

    def _part(self, line: int, word: str | None) -> str:
        part = "train" if word is None else part_called(word)
        if part is None:
            raise FileError(
                f"{self.path}: line {line} has {word!r} for its part, expected train, val or test"
            )
        return part

    def _check(self) -> None:
        if not self.files:
            raise FileError(f"{self.path}: has no rows below its heading")
        for what, cells in (("file", self.files), ("class", self.labels)):
            if "" in cells:
                raise FileError(f"{self.path}: line {self.lines[cells.index('')]} has no {what}")


def can_read(path: Path) -> bool:
    """True for a table, and for a folder whose only table says more than its folders do.

    A table says more where all pictures that it names lie in one folder, and where a folder holds
    pictures of several of its classes. A folder of class folders is read as such, even if a table
    lies in it.
    """
    if not path.is_dir():
        return path.suffix.lower() in _SUFFIXES
    table_file = _only_table(path)
    if table_file is None:
        return False
    if any(folders_in(place) for place in layout.part_folders(path).values()):
        return False
    try:
        table = Table(table_file)
        files, _ = _located(table)
    except FileError:
        return False  # the table is about something else
    inside: dict[str, set[str]] = {}  # folder -> the classes of its pictures
    for file, label in zip(files, table.labels):
        if file is not None:
            first, _, rest = os.path.relpath(file, path).partition(os.sep)
            inside.setdefault(first if rest else "", set()).add(label)
    below = [labels for folder, labels in inside.items() if folder]
    return bool(inside) and (len(below) <= 1 or any(len(labels) > 1 for labels in below))


def complaint(path: Path) -> str:
    """Words for what a folder's only table lacks; "" where there is none or it lacks nothing."""
    file = _only_table(path)
    if file is None:
        return ""
    try:
        table = Table(file)
        files, _ = _located(table)
    except FileError as error:
        return str(error)
    missing = [name for name, found in zip(table.files, files) if found is None]
    return f"{file}: its files, such as {missing[0]}, cannot be found" if missing else ""


def is_of_labels(path: Path) -> bool:
    """Tells whether a folder's only table has columns of files and classes."""
    file = _only_table(path)
    try:
        return file is not None and bool(Table(file).files)
    except FileError:
        return False


def parts(path: Path) -> tuple[str, ...]:
    there = set(Table(_only_table(path) or path).parts)
    return tuple(part for part in PARTS if part in there)


def read(path: Path, part: str, options: LoadOptions) -> Part:
    table = Table(_only_table(path) or path)
    files, unused = _located(table)
    missing = [name for name, file in zip(table.files, files) if file is None]
    if missing:
        raise FileError(
            f"{table.path}: {len(missing):,} of {len(files):,} files cannot be found in "
            f"{table.root} or the folders below it: {some_names(missing)}"
        )
    notes = _without_repeats(table, files)
    if unused:
        count = "1 picture" if len(unused) == 1 else f"{len(unused):,} pictures"
        notes.append(f"passed over {count} not in the table ({some_names(unused)})")
    moved = [
        pair for pair in zip(table.files, files) if _WHOLE.match(pair[0]) and pair[0] != pair[1]
    ]
    if moved:
        notes.append(
            f"{len(moved):,} of the paths lead nowhere and were taken by their ends, such as "
            f"{moved[0][0]} for {moved[0][1]}"
        )
    rows, first = table.rows(part), table.rows(next(p for p in PARTS if p in table.parts))
    with as_file_errors():
        classes = Labels(table.path, [table.labels[row] for row in first], len(first)).classes()
        labels = Labels(table.path, [table.labels[row] for row in rows], len(rows))
        places = labels.among(classes)
    chosen = [file for row in rows if (file := files[row]) is not None]  # none is missing
    return Part(
        folder.picture_source(chosen, table.root, options), places, classes.names, tuple(notes)
    )


def _only_table(path: Path) -> Path | None:
    """The table of a folder, where it has just one; None for a file."""
    if not path.is_dir():
        return None
    found = [Path(file.path) for file in files_in(path) if file.name.lower().endswith(_SUFFIXES)]
    return found[0] if len(found) == 1 else None


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """(number of the line, cells) of each row that is not empty."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: not UTF-8 text; save the table as CSV in UTF-8") from error
    told = re.match("sep=(.)\r?\n", text, re.IGNORECASE)  # Excel writes and reads such a line
    try:
        # The sniffer is given one line, since it takes letters that are common in many for
        # separators.
        first = text.partition("\n")[0]
        separator = told[1] if told else csv.Sniffer().sniff(first, ",;\t").delimiter
    except csv.Error:
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise FileError(f"{path}: line {reader.line_num}: {error}") from error
    return [(number, row) for number, row in rows[bool(told) :] if any(row)]


def _columns(heading: Sequence[str]) -> tuple[int, int, int | None] | None:
    """The columns of files, classes and parts; None where a heading does not tell the first two."""
    words = [re.sub(r"[\W_]", "", word.lower()) for word in heading]

    def find(names: Sequence[str]) -> int | None:
        return next((words.index(name) for name in names if name in words), None)

    file, label, part = map(find, (_FILES, _CLASSES, _PARTS))
    rest = set(range(len(words))) - {file, label, part}
    if len(rest) == 1 and (file is None) != (label is None):
        file, label = (rest.pop(), label) if file is None else (file, rest.pop())
    return None if file is None or label is None else (file, label, part)


def _cell(row: Sequence[str], column: int) -> str:
    """The cell; "" where the row is too short."""
    return row[column] if column < len(row) else ""


def _located(table: Table) -> tuple[list[str | None], list[str]]:
    """(the file of each row or None, pictures beside the table or below that no row means)."""
    below = list(files_below(table.root))
    by_name: dict[str, list[str]] = {}
    for file in below:
        name = _plain(os.path.basename(file))
        for key in {name, os.path.splitext(name)[0]}:
            by_name.setdefault(key, []).append(file)
    files = [_locate(table, line, name, by_name) for line, name in zip(table.lines, table.files)]
    meant = {os.path.normpath(file) for file in files if file is not None}
    unused = [
        os.path.relpath(file, table.root)
        for file in below
        if os.path.normpath(file) not in meant and is_picture(file)
    ]
    return files, unused


def _locate(table: Table, line: int, name: str, by_name: dict[str, list[str]]) -> str | None:
    """The file that a row names; raises FileError where several could be meant."""
    exact = os.path.join(table.root, name)
    if os.path.isfile(exact):
        return exact
    name = _plain(name)
    found = [
        file
        for file in by_name.get(os.path.basename(name), [])
        if any(end.endswith(f"/{name}") for end in _spellings(file)) and is_picture(file)
    ]
    if not found and _WHOLE.match(name):
        return _by_its_end(table.root, name)
    if len(found) > 1:
        raise FileError(
            f"{table.path}: line {line}, {name!r}, may mean {found[0]} or {found[1]}; the table "
            "must say which folder or ending"
        )
    return found[0] if found else None


def _spellings(file: str) -> tuple[str, str]:
    """A file's whole path with and without its ending, as a table may have it."""
    path = _plain(os.path.abspath(file)).replace(os.sep, "/")
    return path, os.path.splitext(path)[0]


def _by_its_end(root: Path, name: str) -> str | None:
    """The longest end of another machine's path that leads from the table to a file."""
    folders = name.split("/")[1:]
    ends = (root.joinpath(*folders[first:]) for first in range(len(folders)))
    return next((str(file) for file in ends if file.is_file()), None)


def _plain(name: str) -> str:
    """A name in Unicode's composed spelling; macOS takes letters with accents apart."""
    return unicodedata.normalize("NFC", name)


def _without_repeats(table: Table, files: list[str | None]) -> list[str]:
    """Notes on files listed twice, which are left in as they are, as one may weigh them so."""
    seen: dict[str, int] = {}
    repeated = []
    for row, file in enumerate(files):
        before = seen.setdefault(os.path.normpath(file or ""), row)
        if before == row:
            continue
        if (table.labels[before], table.parts[before]) != (table.labels[row], table.parts[row]):
            raise FileError(
                f"{table.path}: lines {table.lines[before]} and {table.lines[row]} give "
                f"{table.files[row]} two classes or parts"
            )
        repeated.append(table.files[row])
    words = "1 row repeats" if len(repeated) == 1 else f"{len(repeated):,} rows repeat"
    return [f"{words} a file ({some_names(repeated)})"] if repeated else []
