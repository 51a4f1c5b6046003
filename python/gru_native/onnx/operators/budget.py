"""How large a result may be: a few bytes of a model's file can ask for terabytes.

An operator calls ``room`` before it makes anything that may be larger than its inputs. Who computes
several nodes says before each what is left of the room for all (``at_most``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Any

import numpy as np

from ...layers._weights import Array

USUAL = 1 << 28  # bytes, where nothing else is said
_STEPS = 1 << 22  # of nodes in loops, in one run
_LEFT: ContextVar[list[int]] = ContextVar("steps left")
_LIMIT: ContextVar[int] = ContextVar("limit", default=USUAL)


class TooLarge(ValueError):
    """A result that does not fit in the limit."""


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Inside, a result may have so many bytes."""
    kept = _LIMIT.set(size)
    try:
        yield
    finally:
        _LIMIT.reset(kept)


def now_at_most(size: int) -> None:
    """From here on, a result may have so many bytes: inside of ``at_most``, which ends it."""
    _LIMIT.set(size)


def room_left() -> int:
    """The bytes that a result may have now."""
    return _LIMIT.get()


@contextmanager
def of_a_run() -> Iterator[None]:
    """Inside, all loops together may take ``_STEPS`` steps."""
    kept = _LEFT.set([_STEPS])
    try:
        yield
    finally:
        _LEFT.reset(kept)


def spend(steps: int) -> None:
    """ValueError where a model loops for longer than any that is meant to end."""
    left = _LEFT.get()
    left[0] -= steps
    if left[0] < 0:
        raise ValueError(f"its loops take more than {_STEPS} steps")


def room(shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    """ValueError for an impossible shape, TooLarge for one that does not fit."""
    if any(size < 0 for size in shape):
        raise ValueError(f"the result would have shape {str(tuple(shape))[:80]}")
    if prod(shape) * dtype.itemsize > _LIMIT.get():
        raise TooLarge(
            f"the result would have shape {str(tuple(shape))[:80]}; expected at most "
            f"{_LIMIT.get()} bytes for inputs of this size"
        )


def room_for_all(*arrays: Array) -> None:
    """The same for what element-wise functions make of these arrays."""
    most = 1  # what they make has no more
    for array in arrays:
        most *= array.nbytes
    if most <= _LIMIT.get():
        return
    room(np.broadcast_shapes(*(a.shape for a in arrays)), np.result_type(*arrays))
