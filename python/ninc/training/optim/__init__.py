"""Optimisers: a file for each. `optimizer` is what they share; the arithmetic runs in the core."""

from .adam import Adam, AdamW
from .optimizer import Optimizer, Rates
from .sgd import SGD

# By their names, as a checkpoint and the command line tell of them.
OPTIMIZERS: dict[str, type[Optimizer]] = {kind.__name__: kind for kind in (SGD, Adam, AdamW)}

__all__ = ["OPTIMIZERS", "SGD", "Adam", "AdamW", "Optimizer", "Rates"]
