"""Arguments of constructors: whole numbers, flags and numbers, or an error that names them."""

from __future__ import annotations

from operator import index

import numpy as np


def size(name: str, value: object) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{name} is a bool; expected a whole number")
    try:
        whole = index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} is a {type(value).__name__}; expected a whole number") from None
    if not -(2**63) <= whole < 2**63:
        raise ValueError(f"{name} is {whole}; expected a size that memory can hold")
    return whole


def flag(name: str, value: object) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is a {type(value).__name__}; expected True or False")
    return bool(value)


def number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} is a {type(value).__name__}; expected a number")
    return float(value)


def generator(seed: int | None) -> np.random.Generator:
    number = None if seed is None else size("seed", seed)
    if number is not None and number < 0:
        raise ValueError(f"seed is {number}; expected a whole number from 0 or None")
    return np.random.default_rng(number)
