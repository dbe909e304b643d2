"""How long the trainer waits for its batches: NIN-CIFAR, batches of 128, augmented.

python -m benchmarks.feeding cifar10                # a folder of JPEGs: train/CLASS/*.jpg
python -m benchmarks.feeding cifar10 --steps 100 --model nin-svhn --json results.json
python -m benchmarks.feeding cifar10 --reading      # the reading of pictures alone
python -m benchmarks.feeding cifar10 --augment resizedcrop:0.25,rotate:15,alternatingflip

Real training steps, fed in three ways: from pictures in memory, from files decoded when their turn
comes and kept ("read as it goes", a second epoch), and from files decoded each time (nothing kept;
a first epoch, or data larger than memory). For each it tells

waiting     the share of the time between the first batch's order and the last step's end that the
            trainer spends in next(batches). The goal is at most 3 %.
slower      how much longer a step takes than one on a batch that is always the same, which no
            thread prepares beside it: what feeding costs where it shares the trainer's processors.

Steps on the same batch are timed right after the fed ones of each way.

Before that it tells how long reading takes, in microseconds a picture on one thread: the file
opened, decoded, turned and framed. --reading tells no more than that. It is the least of several
rounds. Likewise how long augmentation takes, the recipe's or what --augment says as of ninc train.
"""

import argparse
import itertools
import statistics
import time

import numpy as np

import ninc
from ninc.cli.augment_option import augmentation
from ninc.cli.common import INPUTS
from ninc.data.batches import batch_bounds, training_batches
from ninc.preprocess import Preprocessing
from ninc.training import recipes

from . import write_json


def reading(path, sizes, count=2000, rounds=7):
    """Seconds a picture from file to pixels, the least of `rounds` over `count` pictures."""
    files = ninc.data.load(path, in_memory=False, cache=0, threads=1, **sizes).images
    count = min(count, len(files))
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        for first in range(0, count, 100):
            files[first : min(first + 100, count)]
        seconds.append(time.perf_counter() - start)
    return min(seconds) / count


def augmenting(data, preprocessing, augment, batch_size, rounds=5):
    """Seconds a picture that augmented batches take longer than others, the least of `rounds`."""
    least = {}
    for _, steps in itertools.product(range(rounds), (None, augment)):
        start = time.perf_counter()
        batches = training_batches(data, preprocessing, batch_size, steps, 0, 0)
        count = sum(len(x) for x, _ in itertools.islice(batches, 10))
        batches.close()
        seconds = (time.perf_counter() - start) / count
        least[steps] = min(seconds, least.get(steps, seconds))
    return least[augment] - least[None]


def measure(trainer, data, preprocessing, augment, batch_size, steps, epoch):
    """Seconds spent waiting, in steps on fed batches, and in steps on one batch, each as a list."""
    waits, fed, still = [], [], []
    start = time.perf_counter()
    batches = training_batches(data, preprocessing, batch_size, augment, 0, epoch)
    for _ in range(steps):
        x, labels = next(batches)
        got = time.perf_counter()
        trainer.step(x, labels)
        end = time.perf_counter()
        waits.append(got - start)
        fed.append(end - got)
        start = end
    batches.close()
    for _ in range(max(3, steps // 3)):
        start = time.perf_counter()
        trainer.step(x, labels)
        still.append(time.perf_counter() - start)
    return waits, fed, still


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder of pictures")
    parser.add_argument("--model", default="nin-cifar10", choices=sorted(INPUTS))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=ninc.get_num_threads())
    parser.add_argument("--augment", type=augmentation, metavar="STEPS", help="as of ninc train")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    parser.add_argument("--reading", action="store_true", help="time the reading alone")
    options = parser.parse_args()
    ninc.set_num_threads(options.threads)

    side, channels = INPUTS[options.model]
    sizes = dict(size=(side, side), channels=channels)
    print(f"reading {reading(options.data, sizes) * 1e6:.1f} us a picture on one thread")
    if options.reading:
        return
    whole = ninc.data.load(options.data, in_memory=True, progress=True, **sizes)
    kept = ninc.data.load(options.data, in_memory=False, **sizes)
    kept.images.look_at_all()
    decoded = ninc.data.load(options.data, in_memory=False, cache=0, **sizes)
    preprocessing = Preprocessing.fit(whole.images)
    augment = options.augment or recipes.recipe("fast", options.model).augment(1)
    taken = augmenting(whole, preprocessing, augment, options.batch)
    print(f"augmenting {taken * 1e6:.1f} us a picture on one thread: {augment}")
    network = ninc.models.create(options.model, batch_norm=True, num_classes=len(whole.classes))
    trainer = recipes.recipe("fast").trainer(network, augment)
    trainer.average = None  # Averages are kept by `fit` alone, and are no part of a step's time.
    # Batches of one size alone: those of an epoch's beginning are the larger ones.
    batches = np.diff(batch_bounds(len(whole), options.batch))
    steps = min(options.steps, int((batches == batches[0]).sum()))

    print(f"{options.model}, batch {batches[0]}, {steps} steps, {options.threads} threads")
    results = []
    measure(trainer, whole, preprocessing, augment, options.batch, 2, 0)  # plan and caches warm
    for epoch, (name, data) in enumerate(
        (("in memory", whole), ("read as it goes, kept", kept), ("decoded each time", decoded)), 1
    ):
        waits, fed, still = measure(
            trainer, data, preprocessing, augment, options.batch, steps, epoch
        )
        share = sum(waits) / (sum(waits) + sum(fed))
        slower = statistics.median(fed) / statistics.median(still) - 1
        print(
            f"  {name:22} waiting {share:6.2%}   first batch {waits[0] * 1e3:5.1f} ms   "
            f"step {statistics.median(fed) * 1e3:6.1f} ms, slower by {slower:5.1%}"
        )
        results.append({"name": name, "waits": waits, "fed": fed, "still": still})
    write_json(options.json, results)


if __name__ == "__main__":
    main()
