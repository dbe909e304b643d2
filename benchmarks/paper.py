"""The paper's experiments on CIFAR-10: dropout, head, augmentation and second pool, trained alike.

python -m benchmarks.paper cifar10 --epochs 10 --json paper.jsonl     # 6 networks, 3 seeds
python -m benchmarks.paper cifar10 --experiments dropout head --seeds 0
python -m benchmarks.paper cifar10 --recipe fast --epochs 5           # a table with batch norm
python -m benchmarks.paper cifar10 --limit 100 --epochs 2             # a quick try
python -m benchmarks.paper --markdown --json paper.jsonl              # the tables alone

What the paper says ("Network In Network", arXiv 1312.4400, table 1, sections 4.2 and 4.6), errors
on CIFAR-10 in per cent:

dropout        14.51 without, 10.41 with
head           11.59 fully connected, 10.88 with dropout before it, 10.41 global average pooling
augmentation   10.41 without, 8.81 with
pool2          max in the authors' cuda-convnet (10.41), average in their Caffe model (10.4)

Each network is NIN with dropout, global average pooling, a max pool as its second and no
augmentation, but for the one thing that its experiment changes. A fully connected head takes the
ten maps of 8×8 of the last mlpconv, flattened, to ten scores: 6,410 parameters more. All are
trained from the same seeds, for the same number of epochs, by the recipe `original`, whose rate
falls at the same shares of the run as the paper's; --recipe fast trains the networks with batch
norm and today's settings. Each is tested once, after its last epoch: nothing is chosen by the test
pictures.

In the network without batch norm a ReLU follows the scores of the classes, too, and with weights of
N(0, 0.05) the scores start at nearly zero: the loss stays at ln 10, a guess, for about a hundred
steps, a quarter of an epoch of 50,000 pictures. After that a single large step can put all scores
to zero for good, since no gradient goes through the last ReLU then. Such a training ends at an
error of 90 %, and the tables say so instead of ranking it. --clip-norm 0.5 keeps gradients from
that at the full rate; it is part of the settings, for all networks of a table alike. Dropout and
augmentation act against overfitting, which begins after many epochs: with few, networks without
them may well be ahead. Then the order differs from the paper's, and the tables say that, too.

A training that diverges, its loss not finite, is a result as well: a line without an error, which
the tables tell and leave out of the means.

Each finished training is a line of the JSON file at once, and a training that stands there with
the same settings is not repeated, so that tables may be made over several days. Ctrl-C loses the
one under way alone. Results of other settings may stand in the same file; each has its own table.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import ninc
from ninc._base.files import append_line
from ninc._base.progress import time_text
from ninc.cli.numbers import not_negative, positive, positive_real
from ninc.data import Dataset
from ninc.preprocess import Preprocessing
from ninc.training import recipes

from . import stored_rows
from .experiments import table
from .experiments.training import CLASSES, MODEL, SIDE, Plan
from .experiments.what import EXPERIMENTS, VARIANTS, variants_of

_FIELDS = ("settings", "variant", "seed", "error", "training losses", "seconds")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper", description=__doc__.splitlines()[0]
    )
    parser.add_argument("data", nargs="?", help="CIFAR-10: a folder of pictures, batches or .npz")
    parser.add_argument("--epochs", type=positive, default=10, help="of each (default 10)")
    parser.add_argument(
        "--seeds", type=not_negative, nargs="+", default=[0, 1, 2], help="default: 0 1 2"
    )
    parser.add_argument(
        "--experiments",
        nargs="+",
        choices=EXPERIMENTS,
        default=list(EXPERIMENTS),
        metavar="NAME",
        help=f"of {', '.join(EXPERIMENTS)} (default: all)",
    )
    parser.add_argument(
        "--recipe",
        choices=recipes.RECIPES,
        default="original",
        help="original: the paper's; fast: with batch norm (default original)",
    )
    parser.add_argument("--lr", type=positive_real, metavar="RATE", help="default: the recipe's")
    parser.add_argument(
        "--clip-norm",
        type=positive_real,
        metavar="NORM",
        help="limit the gradients' norm to this (default: no limit)",
    )
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="take N pictures a class, for a quick try"
    )
    parser.add_argument("--threads", type=positive, default=ninc.get_num_threads())
    parser.add_argument(
        "--json",
        metavar="FILE",
        default="paper.jsonl",
        help="lines of finished trainings (default paper.jsonl)",
    )
    parser.add_argument("--markdown", action="store_true", help="train nothing, show the tables")
    return parser


def pictures_called(path: str) -> str:
    """What the tables call the data: a folder of JPEGs has lost what the originals have."""
    folder = Path(path)
    kinds = {".jpg", ".jpeg"}
    if folder.is_dir() and any(file.suffix.lower() in kinds for file in folder.glob("train/*/*")):
        return "CIFAR-10 (JPEG)"
    return "CIFAR-10"


def _loaded(options: argparse.Namespace) -> tuple[Dataset, Dataset]:
    """The training and the test set. ValueError where they are not of CIFAR-10's kind."""
    sizes = dict(size=(SIDE, SIDE), channels=3, limit=options.limit, progress=True)
    train, test = (ninc.data.load(options.data, split, **sizes) for split in ("train", "test"))
    if len(train.classes) != CLASSES or not train.is_pictures:
        raise ValueError(
            f"{options.data}: the experiments need pictures of {CLASSES} classes, got "
            f"{len(train.classes)} classes of {'pictures' if train.is_pictures else 'arrays'}"
        )
    return train, test


def _train(options: argparse.Namespace) -> None:
    """Makes the trainings that are missing."""
    ninc.set_num_threads(options.threads)
    train, test = _loaded(options)
    plan = Plan(options.recipe, options.epochs, options.lr, options.clip_norm)
    settings = plan.settings(train, test, pictures_called(options.data))
    rows = stored_rows(options.json, _FIELDS)
    done = {(r["variant"], r["seed"]) for r in rows if r["settings"] == settings}
    names, seeds = variants_of(options.experiments), dict.fromkeys(options.seeds)
    wanted = [(name, seed) for seed in seeds for name in names]
    left = [run for run in wanted if run not in done]
    _say(
        f"{table.count(len(wanted), 'training')} of {table.count(options.epochs, 'epoch')} of "
        f"{len(train):,} pictures, recipe {options.recipe}: {len(wanted) - len(left)} of them in "
        f"{options.json}"
    )
    if not left:
        return
    # One fit serves all: it depends on the training pictures alone.
    kind = recipes.recipe(options.recipe, MODEL).preprocessing
    preprocessing = Preprocessing.fit(train.images, kind, framing=train.framing, progress=True)
    for index, (name, seed) in enumerate(left, 1):
        _say(f"training {index} of {len(left)}: {name} ({VARIANTS[name].words}), seed {seed}")
        row = plan.run(name, seed, train, test, preprocessing)
        append_line(options.json, json.dumps({"settings": settings, **row}))
        took = time_text(row["seconds"])
        if table.diverged(row):
            _say(f"{name}, seed {seed}: diverged after {took}: {row['diverged']}")
            continue
        _say(f"{name}, seed {seed}: error {row['error']:.2f} %, {took}")
        if table.learnt_nothing(row):
            _say(f"{name}, seed {seed}: ended at a guess; --clip-norm 0.5 or a lower --lr may help")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.data is None and not options.markdown:
        parser.error("DATA is missing: CIFAR-10, or --markdown to show what was measured")
    try:
        if not options.markdown:
            _train(options)
        rows = stored_rows(options.json, _FIELDS)
    except (ValueError, ninc.Error) as error:
        sys.exit(f"paper: {error}")
    except KeyboardInterrupt:
        sys.exit(f"paper: interrupted; the same command goes on from {options.json}")
    print("\n".join(table.markdown(rows, options.experiments)))


if __name__ == "__main__":
    main()
