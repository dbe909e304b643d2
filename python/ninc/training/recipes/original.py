"""Recipe "original": how the authors trained their networks (Lin, Chen, Yan 2013).

The numbers are those of the paper and of the authors' cuda-convnet definitions.
"""

from __future__ import annotations

import fnmatch

from ...network import Network
from ..augment import Augmentation
from ..optim import SGD
from ..schedules import Step
from .recipe import Recipe

# The paper whitens CIFAR's pictures (section 4.1) and no others.
_WHITENED = ("nin-cifar10", "nin-cifar100")


def original(model: str, augment: Augmentation) -> Recipe:
    """The recipe for one of the published networks."""
    return Recipe(
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


def _sgd(network: Network, lr: float) -> SGD:
    """Biases have twice the rate and no decay, the last layer a tenth of it (nets' *_params)."""
    names = list(network.parameters())
    last = names[-1].rpartition(".")[0]
    groups = [
        ("*.bias", dict(lr_mult=2.0, weight_decay=0.0)),
        (f"{last}.weight", dict(lr_mult=0.1)),
        (f"{last}.bias", dict(lr_mult=0.2)),
    ]
    # A network from a model file may have no biases in its last layer, or none at all.
    groups = [group for group in groups if fnmatch.filter(names, group[0])]
    return SGD(lr, momentum=0.9, weight_decay=1e-4, groups=groups)
