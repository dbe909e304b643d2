"""Recipe "original": how the authors trained their networks (Lin, Chen, Yan 2013).

The numbers are those of the paper and of the authors' files, cuda-convnet's and for ImageNet
Caffe's. Where these do not say how long a run is, or anything about MNIST, it is as for CIFAR-10.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
from typing import Any

from ...network import Network
from ..augment import Augmentation
from ..optim import SGD
from ..schedules import Step
from .recipe import Recipe

# The paper whitens CIFAR's pictures (section 4.1) and no others.
_WHITENED = ("nin-cifar10", "nin-cifar100")


def original(model: str, augment: Augmentation) -> Recipe:
    """The recipe for one of the published networks."""
    of_cifar10 = Recipe(
        network=dict(batch_norm=False),
        optimizer=_sgd,
        lr=0.1,
        schedule=Step((200 / 260, 230 / 260), gamma=0.1, relative=True),
        label_smoothing=0.0,
        batch_size=128,
        epochs=260,
        augment=lambda epochs: augment,
        preprocessing="gcn_zca" if model in _WHITENED else "normalize",
    )
    return dataclasses.replace(of_cifar10, **_OTHERS.get(model, {}))


def _sgd(network: Network, lr: float, weight_decay: float = 1e-4, last: float = 0.1) -> SGD:
    """Biases have twice their layer's rate and no decay, as in the nets' *_params.

    last: what the last layer's rate is multiplied by.
    """
    names = list(network.parameters())
    layer = names[-1].rpartition(".")[0]
    groups = [
        ("*.bias", dict(lr_mult=2.0, weight_decay=0.0)),
        (f"{layer}.weight", dict(lr_mult=last)),
        (f"{layer}.bias", dict(lr_mult=2.0 * last)),
    ]
    # A network from a model file may have no biases in its last layer, or none at all.
    groups = [group for group in groups if fnmatch.filter(names, group[0])]
    return SGD(lr, momentum=0.9, weight_decay=weight_decay, groups=groups)


# Where the authors' settings for a network differ from those for CIFAR-10. SVHN's do not, once its
# rate of 1 is multiplied by the loss's weight of 0.1 that stands beside it.
_OTHERS: dict[str, dict[str, Any]] = {
    # A rate of 0.01 and a loss that counts twice are a rate of 0.02, and a decay of 0.001 beside
    # them, which the loss's weight does not reach, is one of 0.0005. All layers have one rate.
    "nin-cifar100": dict(lr=0.02, optimizer=functools.partial(_sgd, weight_decay=5e-4, last=1.0)),
    # Of the Caffe model: 450,000 steps of 64 of 1,281,167 pictures are 22.5 epochs.
    "nin-imagenet": dict(
        lr=0.01,
        optimizer=functools.partial(_sgd, weight_decay=5e-4, last=1.0),
        schedule=Step((200 / 450, 400 / 450), gamma=0.1, relative=True),
        batch_size=64,
        epochs=22,
    ),
}
