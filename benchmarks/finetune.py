"""Whether a trained network helps where there are few pictures of new classes.

python -m benchmarks.finetune cifar10                     # a folder of JPEGs: train/, test/CLASS/*
python -m benchmarks.finetune cifar10 --held-out-classes ship truck --pictures 50 --seeds 0 1 2 3
python -m benchmarks.finetune cifar10 --init eight.safetensors --json finetune.json

Trains a network on all classes but two, or takes one that was (--init). Then, for each seed, a
hundred training pictures of each of the two classes are drawn, and two networks learn them: one
begins with the trained network and a new last layer (`Network.new_head`), the other, of the same
layers, from nothing. Both see the same pictures in as many steps of as many pictures; each has the
rate that suits it, and the first layer is trained like the others. Their accuracies on the test
pictures of the two classes, and the difference in points, are a table's rows.

--tune tests on other training pictures of the two classes, so that rates, epochs and what is frozen
can be chosen without a look at the test set.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import numpy as np

import ninc
from benchmarks import write_json
from ninc import nn
from ninc._base.progress import LiveLine
from ninc.cli.numbers import positive

SIDE = 32
# So many training pictures of each of the two classes stand for the test set under --tune.
_TUNED_ON = 1000
GOAL = 5.0  # points


# ---- The network, and the one it begins with -----------------------------------------------------


def fresh(classes: int, seed: int) -> nn.Sequential:
    """A network of the packaged one's layers with weights of its own, for 32×32 RGB pictures."""
    return ninc.models.fast_cifar10(classes, seed=seed)


def trainer(network: ninc.Network, lr: float, seed: int) -> ninc.Trainer:
    """The settings that every training here has."""
    return ninc.Trainer(
        network,
        ninc.SGD(lr, momentum=0.9, nesterov=True, weight_decay=5e-4),
        schedule=ninc.schedules.OneCycle(),
        augment=ninc.augment.Compose(ninc.augment.PadCrop(2), ninc.augment.Flip()),
        label_smoothing=0.1,
        seed=seed,
    )


def base(train: ninc.Dataset, options: argparse.Namespace) -> ninc.Network:
    """The network of --init, or one trained on all classes but the two. ValueError for others."""
    new = options.held_out_classes
    if options.init is not None:
        network = ninc.load(options.init)
        known = set(network.classes or ())
        if not known or known & set(new):
            told = ", ".join(sorted(known)) or "no names of classes"
            raise ValueError(f"{options.init}: knows {told}; a network without {new} is needed")
        return network
    others = [name for name in train.classes if name not in new]
    known_pictures = of_classes(train, others)
    if options.base_pictures is not None:
        known_pictures = drawn(known_pictures, options.base_pictures, 0)[0]
    network = fresh(len(others), seed=0)
    _say(
        f"training on {len(known_pictures):,} pictures of {len(others)} classes, "
        f"{options.base_epochs} epochs"
    )
    made = trainer(network, 0.1, seed=0)
    made.fit(known_pictures, epochs=options.base_epochs, batch_size=128)
    if options.save is not None:
        network.save(options.save)
    return network


# ---- Pictures of two classes ---------------------------------------------------------------------


def of_classes(data: ninc.Dataset, names: list[str]) -> ninc.Dataset:
    """The pictures of these classes, with labels that count in the order of the names."""
    chosen = [data.classes.index(name) for name in names]
    picked = np.flatnonzero(np.isin(data.labels, chosen))
    part = data.subset(picked)
    labels = np.array([chosen.index(label) for label in part.labels.tolist()])
    return part.relabelled(labels, names)


def drawn(
    data: ninc.Dataset, count: int, seed: int, others: int = 0
) -> tuple[ninc.Dataset, ninc.Dataset]:
    """`count` pictures of each class, drawn by the seed, and `others` different ones of each."""
    rng = np.random.default_rng(seed)
    taken: list[int] = []
    further: list[int] = []
    for label in range(len(data.classes)):
        places = rng.permutation(np.flatnonzero(data.labels == label))
        if len(places) < count + others:
            raise ValueError(
                f"{data.classes[label]}: {count + others} training pictures are needed, there are "
                f"{len(places)}"
            )
        taken += places[:count].tolist()
        further += places[count : count + others].tolist()
    return data.subset(sorted(taken)), data.subset(sorted(further))


# ---- One seed ------------------------------------------------------------------------------------


def accuracies(
    known: ninc.Network,
    train: ninc.Dataset,
    test: ninc.Dataset,
    seed: int,
    options: argparse.Namespace,
) -> dict[str, float]:
    """Accuracies from 0 to 1 of the network that was begun with, and of the one from nothing."""
    tuned = known.new_head(train.classes, seed)
    nothing = fresh(len(train.classes), seed)
    found = {}
    for name, network, lr, frozen in (
        ("fine_tuned", tuned, options.lr, options.freeze),
        ("from_nothing", nothing, options.lr_from_nothing, ()),
    ):
        _say(f"seed {seed}, {name.replace('_', ' ')}: {options.epochs} epochs", brief=True)
        trainer(network, lr, seed).fit(
            train, epochs=options.epochs, batch_size=options.batch, freeze=frozen, progress=False
        )
        found[name] = network.evaluate(test).accuracy
    return found


def table(rows: list[dict]) -> list[str]:
    """Markdown: a row a seed, the mean, and whether the goal is reached."""
    lines = ["| seed | fine-tuned | from nothing | points |", "|---|---|---|---|"]
    for row in [*rows, mean_of(rows)]:
        lines.append(
            f"| {row['seed']} | {row['fine_tuned']:.2%} | {row['from_nothing']:.2%} "
            f"| {100 * (row['fine_tuned'] - row['from_nothing']):+.2f} |"
        )
    mean = mean_of(rows)
    points = 100 * (mean["fine_tuned"] - mean["from_nothing"])
    reached = "reached" if points >= GOAL else "not reached"
    return [*lines, "", f"the goal of {GOAL:g} points is {reached}"]


def mean_of(rows: list[dict]) -> dict:
    """The row of means."""
    names = ("fine_tuned", "from_nothing")
    return {"seed": "mean", **{name: statistics.mean(row[name] for row in rows) for name in names}}


# ---- The command ---------------------------------------------------------------------------------

_LINE = LiveLine()


def _say(text: str, brief: bool = False) -> None:
    """A line on stderr; a brief one is shown on a terminal alone and is overwritten."""
    if brief:
        _LINE.show(text)
        return
    _LINE.clear()
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.finetune", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("data", help="folder of CIFAR-10, as pictures or batches")
    add("--held-out-classes", nargs=2, default=["cat", "dog"], metavar="CLASS", help="cat dog")
    add("--pictures", type=positive, default=100, help="of each new class (default 100)")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default 0 1 2")
    add("--init", metavar="FILE", help="a network of other classes, instead of training one")
    add("--save", metavar="FILE", help="keep the network that is trained, for --init")
    add("--base-epochs", type=positive, default=4, help="of that training (default 4)")
    add("--base-pictures", type=positive, metavar="N", help="of each class there (default all)")
    add("--epochs", type=positive, default=40, help="on the few pictures (default 40)")
    add("--batch", type=positive, default=32, help="pictures a step (default 32)")
    add("--lr", type=float, default=0.01, help="peak rate of fine-tuning (default 0.01)")
    add("--lr-from-nothing", type=float, default=0.1, help="peak rate from nothing (default 0.1)")
    add("--freeze", nargs="*", default=[], metavar="PATTERN", help="layers to leave (default none)")
    add("--tune", action="store_true", help="test on other training pictures, to choose settings")
    add("--threads", type=positive, default=ninc.get_num_threads())
    add("--json", metavar="FILE", help="write the figures there")
    return parser


def _run(options: argparse.Namespace) -> None:
    ninc.set_num_threads(options.threads)
    begun = time.perf_counter()
    train = ninc.data.load(options.data, "train", size=(SIDE, SIDE), channels=3, progress=True)
    new = options.held_out_classes
    for name in new:
        if name not in train.classes:
            raise ValueError(f"no class {name} in {options.data}; there are {train.classes}")
    if len(set(new)) < 2:
        raise ValueError(f"--held-out-classes: two different classes are needed, got {new}")
    known = base(train, options)
    pool = of_classes(train, new)
    if not options.tune:
        loaded = ninc.data.load(options.data, "test", size=(SIDE, SIDE), channels=3)
        test = of_classes(loaded, new)
    rows = []
    for seed in options.seeds:
        others = _TUNED_ON if options.tune else 0
        few, further = drawn(pool, options.pictures, seed, others)
        found = accuracies(known, few, further if options.tune else test, seed, options)
        rows.append({"seed": seed, **found})
        _say(
            f"seed {seed}: fine-tuned {found['fine_tuned']:.2%}, "
            f"from nothing {found['from_nothing']:.2%}"
        )
    tested = "other training pictures" if options.tune else "test pictures"
    print(
        f"{' and '.join(new)}: {options.pictures} training pictures of each, accuracy on {tested}; "
        f"{options.epochs} epochs, batch {options.batch}; {time.perf_counter() - begun:.0f} s"
    )
    print("\n".join(table(rows)))
    settings = {name: value for name, value in vars(options).items() if name != "json"}
    write_json(options.json, {"settings": settings, "seeds": rows, "mean": mean_of(rows)})


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except (ValueError, ninc.Error) as error:
        sys.exit(f"finetune: {error}")
    except KeyboardInterrupt:
        sys.exit("finetune: interrupted")


if __name__ == "__main__":
    main()
