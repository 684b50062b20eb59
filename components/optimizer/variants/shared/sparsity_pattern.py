"""The 2:4 pattern, as sparse tensor cores need it."""

from __future__ import annotations

from typing import Any


def holds_pattern(kernel: Any) -> bool:
    """Whether every four weights that follow one another along the input axis, of `[in, out]`, hold two zeros."""
    if kernel.ndim != 2 or kernel.shape[0] % 4:
        return False
    groups = kernel.T.reshape(kernel.shape[1], -1, 4)
    return bool(((groups != 0).sum(axis=-1) <= 2).all())
