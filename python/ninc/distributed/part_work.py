"""The work on one part of a bulk run, in this process or in another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .. import _core
from .._base.files import write_whole, written_whole
from ..errors import ArgumentError
from .listing import Part, names_of
from .part_files import error_line, writer
from .predictor import Predictor
from .rows import rows

if TYPE_CHECKING:
    from ..network import Network

LISTING = "_listing.jsonl"


@dataclasses.dataclass(frozen=True)
class PartWork:
    """What a part's work needs beside the part, in this process or in another.

    folder: of the run. base: the folder that pictures' paths begin at. digits: of part numbers.
    arithmetic: what the run was begun on; see `arithmetic_of`.
    """

    folder: Path
    base: str
    kind: str
    digits: int
    predictor: Predictor
    arithmetic: str

    def file(self, part: Part) -> Path:
        return self.folder / f"part-{part.number:0{self.digits}}.{self.kind}"

    def bad_file(self, part: Part) -> Path:
        return self.folder / f"_bad-{part.number:0{self.digits}}.jsonl"

    def __call__(self, part: Part, advance: Callable[[int], None] = lambda count: None) -> None:
        """Writes a part's files, whole or not at all. advance: called with 1 for each picture."""
        names = names_of(self.folder / LISTING, part)
        file, bad_file = self.file(part), self.bad_file(part)
        network = self.predictor.network()
        if arithmetic_of(network) != self.arithmetic:
            raise ArgumentError(
                f"this process computes on {arithmetic_of(network)}, the run was begun on "
                f"{self.arithmetic}, whose last digits differ; give all its processes the same"
            )
        found = rows(network, names, names, self.predictor.settings)
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


def arithmetic_of(network: Network) -> str:
    """What the last digits of answers depend on, beside the network and its batches."""
    return f"{network.device}, {_core.target()} instructions, precision {network.precision}"
