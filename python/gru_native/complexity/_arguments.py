"""Arguments that only counting has."""

from __future__ import annotations

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
