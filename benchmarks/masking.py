"""Whether the map of a class shows what the answer comes from: pictures with parts of them masked.

python -m benchmarks.masking nin.safetensors cifar10
python -m benchmarks.masking vgg.safetensors pets --method grad-cam --layer relu13 --json vgg.json

Of 1,000 test pictures, drawn by --seed, each is masked in four ways, always the same number of
pixels, 20 % of them:

strongest        where the map of the class that the network predicts is strongest
random pixels    anywhere, each by itself. So many holes leave no edge whole, wherever they lie, and
                 may harm more than a larger thing that is hidden: this says as much about the
                 network as about its maps.
random block     a rectangle, as near to a square as fits, somewhere
moved            the strongest places' own form, moved by a random way; what leaves the picture
                 comes in on the other side. It differs from the first only in where it lies.

Masked pixels take the mean colour of the pictures, that of all that were loaded. For each way a row
tells how many predictions change, the accuracy, and the mean probability of the class predicted
before. Below them stands

    the map's share  the percentage of pictures where masking the strongest 20 % lowers the
                     predicted class's probability more than masking a random 20 % does

against each of the random ways, with its standard error. Where both lower it alike the picture does
not count for the map. A map without meaning has about 50 % against its moved form. Places of equal
heat, as all of a map that is the same everywhere, are taken at random.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any

import numpy as np

import ninc
from ninc._base.progress import Counter
from ninc.cli.common import as_stored, load_network
from ninc.cli.numbers import not_negative, positive
from ninc.explanation import METHODS, explain
from ninc.inference.matching import matched

from . import write_json

# What is masked, as the table has it.
STRONGEST, PIXELS, BLOCK, MOVED = "strongest", "random pixels", "random block", "moved"
WAYS = (STRONGEST, PIXELS, BLOCK, MOVED)

_AGAINST = {PIXELS: PIXELS, BLOCK: f"a {BLOCK}", MOVED: "its form moved"}

# Pictures are masked and predicted so many at a time, for all ways at once.
_AT_A_TIME = 100


# ---- Masks ---------------------------------------------------------------------------------------


def strongest(heat: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """H×W bool: the `count` pixels of most heat, those of equal heat at random."""
    order = np.lexsort((rng.random(heat.size), -heat.ravel()))
    return _of(order[:count], heat.shape)


def random_pixels(shape: tuple[int, int], count: int, rng: np.random.Generator) -> np.ndarray:
    """H×W bool: `count` pixels, each by itself."""
    return _of(rng.permutation(shape[0] * shape[1])[:count], shape)


def random_block(shape: tuple[int, int], count: int, rng: np.random.Generator) -> np.ndarray:
    """H×W bool: `count` pixels side by side, a rectangle whose last row may be shorter.

    It is as near to a square as the picture's sides allow.
    """
    height, width = shape
    across = min(width, max(math.ceil(math.sqrt(count)), math.ceil(count / height)))
    down = math.ceil(count / across)
    top = int(rng.integers(height - down + 1))
    left = int(rng.integers(width - across + 1))
    places = np.arange(count)
    return _of((top + places // across) * width + left + places % across, shape)


def moved(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mask moved down and across, what leaves it on one side coming in on the other."""
    return np.roll(mask, [int(rng.integers(size)) for size in mask.shape], axis=(0, 1))


def _of(places: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask.ravel()[places] = True
    return mask


def masked(pictures: np.ndarray, masks: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """N×H×W×C uint8 pictures with what N×H×W bool masks cover in the colour, C uint8."""
    return np.where(masks[..., None], colour, pictures)


def mean_colour(images: Any) -> np.ndarray:
    """C uint8: the mean of all pixels of the pictures."""
    total, pixels = np.zeros(images.shape[-1]), 0
    for start in range(0, len(images), 1000):
        part = np.asarray(images[start : start + 1000])
        total += part.sum(axis=(0, 1, 2), dtype=np.float64)
        pixels += math.prod(part.shape[:3])
    return np.rint(total / pixels).astype(np.uint8)


# ---- Measuring -----------------------------------------------------------------------------------


def measure(
    network: ninc.Network,
    data: ninc.Dataset,
    pictures: int,
    share: float,
    seed: int,
    method: str = "cam",
    layer: str | None = None,
) -> dict[str, Any]:
    """The figures, as `main` writes them to JSON.

    data: as the network takes it. pictures: how many are drawn of it, all where there are fewer.
    """
    chosen = np.random.default_rng(seed).permutation(len(data))[:pictures]
    colour = mean_colour(data.images)
    before: list[np.ndarray] = []
    after: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    flat = 0
    counter = Counter("masking pictures", len(chosen))
    for start in range(0, len(chosen), _AT_A_TIME):
        part = chosen[start : start + _AT_A_TIME]
        images = np.asarray(data.images[part])
        before.append(network.predict(images))
        masks: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
        for index, image in zip(part, images):
            heat = explain(network, image, method=method, layer=layer).heat
            flat += bool(heat.max() == heat.min())
            # A picture's masks are the same whichever others are drawn, and for every method.
            rng = np.random.default_rng([seed, int(index)])
            count = round(share * heat.size)
            masks[PIXELS].append(random_pixels(heat.shape, count, rng))
            masks[BLOCK].append(random_block(heat.shape, count, rng))
            masks[STRONGEST].append(strongest(heat, count, rng))
            masks[MOVED].append(moved(masks[STRONGEST][-1], rng))
            counter.advance(1)
        for way in WAYS:
            after[way].append(network.predict(masked(images, np.stack(masks[way]), colour)))
    counter.close()
    labels = np.asarray(data.labels)[chosen]
    joined = {way: np.concatenate(rows) for way, rows in after.items()}
    figures = compare(np.concatenate(before), joined, labels)
    return {"pictures": len(chosen), "without heat": flat, "colour": colour.tolist(), **figures}


def compare(before: np.ndarray, after: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, Any]:
    """The figures of N×classes probabilities before and after each way of masking."""
    rows, predicted = np.arange(len(before)), before.argmax(axis=1)
    ways = {}
    for way, probabilities in {"nothing": before, **after}.items():
        answers = probabilities.argmax(axis=1)
        ways[way] = {
            "changed": float((answers != predicted).mean()),
            "accuracy": float((answers == labels).mean()),
            "probability": float(probabilities[rows, predicted].mean()),
        }
    left = {way: probabilities[rows, predicted] for way, probabilities in after.items()}
    shares = {}
    for way in WAYS[1:]:
        share = float((left[STRONGEST] < left[way]).mean())
        shares[way] = {"share": share, "error": math.sqrt(share * (1 - share) / len(before))}
    return {"masked": ways, "map's share": shares}


def table(found: dict[str, Any], share: float) -> list[str]:
    """The figures in lines."""
    lines = [f"{'masked':22}{'changed':>10}{'accuracy':>10}{'probability':>13}"]
    for way, row in found["masked"].items():
        name = way if way == "nothing" else f"{way}, {share:.0%}"
        lines.append(
            f"{name:22}{row['changed']:>10.1%}{row['accuracy']:>10.1%}{row['probability']:>13.3f}"
        )
    lines.append("")
    for way, row in found["map's share"].items():
        against = f"the map's share against {_AGAINST[way]}"
        lines.append(f"{against:45}{row['share']:>7.1%} ± {100 * row['error']:.1f} points")
    if found["without heat"]:
        lines.append(f"{found['without heat']:,} pictures have a map that is the same everywhere")
    return lines


# ---- The command ---------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.masking", description=__doc__.splitlines()[0]
    )
    parser.add_argument("model", help="model file with stored preprocessing")
    parser.add_argument("data", help="labelled pictures, as of `ninc eval`")
    parser.add_argument("--method", choices=METHODS, default="cam", help="default cam")
    parser.add_argument("--layer", metavar="NAME", help="with grad-cam: whose maps")
    parser.add_argument("--split", default="test", help="which of the data (default test)")
    parser.add_argument("--pictures", type=positive, default=1000, help="default 1000")
    parser.add_argument("--share", type=float, default=0.2, help="of the pixels (default 0.2)")
    parser.add_argument("--seed", type=not_negative, default=0, help="of all that is drawn")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    return parser


def main(arguments: list[str] | None = None) -> None:
    parser = _parser()
    options = parser.parse_args(arguments)
    if not 0 < options.share < 1:
        parser.error(f"--share must be between 0 and 1, got {options.share}")
    try:
        network = load_network(options.model)
        stored = as_stored(network)
        if not stored or stored["size"] is None:
            sys.exit(f"masking: {options.model}: says nothing about the size of its pictures")
        data = ninc.data.load(options.data, options.split, progress=True, **stored)
        data = matched(network.core, data, "masking")
        settings = {"method": options.method, "layer": options.layer}
        found = measure(network, data, options.pictures, options.share, options.seed, **settings)
    except ninc.Error as error:
        sys.exit(f"masking: {error}")
    except KeyboardInterrupt:
        sys.exit("masking: interrupted")
    if found["pictures"] < options.pictures:
        print(f"masking: the data have {found['pictures']:,} pictures", file=sys.stderr)
    told = f", {options.layer}" if options.layer else ""
    print(f"{found['pictures']:,} pictures, {options.method}{told}, seed {options.seed}")
    print("\n".join(table(found, options.share)))
    if options.json:
        chosen = {name: getattr(options, name) for name in ("split", "share", "seed")}
        write_json(options.json, {**settings, **chosen, **found})


if __name__ == "__main__":
    main()
