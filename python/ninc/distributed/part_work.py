"""The work on one part of a bulk run, in this process or in another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from .._base.files import write_whole, written_whole
from .listing import Part, names_of
from .part_files import error_line, writer
from .predictor import Predictor
from .rows import rows

LISTING = "_listing.jsonl"


@dataclasses.dataclass(frozen=True)
class PartWork:
    """What a part's work needs beside the part, in this process or in another.

    folder: of the run. base: the folder that pictures' paths begin at. digits: of part numbers.
    """

    folder: Path
    base: str
    kind: str
    digits: int
    predictor: Predictor

    def file(self, part: Part) -> Path:
        return self.folder / f"part-{part.number:0{self.digits}}.{self.kind}"

    def bad_file(self, part: Part) -> Path:
        return self.folder / f"_bad-{part.number:0{self.digits}}.jsonl"

    def __call__(self, part: Part, advance: Callable[[int], None] = lambda count: None) -> None:
        """Writes a part's files, whole or not at all. advance: called with 1 for each picture."""
        names = names_of(self.folder / LISTING, part)
        file, bad_file = self.file(part), self.bad_file(part)
        remove_remains(self.folder, file.name, bad_file.name)
        found = rows(self.predictor.network(), names, names, self.predictor.settings)
        bad = b""
        with written_whole(file) as opened:
            with writer(self.kind, opened) as write:
                for row in found:
                    if row.error:
                        bad += error_line(row)
                    else:
                        write(row)
                    advance(1)
            if bad:
                write_whole(bad_file, bad)
            else:  # an earlier try at this part may have left one
                bad_file.unlink(missing_ok=True)


def remove_remains(folder: Path, *names: str) -> None:
    """Deletes temporary files of a process that was killed while it wrote one of these."""
    for name in names:
        for remains in folder.glob(f".{name}.*"):
            remains.unlink(missing_ok=True)
