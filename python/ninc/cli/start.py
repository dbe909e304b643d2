"""The network that `ninc train` starts from: a published one with fresh weights, or a model file.

The network of a model file (--init) keeps architecture, weights and preprocessing; where the data
have other classes, it gets a new last layer.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError
from .common import INPUTS, as_stored, load_network
from .terminal import say

if TYPE_CHECKING:
    from ..data import Dataset
    from ..network import Network

# These options say what the model file of --init says itself.
_STORED = ("pool2", "preprocessing", "resize", "size", "fit", "ground")


class Start:
    """The beginning of one run; the data are loaded between the making of it and its network.

    pictures: how `data.load` is to bring pictures to the network's size.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self._kept: Network | None = None
        if args.init is None:
            if args.pool2 is not None and args.model in ("nin-imagenet", "fast-cifar10"):
                args.parser.error(f"--pool2: {args.model} has max pools alone")
            if args.recipe == "original" and args.model == "fast-cifar10":
                args.parser.error("--recipe original is of the paper's networks, not fast-cifar10")
            self.pictures = _asked(args)
            return
        for option in _STORED:
            if getattr(args, option, None) is not None:
                args.parser.error(f"--{option} does not go with --init: the model file says it")
        self._kept = load_network(args.init)
        self.pictures = as_stored(self._kept)

    def network(self, train: Dataset) -> Network:
        """The network for these data. Who trains or tests it maps their labels by name."""
        import ninc

        from ..training import recipes

        args, network = self.args, self._kept
        if network is None:
            chosen = {} if args.pool2 is None else {"pool2": args.pool2}
            return ninc.models.create(
                args.model,
                num_classes=len(train.classes),
                seed=args.seed,
                **recipes.recipe(args.recipe, args.model).network,
                **chosen,
            ).to(args.device)
        # Recipes need a published network's name; this is the one that takes such pictures.
        args.model = recipes.like(*train.input_shape)
        if network.classes is None or set(network.classes) != set(train.classes):
            was = _outputs(network, train)
            network = network.new_head(train.classes, args.seed)
            say(
                f"the last layer is new: {len(train.classes)} classes, was {was}; all else "
                f"from {args.init}"
            )
        return network.to(args.device)

    def prepare(self, network: Network, train: Dataset, preprocessing: str) -> list[str]:
        """Sets what the recipe takes from the pictures; returns what it holds still then.

        A network of a model file has its weights.
        """
        from ..training import recipes

        prepare = recipes.recipe(self.args.recipe, self.args.model).prepare
        if prepare is None or self._kept is not None:
            return []
        return prepare(network, train, preprocessing)

    def describe(self, network: Network) -> str:
        """Words for what the run starts from; raises ArgumentError where --freeze does not fit it.

        This is called before anything is trained, so that a misspelt layer costs no epoch.
        """
        from ..training.freezing import frozen_parameters

        parameters = network.parameters()
        frozen = frozen_parameters(list(parameters), self.args.freeze)
        words = self.args.model if self._kept is None else f"from {self.args.init}"
        words += f", {network.num_parameters:,} parameters"
        if frozen:
            words += f", {sum(parameters[name].size for name in frozen):,} of them frozen"
        return words


def _asked(args: argparse.Namespace) -> dict[str, Any]:
    """How a published network's pictures are brought to size, as the command line says."""
    from ..preprocess import WHITE, Framing

    side, channels = INPUTS[args.model]
    size = args.size or (side, side)
    try:
        framing = Framing(size, channels, args.resize, args.fit or "crop", args.ground or WHITE)
    except ArgumentError as error:
        args.parser.error(f"{args.model} with pictures of {size[0]}×{size[1]}: {error}")
    return dataclasses.asdict(framing)


def _outputs(network: Network, data: Dataset) -> str:
    """How many classes the network told apart: "2", or "2 others" where the data have as many."""
    count = network.core.output_shape((1, *data.input_shape))[1]
    return f"{count} others" if count == len(data.classes) else str(count)
