"""The networks of "Network In Network" (Lin, Chen, Yan, arXiv 1312.4400) as its authors had them.

Layouts and initial weights are those of the authors' cuda-convnet definitions, and for ImageNet of
their Caffe model. ReLU follows every convolution, the last one included; pools are 3×3 at stride
2 and round up; dropout of 0.5 stands between the blocks; global average pooling ends the network,
which takes pictures of any size large enough for its pools.

What the networks of the paper have in common:

    num_classes: maps of the last layer, one a class.
    pool2: the second pool, "max" as in cuda-convnet or "avg" as in the authors' Caffe CIFAR-10.
    batch_norm: the variant trained today. Each convolution but the last has batch norm after it and
        no bias; the last ends in plain scores without ReLU; weights are He's.
    in_channels: 3 for RGB, 1 for grey.
    seed: of the initial weights.
    dropout: the share of values that training sets to zero between blocks.

The published N(0, 0.05) trains slowly at first: scores start near zero and stay there a while. A
large step may put all of them to zero for good, since a ReLU follows them;
`SGD(0.1, clip_norm=0.5)` keeps steps small.

`fast_cifar10` is of today: NIN's last layer and global average pooling on 3×3 convolutions.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from . import nn
from ._base.arguments import flag, integer, listed, one_of, shown
from .errors import ArgumentError

__all__ = [
    "create",
    "fast_cifar10",
    "nin_cifar10",
    "nin_cifar100",
    "nin_imagenet",
    "nin_mnist",
    "nin_svhn",
]


def nin_cifar10(
    num_classes: int = 10,
    pool2: str = "avg",
    batch_norm: bool = False,
    in_channels: int = 3,
    seed: int = 0,
    dropout: float = 0.5,
) -> nn.Sequential:
    """For 32×32 pictures: 966,986 parameters, 222.5 million multiplications a picture."""
    blocks = _cifar_blocks(num_classes, [0.05] * 3)
    return _two_pools(blocks, pool2, batch_norm, in_channels, seed, dropout)


def nin_cifar100(
    num_classes: int = 100,
    pool2: str = "max",
    batch_norm: bool = False,
    in_channels: int = 3,
    seed: int = 0,
    dropout: float = 0.5,
) -> nn.Sequential:
    """For 32×32 pictures: 984,356 parameters, 223.6 million multiplications a picture.

    Its first block starts from smaller weights than CIFAR-10's.
    """
    blocks = _cifar_blocks(num_classes, [0.001, 0.01, 0.01])
    return _two_pools(blocks, pool2, batch_norm, in_channels, seed, dropout)


def nin_svhn(
    num_classes: int = 10,
    pool2: str = "max",
    batch_norm: bool = False,
    in_channels: int = 3,
    seed: int = 0,
    dropout: float = 0.5,
) -> nn.Sequential:
    """For 32×32 pictures: 1,986,026 parameters, 274.2 million multiplications a picture."""
    widths = (128, 96, 64), (320, 256, 128), (384, 256, num_classes)
    blocks = [_Block(each, 5, padding=2) for each in widths]
    return _two_pools(blocks, pool2, batch_norm, in_channels, seed, dropout)


def nin_mnist(
    num_classes: int = 10,
    pool2: str = "max",
    batch_norm: bool = False,
    in_channels: int = 1,
    seed: int = 0,
    dropout: float = 0.5,
) -> nn.Sequential:
    """For 28×28 grey pictures: 349,674 parameters, 50.7 million multiplications a picture."""
    widths = (96, 64, 48), (128, 96, 48), (128, 96, num_classes)
    blocks = [_Block(each, 5, padding=2) for each in widths]
    return _two_pools(blocks, pool2, batch_norm, in_channels, seed, dropout)


def nin_imagenet(
    num_classes: int = 1000,
    batch_norm: bool = False,
    in_channels: int = 3,
    seed: int = 0,
    dropout: float = 0.5,
) -> nn.Sequential:
    """For 224×224 pictures: 7,595,176 parameters, 1.10 billion multiplications a picture.

    It has four blocks, three max pools, and one dropout after the third pool.
    """
    blocks = [
        _Block((96, 96, 96), 11, stride=4, std=(0.01, 0.05, 0.05)),
        _Block((256, 256, 256), 5, padding=2),
        _Block((384, 384, 384), 3, padding=1, std=(0.01, 0.05, 0.05)),
        _Block((1024, 1024, num_classes), 3, padding=1, std=(0.05, 0.05, 0.01)),
    ]
    between = [[_pool("max")], [_pool("max")], [_pool("max"), nn.Dropout(dropout)]]
    return _assemble(blocks, between, batch_norm, in_channels, seed)


def fast_cifar10(
    num_classes: int = 10,
    widths: Sequence[int] = (64, 160, 160),
    in_channels: int = 3,
    seed: int = 0,
) -> nn.Sequential:
    """For 32×32 pictures, and to be trained in minutes: 837,506 parameters.

    A 2×2 convolution, whose filters `ninc train` takes from the training pictures; three blocks of
    two 3×3 convolutions with batch norm, the first two with a max pool; and, as in NIN, a 1×1
    convolution to one map a class, of 7×7, and global average pooling. 76.5 million multiplications
    a picture. After the network of Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv
    2404.00498), which ends in a max pool over its 3×3 maps and so has no maps to explain it by.

    widths: output channels of each block.
    """
    in_channels = integer("fast_cifar10", "in_channels", in_channels)
    first = nn.Conv2d(in_channels, 2 * 4 * in_channels, 2)
    layers: list[nn.Layer] = [first, nn.ReLU()]
    channels = first.out_channels
    widths = listed("fast_cifar10", "widths", widths, "a sequence of integers")
    for index, width in enumerate(widths):
        layers.append(nn.Conv2d(channels, width, 3, padding=1, bias=False))
        if index < 2:
            layers.append(nn.MaxPool2d(2))
        layers += [_fast_norm(width), nn.ReLU()]
        layers.append(nn.Conv2d(width, width, 3, padding=1, bias=False))
        layers += [_fast_norm(width), nn.ReLU()]
        channels = width
    layers += [nn.Conv2d(channels, num_classes, 1), nn.GlobalAvgPool2d()]
    return _passing_on(nn.Sequential(*layers, seed=seed))


def _fast_norm(channels: int) -> nn.BatchNorm2d:
    """Running statistics follow quickly, since a short run has few steps."""
    return nn.BatchNorm2d(channels, momentum=0.4)


def _passing_on(network: nn.Sequential) -> nn.Sequential:
    """Lets each 3×3 convolution begin with filters that pass its first channels on as they are.

    What the layers before have found then reaches the last one from the first step on.
    """
    weights = network.state_dict()
    for name, kernel in weights.items():
        if kernel.ndim == 4 and kernel.shape[2:] == (3, 3):
            count = min(kernel.shape[:2])
            passing = kernel.copy()
            passing[:count] = 0.0
            passing[range(count), range(count), 1, 1] = 1.0
            weights[name] = passing
    network.load_state_dict(weights)
    return network


# Names as typed on the command line.
_MODELS: dict[str, Callable[..., nn.Sequential]] = {
    make.__name__.replace("_", "-"): make
    for make in (nin_cifar10, nin_cifar100, nin_svhn, nin_mnist, nin_imagenet, fast_cifar10)
}


def create(name: str, **settings: Any) -> nn.Sequential:
    """The network of this name ("nin-cifar10" or "nin_cifar10"), with its function's settings."""
    given, name = name, name.replace("_", "-") if isinstance(name, str) else ""
    if name not in _MODELS:
        raise ArgumentError(f"unknown network {shown(given)}; known are {', '.join(_MODELS)}")
    known = inspect.signature(_MODELS[name]).parameters
    for setting in settings:
        if setting not in known:
            raise ArgumentError(f"{name} has no setting {setting!r}; it has {', '.join(known)}")
    return _MODELS[name](**settings)


@dataclasses.dataclass(frozen=True)
class _Block:
    """An mlpconv whose input channels are not known yet."""

    widths: Sequence[int]
    kernel_size: int
    stride: int = 1
    padding: int = 0
    std: Sequence[float] = (0.05, 0.05, 0.05)

    def layer(self, in_channels: int, batch_norm: bool, last: bool) -> nn.MlpConv:
        return nn.MlpConv(
            in_channels,
            self.widths,
            self.kernel_size,
            self.stride,
            self.padding,
            batch_norm=batch_norm,
            logits=batch_norm and last,
            std=None if batch_norm else self.std,
        )


def _cifar_blocks(num_classes: int, first_std: Sequence[float]) -> list[_Block]:
    return [
        _Block((192, 160, 96), 5, padding=2, std=first_std),
        _Block((192, 192, 192), 5, padding=2),
        _Block((192, 192, num_classes), 3, padding=1),
    ]


def _pool(kind: str) -> nn.Layer:
    """3×3 at stride 2, rounding up: 32 -> 16 -> 8, where rounding down would give 15 and 7.

    A window over the edge is averaged over what it covers, as cuda-convnet and Caffe do.
    """
    if kind == "max":
        return nn.MaxPool2d(3, 2, ceil_mode=True)
    return nn.AvgPool2d(3, 2, ceil_mode=True, count_include_pad=False)


def _two_pools(
    blocks: Sequence[_Block],
    pool2: str,
    batch_norm: bool,
    in_channels: int,
    seed: int,
    dropout: float,
) -> nn.Sequential:
    """Three blocks with a pool and a dropout between them."""
    one_of("nin", "pool2", pool2, ("avg", "max"))
    between = [[_pool(kind), nn.Dropout(dropout)] for kind in ("max", pool2)]
    return _assemble(blocks, between, batch_norm, in_channels, seed)


def _assemble(
    blocks: Sequence[_Block],
    between: Sequence[Sequence[nn.Layer]],
    batch_norm: bool,
    in_channels: int,
    seed: int,
) -> nn.Sequential:
    layers: list[nn.Layer] = []
    batch_norm = flag("nin", "batch_norm", batch_norm)
    channels = in_channels
    for block, following in zip(blocks, [*between, [nn.GlobalAvgPool2d()]]):
        layers += [block.layer(channels, batch_norm, last=block is blocks[-1]), *following]
        channels = block.widths[-1]
    return nn.Sequential(*layers, seed=seed)
