"""What `same_bits` compares: runs of one build of ninc, whose arrays it writes to a file.

python tools/same_bits_runs.py OUT.npz [--steps N] [--device cpu|cuda] [--quick]

Weights and inputs are drawn by numpy from fixed seeds, so that two builds are given the same.
"""

from __future__ import annotations

import argparse

import numpy as np

import ninc

# name -> (picture's height and width, channels). On the emulated GPU pictures are as small as the
# network can take: each instruction is executed by a loop.
NETWORKS = {
    "nin_mnist": ((28, 28), 1),
    "nin_cifar10": ((32, 32), 3),
    "nin_cifar100": ((32, 32), 3),
    "nin_svhn": ((32, 32), 3),
    "nin_imagenet": ((224, 224), 3),
}
EMULATED = {"nin_mnist": ((12, 12), 1), "nin_cifar10": ((12, 12), 3), "nin_imagenet": ((67, 67), 3)}

BATCHES = (1, 5, 37, 128)


def network(name, batch_norm):
    net = getattr(ninc.models, name)(batch_norm=batch_norm)
    rng = np.random.default_rng(11)
    values = {}
    for key, value in net.state_dict().items():
        if value.ndim == 1:
            # Statistics and scales as a trained network has them, not the identity they begin as.
            values[key] = (0.5 + rng.random(value.shape)).astype(np.float32)
        else:
            deviation = np.sqrt(2.0 / np.prod(value.shape[1:]))  # He's
            values[key] = (deviation * rng.standard_normal(value.shape)).astype(np.float32)
    net.load_state_dict(values)
    return net


def run(out, steps, device, quick):
    found = {}
    sizes, batches = (NETWORKS, BATCHES) if device == "cpu" else (EMULATED, BATCHES[:2])
    if quick:
        batches = batches[:2]
    for name, (size, channels) in sizes.items():
        for batch_norm in (False, True):
            title = f"{name}{' with batch norm' if batch_norm else ''}"
            rng = np.random.default_rng(3)
            for batch in batches:
                net = network(name, batch_norm).to(device)
                x = rng.standard_normal((batch, channels, *size), np.float32)
                found[f"{title}, batch {batch}"] = net(x)
            net = network(name, batch_norm).to(device)
            trainer = ninc.Trainer(
                net,
                ninc.SGD(0.01, momentum=0.9, nesterov=True, weight_decay=1e-4, clip_norm=5.0),
                label_smoothing=0.1,
                seed=5,
            )
            count = min(batches[-1], 5 if name == "nin_imagenet" else 37)
            x = rng.standard_normal((count, channels, *size), np.float32)
            labels = rng.integers(0, net(x[:1]).shape[1], count)
            losses = [float(trainer.step(x, labels)) for _ in range(steps)]
            found[f"{title}, losses of {steps} steps"] = np.array(losses)
            for key, value in net.state_dict().items():
                found[f"{title}, {key} after {steps} steps"] = value
    np.savez(out, **found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    run(options.out, options.steps, options.device, options.quick)


if __name__ == "__main__":
    main()
