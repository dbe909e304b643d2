"""The paper's experiments on CIFAR-10: which networks each compares, and what the authors report.

Figures are test errors in per cent on the lossless pictures: table 1 (dropout, augmentation),
section 4.2 (without dropout) and section 4.6 with table 5 (the head) of "Network In Network", and
the authors' Caffe model (its second pool is an average, its accuracy 89.6 %).
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Variant:
    """A network and what is done to its pictures; the rest is the recipe's.

    dropout: whether dropout of 0.5 stands behind both pools.
    head: "gap"; "fc", a fully connected layer on the last mlpconv's maps, one behind the other; or
        "fc-dropout", the same with dropout of 0.5 in front of it.
    pool2: "max" as in the authors' cuda-convnet, whose networks the paper's figures are of, or
        "avg" as in their Caffe model.
    augmented: whether pictures are padded and cropped, and mirrored.
    """

    words: str
    dropout: bool = True
    head: str = "gap"
    pool2: str = "max"
    augmented: bool = False


NIN = "nin"  # the network that each experiment changes in one thing

VARIANTS = {
    NIN: Variant("dropout, global average pooling, max pool 2, no augmentation"),
    "no-dropout": Variant("without dropout", dropout=False),
    "fc": Variant("fully connected head", head="fc"),
    "fc-dropout": Variant("fully connected head, dropout before it", head="fc-dropout"),
    "augmented": Variant("with augmentation", augmented=True),
    "avg": Variant("average pool 2", pool2="avg"),
}


@dataclasses.dataclass(frozen=True)
class Experiment:
    """title: of its table. reported: a row for each variant, (its name, its words here, error).

    ordered: whether the reported errors are far enough apart to tell which is the better one.
    """

    title: str
    reported: tuple[tuple[str, str, float], ...]
    ordered: bool = True

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(name for name, _, _ in self.reported)


EXPERIMENTS = {
    "dropout": Experiment(
        "Dropout",
        ((NIN, "with dropout", 10.41), ("no-dropout", "without dropout", 14.51)),
    ),
    "head": Experiment(
        "Global average pooling against a fully connected head",
        (
            ("fc", "fully connected", 11.59),
            ("fc-dropout", "dropout, fully connected", 10.88),
            (NIN, "global average pooling", 10.41),
        ),
    ),
    "augmentation": Experiment(
        "Augmentation",
        ((NIN, "without augmentation", 10.41), ("augmented", "with augmentation", 8.81)),
    ),
    "pool2": Experiment(
        "The second pool",
        ((NIN, "max (cuda-convnet)", 10.41), ("avg", "average (Caffe)", 10.4)),
        ordered=False,
    ),
}


def variants_of(names: list[str]) -> list[str]:
    """The variants that these experiments need, each once."""
    return list(dict.fromkeys(v for name in names for v in EXPERIMENTS[name].variants))
