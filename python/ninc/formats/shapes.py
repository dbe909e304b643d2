"""Shapes as messages show them."""

from __future__ import annotations


def dims_text(dims: tuple[int, ...]) -> str:
    """ "64×3×3×3"."""
    return "×".join(map(str, dims)) or "a scalar"
