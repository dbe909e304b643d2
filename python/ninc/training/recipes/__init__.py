"""Ready-made settings to train a network with: the paper's own, and fast ones of today."""

from __future__ import annotations

from ...errors import ArgumentError
from ..augment import Augmentation, Compose, Flip, PadCrop
from .fast import fast_cifar10, fast_nin, fast_small_nin
from .original import original
from .recipe import Recipe

__all__ = ["RECIPES", "Recipe", "like", "recipe"]

RECIPES = ("original", "fast")


def recipe(name: str, model: str = "nin-cifar10") -> Recipe:
    """The recipe of this name for a network of `ninc.models`; ArgumentError where there is none."""
    if name not in RECIPES:
        raise ArgumentError(f"unknown recipe {name!r}; known are {', '.join(RECIPES)}")
    if model == "fast-cifar10":
        if name == "original":
            raise ArgumentError(
                'recipe "original" is that of the paper\'s networks; fast-cifar10 has "fast"'
            )
        return fast_cifar10()
    if name == "original":
        return original(model, _augmentation(model))
    if model in ("nin-cifar10", "nin-cifar100"):
        return fast_small_nin()
    return fast_nin(_augmentation(model))


def like(channels: int, height: int, width: int) -> str:
    """The published network whose pictures are most like those of this shape.

    Recipes and augmentation depend on its name: grey pictures are taken for digits, large ones for
    ImageNet's, others for CIFAR's.
    """
    if channels == 1:
        return "nin-mnist"
    return "nin-imagenet" if min(height, width) >= 128 else "nin-cifar10"


def _augmentation(model: str) -> Augmentation:
    """What may be done to pictures of this model's kind. Digits are not mirrored."""
    if model == "nin-mnist":
        return PadCrop(2)
    if model == "nin-svhn":
        return PadCrop(4)
    return Compose(PadCrop(16 if model == "nin-imagenet" else 4), Flip())
