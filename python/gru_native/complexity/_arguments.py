"""Arguments that only counting has."""

from __future__ import annotations

from ..layers._arguments import size


def at_least(name: str, value: object, least: int) -> int:
    """A whole number, in the words of the core's errors."""
    n = size(name, value)
    if n < least:
        raise ValueError(f"{name} is {n}; expected at least {least}")
    return n
