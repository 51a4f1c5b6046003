"""The two sides of images: options that have a number for each, and windows along one."""

from __future__ import annotations

from typing import TypeAlias

from ._arguments import size

Sides: TypeAlias = int | tuple[int, int]


def sides(name: str, value: Sides) -> Sides:
    """(height, width), or one number where both are the same."""
    if not isinstance(value, (tuple, list)):
        return size(name, value)
    if len(value) != 2:
        raise ValueError(f"{name} has {len(value)} numbers; expected one, or (height, width)")
    height, width = size(f"{name}[0]", value[0]), size(f"{name}[1]", value[1])
    return height if height == width else (height, width)


def both(value: Sides) -> tuple[int, int]:
    """(height, width)"""
    return value if isinstance(value, tuple) else (value, value)


def windows(
    n: int, kernel: int, stride: int, dilation: int, zeros: int, ceil: int | None = None
) -> int:
    """Windows along a side of n places with so many zeros around it.

    ceil: with torch's ceil_mode, how many of the zeros are before it.
    """
    most = n + zeros - dilation * (kernel - 1) - 1 + (0 if ceil is None else stride - 1)
    made = max(0, most // stride + 1)
    return made - (ceil is not None and made > 0 and (made - 1) * stride >= n + ceil)
