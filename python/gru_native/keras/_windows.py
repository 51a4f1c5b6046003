"""Windows along a side as Keras places them, and as the core's blocks can."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..layers._sides import windows
from ..layers._weights import Array


def reach(window: int, dilation: int) -> int:
    """From a window's first place to behind its last."""
    return dilation * (window - 1) + 1


def around(n: int, window: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """What "same" adds before and behind: as much as makes ceil(n / stride) windows."""
    missing = max(0, (-(-n // stride) - 1) * stride + reach(window, dilation) - n)
    return missing // 2, missing - missing // 2


def filled(x: Array, axes: Sequence[int], pads: Sequence[tuple[int, int]], value: float) -> Array:
    """x with so many values before and behind these axes."""
    every = [(0, 0)] * x.ndim
    for axis, pad in zip(axes, pads, strict=True):
        every[axis] = pad
    return np.pad(x, every, constant_values=value) if any(map(any, every)) else x


def count(
    n: int | None, window: int, stride: int, dilation: int, padding: str, zeros: tuple[int, int]
) -> int | None:
    """Windows along a side of n places."""
    if n is None:
        return None
    n += sum(zeros)
    return -(-n // stride) if padding == "same" else windows(n, window, stride, dilation, 0)


def always_around(
    n: int | None, window: int, stride: int, dilation: int = 1
) -> tuple[int, int] | None:
    """The same for any number of places, if n is None. None if it differs."""
    if n is not None:
        return around(n, window, stride, dilation)
    found = {
        around(reach(window, dilation) + stride + k, window, stride, dilation)
        for k in range(min(stride, 1 << 10))
    }
    return found.pop() if len(found) == 1 else None


def pool_around(n: int | None, window: int, stride: int) -> tuple[int, bool] | None:
    """Padding on both sides, and whether it takes torch's ceil_mode, that make "same" of a pool.

    None where no numbers do, for any number of places if n is None.
    """
    sizes = [window + stride + k for k in range(min(stride, 1 << 10))] if n is None else [n]
    pads = [around(size, window, stride) for size in sizes]
    uneven = any(before != behind for before, behind in pads)
    if len({before for before, _ in pads}) > 1 or (uneven and stride == 1):
        return None
    return pads[0][0], uneven
