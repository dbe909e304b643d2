"""Recipe "fast": much accuracy from minutes of training.

Batch norm bears a high rate, which one cycle takes up and down; short runs learn more this way.
"""

from __future__ import annotations

import functools

from ...network import Network
from ..augment import AlternatingFlip, Augmentation, Compose, PadCrop, Until
from ..averages import EMA
from ..optim import SGD
from ..schedules import OneCycle
from .patch_whitening import whiten_patches
from .recipe import Recipe


def fast_nin(augment: Augmentation) -> Recipe:
    """For the paper's networks, with batch norm."""
    return Recipe(
        network=dict(batch_norm=True),
        optimizer=_sgd,
        lr=0.1,
        schedule=OneCycle(warmup=0.25, start=0.1, end=0.0),
        label_smoothing=0.1,
        batch_size=128,
        epochs=10,
        augment=lambda epochs: augment,
        steps=16,
    )


def fast_small_nin() -> Recipe:
    """For the paper's networks of small coloured pictures, with batch norm.

    In ten epochs the paper's dropout of 0.5 keeps a network from learning even its training
    pictures; less of it, averaged weights and last epochs of uncut pictures help.
    """
    return Recipe(
        network=dict(batch_norm=True, dropout=0.2),
        optimizer=_sgd,
        lr=0.1,
        schedule=OneCycle(warmup=0.25, start=0.1, end=0.05),
        label_smoothing=0.1,
        batch_size=128,
        epochs=10,
        augment=_crops_but_for_the_end,
        average=EMA(0.99),
        steps=16,
    )


def fast_cifar10() -> Recipe:
    """For `ninc.models.fast_cifar10`, whose first layer is set by the training pictures.

    After Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv 2404.00498): whitened
    patches, a higher rate for batch norm's biases, flips that alternate. Averaged weights and last
    epochs of uncut pictures gave a point of accuracy on pictures held out of CIFAR-10 (JPEG).
    """
    return Recipe(
        network={},
        optimizer=functools.partial(_sgd, weight_decay=1.3e-3, shift_rate=8.0),
        lr=0.25,
        schedule=OneCycle(warmup=0.23, start=0.2, end=0.07),
        label_smoothing=0.2,
        batch_size=256,
        epochs=16,
        augment=_crops_but_for_the_end,
        average=EMA(0.99),
        steps=16,
        prepare=whiten_patches,
    )


def _sgd(network: Network, lr: float, weight_decay: float = 5e-4, shift_rate: float = 1.0) -> SGD:
    """Only kernels decay; biases and batch norm's scales, all of one dimension, do not.

    shift_rate: what the rate of batch norms' biases is multiplied by.
    """
    values = network.state_dict()
    groups = []
    for name, value in network.parameters().items():
        if value.ndim == 1:
            layer, _, kind = name.rpartition(".")
            is_shift = kind == "bias" and f"{layer}.running_mean" in values
            groups.append((name, dict(weight_decay=0.0, lr_mult=shift_rate if is_shift else 1.0)))
    return SGD(lr, momentum=0.9, nesterov=True, weight_decay=weight_decay, groups=groups)


def _crops_but_for_the_end(epochs: int) -> Augmentation:
    """The last fifth of the epochs shows pictures uncut, as those to be recognised are."""
    return Compose(Until(epochs - round(0.2 * epochs), PadCrop(2)), AlternatingFlip())
