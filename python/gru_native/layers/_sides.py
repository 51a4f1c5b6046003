"""The two sides of images: options that have a number for each, and windows along one."""

from __future__ import annotations

from typing import TypeAlias

from ._arguments import size

Sides: TypeAlias = int | tuple[int, int]


def sides(name: str, value: Sides) -> tuple[int, int]:
    """(height, width) of a number for both, or of two."""
    if not isinstance(value, (tuple, list)):
        both = size(name, value)
        return both, both
    if len(value) != 2:
        raise ValueError(f"{name} has {len(value)} numbers; expected one, or (height, width)")
    return size(f"{name}[0]", value[0]), size(f"{name}[1]", value[1])


def windows(n: int, kernel: int, stride: int, dilation: int, zeros: int) -> int:
    """Windows along a side of n places with so many zeros around it."""
    return max(0, (n + zeros - dilation * (kernel - 1) - 1) // stride + 1)
