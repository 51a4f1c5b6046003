"""How large a result may be: a few bytes of a model's file can ask for terabytes.

An operator calls ``room`` before it makes anything that is not of its inputs' size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Any

import numpy as np

from ...layers._weights import Array

_LIMIT: ContextVar[int] = ContextVar("limit", default=1 << 28)  # bytes of one result


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


@contextmanager
def at_least(size: int) -> Iterator[None]:
    """Inside, a result may have so many bytes, or as many as outside."""
    with at_most(max(_LIMIT.get(), size)):
        yield


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
    room(np.broadcast_shapes(*(a.shape for a in arrays)), np.result_type(*arrays))
