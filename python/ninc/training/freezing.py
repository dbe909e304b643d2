"""Finds the parameters that a run holds still."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any

from .._base.arguments import is_iterable
from ..errors import ArgumentError


def frozen_parameters(names: Sequence[str], patterns: str | Sequence[str]) -> list[str]:
    """Those of `names` that a pattern, or one of several, matches, in their order.

    patterns: shell-style, of parameters ("conv1.*", "*.bias") or of layers ("conv1", "bn_*").

    Raises ArgumentError where a pattern matches nothing, since nobody would notice that a misspelt
    pattern freezes nothing; and where nothing is left to be trained.
    """
    several = is_iterable(patterns) and not isinstance(patterns, str)
    each: list[Any] = list(patterns) if several else [patterns]
    frozen: set[str] = set()
    for pattern in each:
        if not isinstance(pattern, str):
            raise ArgumentError(f"fit: freeze must be patterns of names, got {pattern!r}")
        chosen = [name for name in names if _matches(name, pattern)]
        if not chosen:
            raise ArgumentError(
                f"fit: freeze {pattern!r} matches none of the network's parameters or layers "
                f"({', '.join(names[:4])}, ...)"
            )
        frozen.update(chosen)
    if frozen and len(frozen) == len(names):
        raise ArgumentError(
            f"fit: freeze {', '.join(map(repr, patterns))} holds every parameter still; nothing is "
            "left to be trained"
        )
    return [name for name in names if name in frozen]


def _matches(name: str, pattern: str) -> bool:
    layer = name.rpartition(".")[0]
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(layer, pattern)
