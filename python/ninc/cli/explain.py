"""Show where in pictures a model sees a class

Writes each picture beside itself in grey with colour where it spoke for the class. -o FILE takes
all pictures on one sheet; -o FOLDER/ gets a file a picture. --sheet makes FILE a contact sheet of
many small pictures, each with what the network said of it, and of those in a folder that has the
name of a class, whether this is right. A picture that cannot be read is named and left out, and the
exit status is then 1. Without MODEL it is the network that comes with ninc.

--method cam needs a network that ends in global average pooling; grad-cam takes any network with
convolutions.

examples:
  ninc explain cat.jpg -o cat-map.png
  ninc explain nin.safetensors cat.jpg -o cat-map.png
  ninc explain nin.safetensors cat.jpg -o dog-map.png --class dog
  ninc explain nin.safetensors *.jpg -o maps/
  ninc explain nin.safetensors pets/test -o sheet.png --sheet
  ninc explain vgg.safetensors cat.jpg -o cat-map.png --method grad-cam
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._base.files import check_none_of, check_writable, make_folder
from .._base.plain_text import one_line
from ..errors import ArgumentError, FileError, ShapeError
from .common import add_machine, add_model_and_pictures, model_and_pictures, use_threads
from .numbers import positive
from .terminal import say

if TYPE_CHECKING:
    from ..explanation import Explanation
    from ..network import Network

# A sheet of more pictures is taller than most programs show.
_MOST_ON_A_SHEET = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_and_pictures(parser)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="file to write, .png, .jpg, .webp, .pdf, ...; or a folder, written with a / at its "
        "end where it is not there yet",
    )
    parser.add_argument(
        "--class",
        dest="label",
        metavar="NAME",
        help="explain this class, by name or number (default: each picture's likeliest)",
    )
    parser.add_argument(
        "--method",
        choices=("cam", "grad-cam"),
        default="cam",
        help="cam, the maps that global average pooling averages (default); or grad-cam, a layer's "
        "maps weighted by the gradients of the class's score",
    )
    parser.add_argument(
        "--layer",
        metavar="NAME",
        help="with --method grad-cam: whose maps, by a name that `ninc info MODEL` lists (default: "
        "the last layer behind a convolution, pools apart, with maps larger than 1×1)",
    )
    parser.add_argument(
        "--sheet",
        action="store_true",
        help="write FILE as a contact sheet of up to 500 pictures",
    )
    parser.add_argument(
        "--columns",
        type=positive,
        metavar="N",
        help="with --sheet: how many pictures side by side (default: for a sheet a little wider "
        "than high)",
    )
    add_machine(parser)


def run(args: argparse.Namespace) -> int:
    from ..explanation import explain

    if args.layer is not None and args.method != "grad-cam":
        args.parser.error("--layer goes with --method grad-cam")
    if args.columns is not None and not args.sheet:
        args.parser.error("--columns goes with --sheet")
    use_threads(args)
    network, given = model_and_pictures(args)
    network.to(args.device)
    images = _files(given)
    output = _output(args, images, network)
    status = 0
    for image in images:
        try:
            explanation = explain(network, image, args.label, args.method, args.layer)
        except (FileError, ShapeError) as error:  # the fault is this picture's; others may be whole
            message = str(error) if image in str(error) else f"{image}: {error}"
            say(" ".join(message.split()))
            status = 1
            continue
        print(one_line(f"{image}: {explanation.name} {explanation.probability:.1%}"))
        output.add(explanation)
    output.close()
    return status


def _output(args: argparse.Namespace, images: list[str], network: Network) -> Any:
    """What takes the explanations; raises where it cannot be written."""
    is_folder = args.output.endswith(os.sep) or os.path.isdir(args.output)
    if not args.sheet:
        return (_Folder if is_folder else _Sheet)(args.output, images)
    if is_folder:
        raise ArgumentError(f"{args.output}: is a folder; --sheet writes one file, such as a .png")
    return _ContactSheet(args.output, images, network, args.columns)


def _files(images: list[str]) -> list[str]:
    """The pictures, with a folder's pictures in the folder's place."""
    from ..inference.predict import folder_pictures

    lists = (folder_pictures(image) if os.path.isdir(image) else [image] for image in images)
    return [file for files in lists for file in files]


class _Sheet:
    """All explanations in one file, below one another."""

    most = _MOST_ON_A_SHEET
    instead = "--sheet takes 500 small ones, and a folder any number"

    def __init__(self, path: str, images: list[str]) -> None:
        from ..explanation.image_files import check_ending, endings

        if not Path(path).suffix:
            raise ArgumentError(
                f"{path}: has no ending that names a format ({', '.join(endings())}); for a folder "
                f"write {path}{os.sep}"
            )
        check_ending(path)
        check_writable(path)
        check_none_of(path, images, "one of the pictures to explain")
        if len(images) > self.most:
            raise ArgumentError(
                f"{path}: {len(images):,} pictures are too many for one sheet, which holds "
                f"{self.most}; {self.instead}: -o {Path(path).stem}/"
            )
        self._path = path
        self._parts: list[Any] = []

    def add(self, explanation: Explanation) -> None:
        from ..explanation.figure import row

        self._parts.append(row(explanation))

    def close(self) -> None:
        from ..explanation.image_files import save_image

        if self._parts:
            save_image(self._path, self._drawn())
            print(f"wrote {self._path}")

    def _drawn(self) -> Any:
        from ..explanation.figure import sheet

        return sheet(self._parts)


class _ContactSheet(_Sheet):
    """Many small explanations in one file, in rows."""

    instead = "a folder takes any number, without --sheet"

    def __init__(self, path: str, images: list[str], network: Network, columns: int | None) -> None:
        from ..explanation import MOST_ON_A_CONTACT_SHEET

        self.most = MOST_ON_A_CONTACT_SHEET
        super().__init__(path, images)
        self._classes, self._columns = frozenset(network.classes or ()), columns

    def add(self, explanation: Explanation) -> None:
        from ..explanation.contact_sheets import cell

        folder = Path(explanation.source).absolute().parent.name
        self._parts.append(cell(explanation, folder if folder in self._classes else None))

    def _drawn(self) -> Any:
        from ..explanation.contact_sheets import sheet_of

        return sheet_of(self._parts, self._columns)


class _Folder:
    """A PNG file for each explanation, named after its picture; none of these is overwritten."""

    def __init__(self, path: str, images: list[str]) -> None:
        self._path = make_folder(path)
        check_writable(self._path / "map.png")
        here = os.path.realpath(self._path)
        self._taken = {
            os.path.basename(image).casefold()
            for image in images
            if os.path.dirname(os.path.realpath(image)) == here
        }
        self._count = 0

    def add(self, explanation: Explanation) -> None:
        stem = Path(explanation.source).stem
        name, number = f"{stem}-map.png", 1
        while name.casefold() in self._taken:  # a/1.jpg and b/1.jpg, or 1.jpg and 1.png
            number += 1
            name = f"{stem}-map-{number}.png"
        self._taken.add(name.casefold())
        explanation.save(self._path / name)
        self._count += 1

    def close(self) -> None:
        if self._count:
            what = "file" if self._count == 1 else "files"
            print(f"wrote {self._count:,} {what} to {self._path}{os.sep}")
