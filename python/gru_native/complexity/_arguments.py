"""Arguments that only counting has."""

from __future__ import annotations

from numpy.typing import ArrayLike

from .. import _core
from ..layers._arguments import size


def at_least(name: str, value: object, least: int) -> int:
    """A whole number, in the words of the core's errors."""
    n = size(name, value)
    if n < least:
        raise ValueError(f"{name} is {n}; expected at least {least}")
    return n


MOST = 2**50  # numbers that memory can hold, as in cpp/spec/limits.h


def fits(what: str, numbers: int, **sizes: int) -> None:
    """ValueError for what has so many numbers because of these sizes, in the core's words."""
    if numbers > MOST:
        given = ", ".join(f"{name}={n}" for name, n in sizes.items())
        raise ValueError(
            f"{given}: {what} would be larger than memory can be; expected smaller sizes"
        )


def lengths_of(
    name: str, value: ArrayLike | None, batch: int, least: int, most: int, limit: str
) -> list[int] | None:
    """(batch,) whole numbers from least to most, which is called ``limit``; None stays None."""
    if value is None:
        return None
    given = _core.numpy_array(name, value, "whole numbers")
    if given.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {given.dtype}; expected whole numbers")
    if given.shape != (batch,):
        raise ValueError(f"{name} has shape {given.shape}; expected (batch={batch},)")
    lengths: list[int] = given.tolist()
    for i, n in enumerate(lengths):
        if not least <= n <= most:
            raise ValueError(f"{name}[{i}] is {n}; expected {least} to {limit}={most}")
    return lengths
