"""Say what is in pictures

Without MODEL the network answers that comes with ninc, which knows the classes of CIFAR-10. A
folder stands for all pictures in it and in the folders below it; - is a picture from standard
input. Results come as they are ready. A picture that cannot be read is named on stderr and does not
end the others; the exit status is then 1, or 0 with --on-corrupt skip.

With --bulk the answers go to files in a folder, part by part, and a command that was ended goes on
when it is given again.

examples:
  ninc predict cat.jpg
  ninc predict nin.safetensors cat.jpg dog.jpg
  ninc predict nin.safetensors *.jpg --top 1 --json
  ninc predict nin.safetensors holiday --csv holiday.csv
  ninc predict nin.safetensors cat.jpg --at-least 0.9
  ninc predict nin.safetensors photos --bulk answers
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from .._base.files import check_none_of, check_writable, reading, user_path, written_whole
from .._base.plain_json import json_text
from .._base.plain_text import one_line
from .._base.progress import Counter
from ..distributed.choices import KINDS, PART_SIZE, UNSURE
from ..errors import Error, FileError, remark
from .common import (
    add_machine,
    add_model_and_pictures,
    add_tta,
    is_packaged,
    model_and_pictures,
    use_threads,
)
from .numbers import positive, share
from .terminal import say

if TYPE_CHECKING:
    from .._base.array_types import Floats
    from ..network import Network

_TOP = 5  # so many classes are shown for each picture
# A function that writes a picture's name and its probabilities, one for each class.
Write = Callable[[str, "Floats"], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_and_pictures(parser)
    parser.add_argument(
        "--top", type=positive, metavar="N", help=f"show N likeliest classes (default {_TOP})"
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--json", action="store_true", help="print one JSON object a picture, a line each"
    )
    kind.add_argument(
        "--csv",
        metavar="FILE",
        help="write a table instead: file, likeliest class or unsure, its probability, then every "
        "class's; "
        "- is standard output",
    )
    kind.add_argument(
        "--bulk",
        metavar="OUT",
        help="write every class's probability to files in the folder OUT, one for each part of "
        "the pictures, and go on with what an earlier run left undone there",
    )
    parser.add_argument(
        "--on-corrupt",
        choices=("fail", "skip"),
        default="fail",
        help="exit status where a picture cannot be read, all others being done: 1, or 0 with "
        "skip (default fail)",
    )
    parser.add_argument(
        "--batch-size", type=positive, default=64, metavar="N", help="pictures computed at a time"
    )
    parser.add_argument(
        "--at-least",
        type=share,
        metavar="P",
        help='answer "unsure" where no class has this probability, such as 0.9',
    )
    add_tta(parser)
    add_machine(parser)
    _add_bulk(parser.add_argument_group("of --bulk"))


def _add_bulk(group: Any) -> None:
    group.add_argument(
        "--bulk-format",
        choices=KINDS,
        help="of the files: Parquet, or JSON lines (default parquet where pyarrow is installed)",
    )
    group.add_argument(
        "--part-size",
        type=positive,
        metavar="N",
        help=f"pictures a part, rounded up to whole batches (default {PART_SIZE})",
    )
    group.add_argument(
        "--ray",
        action="store_true",
        help="share the parts out among actors of Ray Data, of --threads processors each (default "
        "1), as many as its cluster, or this machine, has room for",
    )


def run(args: argparse.Namespace) -> int:
    from ..data.listing import has_picture_ending

    if args.csv is not None and args.top is not None:
        args.parser.error("--top would be ignored: the table of --csv has every class")
    if args.csv not in (None, "-"):
        if has_picture_ending(args.csv):  # someone wrote `--csv a.jpg b.jpg` as if it were a switch
            args.parser.error(f"--csv: {args.csv} is named as a picture, not as a table to write")
        check_writable(args.csv)
        given = [word for word in (args.model, *(args.images or ())) if word is not None]
        check_none_of(args.csv, given, "one of the files to read")
    _check_bulk(args)
    use_threads(args)
    network, images = model_and_pictures(args)
    if args.at_least is not None and network.temperature is None:
        remark(
            f"{args.model} has no temperature: its probabilities may be higher than its answers "
            "are right; ninc train --validation and ninc eval --calibrate fit one"
        )
    if args.bulk is not None:
        return _bulk(args, images)
    network.to(args.device)
    pictures, missing = _pictures(images)
    with _writer(args, network) as write:
        bad = _predict(network, pictures, args, write)
    if args.csv not in (None, "-"):
        print(f"wrote {one_line(args.csv)}: {len(pictures) - bad:,} pictures")
    return 1 if bad + missing and args.on_corrupt == "fail" else 0


def _check_bulk(args: argparse.Namespace) -> None:
    """Ends with a usage error where options do not go together."""
    if args.bulk is None:
        for option in ("--bulk-format", "--part-size", "--ray"):
            if getattr(args, option[2:].replace("-", "_")):
                args.parser.error(f"{option} goes with --bulk")
    elif args.top is not None:
        args.parser.error("--top would be ignored: the files of --bulk have every class")
    elif args.ray and args.device != "cpu":
        args.parser.error("--ray computes on processors; without it --device cuda is taken")


def _bulk(args: argparse.Namespace, images: list[str]) -> int:
    """Writes the answers to a folder, part by part; returns the exit status."""
    from ..distributed.bulk import BulkRun

    if "-" in images:
        args.parser.error("--bulk takes files and folders, no picture from standard input")
    if args.ray:
        from ..distributed.ray_parts import needed_ray

        needed_ray()  # before a folder is made
    run = BulkRun(
        args.bulk,
        _model_content(args, images),
        images,
        args.bulk_format,
        args.part_size or PART_SIZE,
        threads=args.threads,
        batch_size=args.batch_size,
        tta=args.tta,
        at_least=args.at_least,
        device=args.device,
    )
    with contextlib.closing(run):
        parts = len(run.parts)
        done = parts - len(run.remaining())
        if done:
            say(f"{args.bulk}: {done:,} of {_count(parts, 'part')} done before")
        try:
            run.finish(by_ray=args.ray)
        except KeyboardInterrupt:
            done = parts - len(run.remaining())
            say(
                f"interrupted; {args.bulk} has {done:,} of {_count(parts, 'part')}; go on with: "
                f"{shlex.join(['ninc', *args.argv])}"
            )
            return 1
        bad = run.bad()
    if bad:
        say(f"{_count(bad, 'picture')} could not be read: {args.bulk}/_bad-*.jsonl says why")
    good = _count(run.pictures - bad, "picture")
    print(f"wrote {one_line(args.bulk)}: {good} in {_count(parts, 'part')}")
    return 1 if bad and args.on_corrupt == "fail" else 0


def _model_content(args: argparse.Namespace, images: list[str]) -> bytes:
    """The file of the network that answers for these pictures, which other processes load, too."""
    import ninc

    from ..packaged import DEFAULT

    is_default = len(images) > len(args.images or ())  # the word for MODEL was a picture
    if is_default or is_packaged(args.model):
        path = ninc.get_pretrained_path(DEFAULT if is_default else args.model)
    else:
        path = user_path(args.model)
    with reading(path), open(path, "rb") as file:
        return file.read()


def _count(number: int, what: str) -> str:
    """ "1 part", "1,024 pictures"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _pictures(given: Sequence[str]) -> tuple[list[tuple[str, Any]], int]:
    """The pictures with their names, and how many folders have none."""
    from ..inference.predict import folder_pictures

    pictures: list[tuple[str, Any]] = []
    missing = 0
    for name in given:
        if name == "-":
            given_bytes = b"" if sys.stdin is None else sys.stdin.buffer.read()
            pictures.append(("standard input", given_bytes))
        elif os.path.isdir(name):
            try:
                pictures += [(file, file) for file in folder_pictures(name)]
            except FileError as error:
                say(str(error))
                missing += 1
        else:
            pictures.append((name, name))  # a missing file is reported when its turn comes
    return pictures, missing


def _predict(
    network: Network,
    pictures: Sequence[tuple[str, Any]],
    args: argparse.Namespace,
    write: Write,
) -> int:
    """Writes the results as they come; returns how many pictures could not be read."""
    from ..inference.predict import answers

    # On a terminal the printed lines themselves show how far it is.
    counter = Counter("predicting", len(pictures), shown=not sys.stdout.isatty())
    bad = 0
    given = (picture for _, picture in pictures)
    found = answers(network.core, given, args.batch_size, tta=args.tta)
    with contextlib.closing(counter), contextlib.closing(found):
        for (name, picture), answer in zip(pictures, found):
            if answer.error is None:
                write(name, cast("Floats", answer.probabilities))
            else:
                counter.close()  # the message must not follow on the counter's line
                named = name is picture
                say(str(answer.error) if named else f"{name}: {answer.error.__cause__}")
                bad += 1
            counter.advance(1)
    return bad


@contextlib.contextmanager
def _writer(args: argparse.Namespace, network: Network) -> Iterator[Write]:
    """The function that writes one result, in the form that was asked for."""
    if args.csv == "-":
        yield _csv_writer(sys.stdout, network, args.at_least)
    elif args.csv is not None:
        with written_whole(args.csv) as file:
            # File names that are not valid UTF-8 keep their bytes.
            text = io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
            try:
                yield _csv_writer(text, network, args.at_least)
            finally:
                text.detach()  # flushes; whoever opened the file closes it
    else:
        yield _line_writer(args, network)


def _line_writer(args: argparse.Namespace, network: Network) -> Write:
    from ..formats.metadata import class_names

    top = args.top or _TOP

    def write(name: str, probabilities: Floats) -> None:
        classes = class_names(network.core, len(probabilities))
        best = probabilities.argsort(kind="stable")[::-1][:top]
        unsure = _is_unsure(probabilities, args.at_least)
        if args.json:
            found = [{"class": classes[i], "probability": float(probabilities[i])} for i in best]
            told = {"unsure": unsure} if args.at_least is not None else {}
            print(json_text({"image": name, **told, "predictions": found}), flush=True)
        else:
            words = ", ".join(f"{classes[i]} {probabilities[i]:.1%}" for i in best)
            if unsure:
                words = f"{UNSURE} ({words})"
            print(f"{one_line(name)}: {words}", flush=True)

    return write


def _is_unsure(probabilities: Floats, at_least: float | None) -> bool:
    """Whether no class is as likely as was asked for; a NaN is as likely as nothing."""
    return at_least is not None and not probabilities.max() >= at_least


def _csv_writer(file: Any, network: Network, at_least: float | None) -> Write:
    from ..formats.metadata import class_names, stored_preprocessing

    table = csv.writer(file, lineterminator="\n")
    classes: list[str] = []

    def head(count: int) -> None:
        classes.extend(class_names(network.core, count))
        table.writerow(["file", "class", "probability", *classes])

    settings = stored_preprocessing(network.core)
    if settings is not None and settings.size is not None:  # the first result says it otherwise
        with contextlib.suppress(Error):
            head(network.core.output_shape((1, settings.channels, *settings.size))[1])

    def write(name: str, probabilities: Floats) -> None:
        if not classes:
            head(len(probabilities))
        best = int(probabilities.argmax())
        numbers = [f"{value:.7g}" for value in probabilities]
        answer = UNSURE if _is_unsure(probabilities, at_least) else classes[best]
        table.writerow([name, answer, numbers[best], *numbers])

    return write
