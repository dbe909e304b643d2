"""Puts a trained network into the package, with what made it beside it.

    python tools/package_network.py TRAINED.safetensors CIFAR10 --command "ninc train ..." \\
        --recipe fast --seed 0 --epochs 10

CIFAR10: the data set, as `ninc.data.load` takes it; the network's accuracy on its test pictures is
measured here, without flip averaging and with it, of the weights as they are stored. Writes
python/ninc/packaged/cifar10.safetensors, in float16, and cifar10.json; nothing else has to change.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np

import ninc
from ninc._base.files import write_whole
from ninc.packaged import DEFAULT, NAMES

FOLDER = Path(__file__).resolve().parents[1] / "python" / "ninc" / "packaged"
LARGEST = 2_500_000  # bytes of the model file
LICENCE = "Apache-2.0, as ninc itself"
DATA_NOTE = (
    "Trained on CIFAR-10 (Alex Krizhevsky, Learning Multiple Layers of Features from Tiny Images, "
    "2009), 32x32 photographs gathered from the web for research, here saved as JPEG. Whoever "
    "publishes the data set asks to be cited and states no licence; no picture is in this file."
)


def stored(trained: Path, name: str) -> Path:
    """Writes the network in float16; SystemExit where it lacks what a packaged network needs."""
    network = ninc.load(trained)
    for what in ("classes", "preprocessing"):
        if getattr(network, what) is None:
            sys.exit(f"package_network: {trained} has no {what}, which `predict` needs")
    network.held_out = None  # data with a test set hold nothing else out
    target = FOLDER / f"{name}.safetensors"
    network.save(target, "float16")
    size = target.stat().st_size
    if size > LARGEST:
        sys.exit(f"package_network: {target.name} has {size:,} bytes, at most {LARGEST:,} fit")
    return target


def measured(network: ninc.Network, data: str) -> dict[str, float]:
    """Accuracy on the test pictures, from 0 to 1, of one look at each and of both mirror images."""
    settings = network.preprocessing
    assert settings is not None
    test = ninc.data.load(
        data, "test", size=settings["size"], channels=settings["channels"], progress=True
    )
    print(f"testing on {len(test):,} pictures", file=sys.stderr)
    return {
        "test_accuracy": network.evaluate(test).accuracy,
        "test_accuracy_flip": network.evaluate(test, tta="flip").accuracy,
        "test_pictures": len(test),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("trained", type=Path, metavar="TRAINED")
    parser.add_argument("data", metavar="CIFAR10")
    parser.add_argument("--name", choices=NAMES, default=DEFAULT, help=f"default {DEFAULT}")
    parser.add_argument("--command", required=True, help="the command that trained it, as typed")
    parser.add_argument("--recipe", required=True, help="the recipe's name, or its settings")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--data-set", default="CIFAR-10 (JPEG)", help="default CIFAR-10 (JPEG)")
    options = parser.parse_args(arguments)

    target = stored(options.trained, options.name)
    network = ninc.load(target)
    told = {
        "name": options.name,
        "command": options.command,
        "recipe": options.recipe,
        "seed": options.seed,
        "epochs": options.epochs,
        "data_set": options.data_set,
        "classes": network.classes,
        "parameters": network.num_parameters,
        **measured(network, options.data),
        "temperature": network.temperature,
        "versions": {"ninc": ninc.__version__, "numpy": np.__version__, "target": ninc.target()},
        "licence": LICENCE,
        "data_note": DATA_NOTE,
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
    }
    sidecar = target.with_suffix(".json")
    write_whole(sidecar, (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode())
    print(f"{target.name}: {target.stat().st_size:,} bytes, accuracy {told['test_accuracy']:.2%}, "
          f"with flip averaging {told['test_accuracy_flip']:.2%}")  # fmt: skip


if __name__ == "__main__":
    main()
