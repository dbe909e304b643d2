"""A bulk run: the answers for any number of pictures, part by part, in a folder of files.

part-00000.parquet    (or .jsonl) the answers for a part, a fixed number of pictures of the listing
_bad-00000.jsonl      the part's pictures that cannot be read, where there are any
_listing.jsonl        all pictures in their order
_run.json             what the run was begun with

A file is written under another name, flushed and renamed; a part's own file comes last. So a part
is done where its file is there, and whatever ended a run, the next goes on with the others. Names
that begin with _ are none of a data set's files to pyarrow, Spark and Dask.

A part is a whole number of batches, so that every picture is computed in the batch in which `ninc
predict` computes it: the answers are the same to the byte, whoever computes the part.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import _core
from .._base.files import locked_folder, make_folder, reading, write_whole
from .._base.plain_json import json_text
from .._base.progress import Counter
from ..errors import ArgumentError, FileError
from ..formats.metadata import stored_classes
from .choices import PART_SIZE
from .listing import Part, compare_listing, write_listing
from .part_files import check_kind, usual_kind
from .part_work import LISTING, PartWork, arithmetic_of
from .predictor import Predictor
from .ray_parts import work_by_ray

_ABOUT = "_run.json"

# What the entries of _run.json are called in a message.
_WORDS = {
    "ninc": "ninc's version",
    "network": "the network",
    "arithmetic": "what computes",
    "pictures": "the pictures named",
    "format": "--bulk-format",
    "part_size": "--part-size",
    "batch_size": "--batch-size",
    "tta": "--tta",
    "at_least": "--at-least",
}


class BulkRun:
    """A run in a folder, begun there or gone on with; locked against another until it is closed.

    network: the content of a model file. pictures: files, and folders whose pictures are all taken.
    kind: "parquet" or "jsonl"; None: the folder's, or Parquet where pyarrow is installed.
    part_size: pictures a part, rounded up to whole batches.
    settings: those of a Predictor.

    Raises ArgumentError or FileError for a folder that holds something else, such as a run with
    another network, settings or pictures.
    """

    def __init__(
        self,
        folder: str,
        network: bytes,
        pictures: Sequence[str],
        kind: str | None = None,
        part_size: int = PART_SIZE,
        **settings: Any,
    ) -> None:
        _check_apart(folder, pictures)
        self.folder = make_folder(folder)
        self._lock = locked_folder(self.folder, "another bulk run is using this folder")
        try:
            predictor = Predictor(network, **settings)
            before = self._read_about()
            kind = kind or (before or {}).get("format") or usual_kind()
            check_kind(kind)
            batch = predictor.settings.batch_size
            arithmetic = arithmetic_of(predictor.network())
            about = {
                "ninc": _core.__version__,
                "network": hashlib.sha256(network).hexdigest(),
                "pictures": list(pictures),
                "format": kind,
                "part_size": -(-part_size // batch) * batch,
                "arithmetic": arithmetic,
                **dataclasses.asdict(predictor.settings),
            }
            self.parts = self._listed(before, about)
            digits = max(5, len(str(len(self.parts) - 1)))
            where = Path(os.path.abspath(self.folder))
            self.work = PartWork(where, os.getcwd(), kind, digits, predictor, arithmetic)
            if before is None:  # last, so that a run which is there has its listing
                classes = stored_classes(predictor.network().core)
                text = json_text({**about, "classes": classes}, indent=1)
                write_whole(self.folder / _ABOUT, text.encode() + b"\n")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def pictures(self) -> int:
        """How many there are in all."""
        return sum(part.pictures for part in self.parts)

    def remaining(self) -> list[Part]:
        """The parts that are not done."""
        return [part for part in self.parts if not self.work.file(part).exists()]

    def bad(self) -> int:
        """How many pictures of the parts that are done could not be read."""
        count = 0
        for part in self.parts:
            file = self.work.bad_file(part)
            if file.exists():
                with reading(file):
                    count += file.read_bytes().count(b"\n")
        return count

    def finish(self, by_ray: bool = False) -> None:
        """Works on the remaining parts; progress on stderr. by_ray: by actors of Ray Data."""
        parts = self.remaining()
        counter = Counter("predicting", sum(part.pictures for part in parts))
        try:
            if by_ray and parts:
                work_by_ray(self.work, parts, counter.advance)
            else:
                for part in parts:
                    self.work(part, counter.advance)
        finally:
            counter.close()
        self._remove_remains()  # of actors that died

    def _remove_remains(self) -> None:
        """Deletes temporary files of processes that were killed while they wrote."""
        for name in ("part-*", "_bad-*", LISTING, _ABOUT):
            for remains in self.folder.glob(f".{name}.*"):
                remains.unlink(missing_ok=True)

    # ---- What the folder holds -------------------------------------------------------------------

    def _read_about(self) -> dict[str, Any] | None:
        """What the folder's run was begun with; None for a folder that is empty."""
        file = self.folder / _ABOUT
        if file.exists():
            try:
                with reading(file):
                    about = json.loads(file.read_bytes())
            except ValueError:
                about = None
            if not isinstance(about, dict):
                raise FileError(f"{file}: damaged; give --bulk another folder", filename=file)
            return about
        others = [name for name in os.listdir(self.folder) if name[0] != "." and name != LISTING]
        if others:
            raise FileError(
                f"{self.folder}: holds other files, such as {min(others)}; give --bulk a new or "
                "empty folder",
                filename=self.folder,
            )
        return None

    def _listed(self, before: dict[str, Any] | None, about: dict[str, Any]) -> list[Part]:
        listing, given, size = self.folder / LISTING, about["pictures"], about["part_size"]
        self._remove_remains()
        if before is None:
            return write_listing(listing, given, size)
        for key, words in _WORDS.items():
            was, now = before.get(key), about[key]
            if was != now:
                told = "" if key == "network" else f", {_told(was)} then and {_told(now)} now"
                raise ArgumentError(
                    f"{self.folder}: holds a run that differs in {words}{told}; give --bulk "
                    "another folder, or the same settings to go on with this run"
                )
        return compare_listing(listing, given, size)


def _told(value: Any) -> str:
    if value is None:
        return "none"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _check_apart(folder: str, pictures: Sequence[str]) -> None:
    """Raises ArgumentError where a picture is named twice, or the run would be among them."""
    places = [(word, os.path.realpath(word)) for word in pictures]
    out = os.path.realpath(folder)
    for number, (word, place) in enumerate(places):
        if _lies_in(out, place):
            raise ArgumentError(f"--bulk: {folder} lies in {word}, whose pictures are to be read")
        for other, other_place in places[:number] + places[number + 1 :]:
            if _lies_in(place, other_place):
                raise ArgumentError(f"--bulk: {word} lies in {other}, too; name it once")


def _lies_in(place: str, folder: str) -> bool:
    return place == folder or place.startswith(folder.rstrip(os.sep) + os.sep)
