"""What a function behind every convolution costs: NIN-CIFAR with each in place of ReLU.

python -m benchmarks.activations                  # inference and a training step, batch 128
python -m benchmarks.activations --batch 1 --rounds 9
python -m benchmarks.activations --json results.json

The figures are times in those of the network without a function, the median of interleaved rounds.
"""

import argparse
import statistics

import numpy as np

import ninc
from benchmarks import write_json
from benchmarks.timing import interleaved
from ninc import nn

FUNCTIONS = {
    "none": lambda: None,
    "ReLU": nn.ReLU,
    "ReLU6": nn.ReLU6,
    "Clip(-1, 1)": lambda: nn.Clip(-1, 1),
    "LeakyReLU": nn.LeakyReLU,
    "PReLU": nn.PReLU,
    "HardSwish": nn.HardSwish,
    "ELU": nn.ELU,
    "Sigmoid": nn.Sigmoid,
    "Tanh": nn.Tanh,
    "SiLU": nn.SiLU,
    "GELU": nn.GELU,
    "GELU, tanh": lambda: nn.GELU("tanh"),
}


def network(make):
    """NIN-CIFAR without dropout; behind each convolution stands what `make` gives, if anything."""
    layers, inputs = [], 3
    for channels, kernel in (((192, 160, 96), 5), ((192, 192, 192), 5), ((192, 192, 10), 3)):
        for outputs, size in zip(channels, (kernel, 1, 1)):
            function = make()
            layers.append(nn.Conv2d(inputs, outputs, size, padding="same"))
            layers += [] if function is None else [function]
            inputs = outputs
        if channels[-1] != 10:
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
    return nn.Sequential(*layers, nn.GlobalAvgPool2d())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=7.0, help="for each function and pass")
    parser.add_argument("--threads", type=int, default=ninc.get_num_threads())
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    ninc.set_num_threads(options.threads)

    x = np.random.default_rng(0).standard_normal((options.batch, 3, 32, 32)).astype(np.float32)
    labels = np.arange(options.batch) % 10
    networks = {name: network(make) for name, make in FUNCTIONS.items()}
    trainers = {name: ninc.Trainer(one, ninc.SGD(1e-6)) for name, one in networks.items()}
    passes = {
        "inference": {name: lambda one=one: one(x) for name, one in networks.items()},
        "training": {
            name: lambda one=one: float(one.step(x, labels)) for name, one in trainers.items()
        },
    }
    ratios = {}
    for what, calls in passes.items():
        times = interleaved(calls, options.rounds, options.seconds)
        medians = {name: statistics.median(each) for name, each in times.items()}
        ratios[what] = {name: each / medians["none"] for name, each in medians.items()}
    print(f"batch {options.batch}, {options.threads} threads, {ninc.target()}")
    print(f"{'':12}" + "".join(f"{what:>12}" for what in ratios))
    for name in FUNCTIONS:
        print(f"{name:12}" + "".join(f"{each[name]:12.3f}" for each in ratios.values()))
    write_json(options.json, ratios)


if __name__ == "__main__":
    main()
