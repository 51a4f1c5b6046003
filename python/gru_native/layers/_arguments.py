"""Arguments: whole numbers, flags, texts, dtypes, tapes, or an error that names them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import index
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import _core

# "tanh", or with numbers of its own: ("leaky_relu", 0.02), ("affine", 0.5, 1.0).
Function: TypeAlias = str | tuple[str, float] | tuple[str, float, float]
A = TypeVar("A")
B = TypeVar("B")


def size(name: str, value: object) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{name} is a bool; expected a whole number")
    try:
        whole = index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise TypeError(f"{name} is {_core.a_type(value)}; expected a whole number") from error
    if not -(2**63) <= whole < 2**63:
        raise ValueError(f"{name} is {whole}; expected a size that memory can hold")
    return whole


@contextmanager
def memory_for(what: str, **sizes: object) -> Iterator[None]:
    """Where memory ends inside, the error names the sizes that asked for it."""
    try:
        yield
    except MemoryError as error:
        named = ", ".join(f"{name}={n}" for name, n in sizes.items() if type(n) is int and n > 1)
        raise MemoryError(f"{named}: there is no memory for {what}; expected less") from error


def items(name: str, value: Iterable[A], expected: str) -> list[A]:
    """All that an iterable gives; what it raises meanwhile is its own."""
    try:
        each = iter(value)
    except TypeError as error:
        raise TypeError(f"{name} is {_core.a_type(value)}; expected {expected}") from error
    return list(each)


def flag(name: str, value: object) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {_core.a_type(value)}; expected True or False")
    return bool(value)


def number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} is {_core.a_type(value)}; expected a number")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"{name} is out of range; expected a number") from error


def text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} is {_core.a_type(value)}; expected a string")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} holds what is no character; expected a string") from error
    return value


def function(name: str, value: object) -> Function:
    """An activation function, its numbers as floats; whether there is one of that name, the core
    knows."""
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        numbers = tuple(number(name, part) for part in value[1:])
        return (value[0], *numbers) if numbers else value[0]  # type: ignore[return-value]
    if not isinstance(value, str):
        raise TypeError(
            f"{name} is {_core.a_type(value)}; expected a string such as 'tanh' or 'relu', or a "
            "tuple of one and its numbers"
        )
    return value


def limit(name: str, value: float | None) -> float | None:
    """A limit above 0, or None."""
    clip = None if value is None else number(name, value)
    if clip is not None and not clip > 0:
        raise ValueError(f"{name} is {value}; expected a limit above 0, or None")
    return clip


def row_mask(mask: ArrayLike) -> NDArray[np.bool_]:
    """The mask as (batch,) of bool, or an error."""
    marked = _core.numpy_array("mask", mask, "bool")
    if marked.dtype != np.bool_:
        raise TypeError(f"mask has dtype {marked.dtype}; expected bool")
    if marked.ndim != 1:
        raise ValueError(f"mask has shape {marked.shape}; expected (batch,)")
    return marked


def generator(seed: int | None) -> np.random.Generator:
    number = None if seed is None else size("seed", seed)
    if number is not None and number < 0:
        raise ValueError(f"seed is {number}; expected a whole number from 0 or None")
    return np.random.default_rng(number)


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """float32 or float64; anything else is a TypeError or ValueError."""
    try:
        own = np.dtype(dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(f"dtype is {dtype!r}; expected np.float32 or np.float64") from error
    if own not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype is {own}; expected float32 or float64")
    return own


def of_dtype(dtype: np.dtype[Any], single: type[A], double: type[B]) -> type[A] | type[B]:
    """Which of the core's two classes is that of a float_dtype."""
    return single if dtype == np.float32 else double


def check_tape(tape: object, dtype: np.dtype[Any], single: type[Any], double: type[Any]) -> None:
    """Refuse what is no tape of this dtype; whose tape it is, the core knows."""
    if not isinstance(tape, (single, double)):
        raise TypeError(f"tape is {_core.a_type(tape)}; expected a tape from forward")
    if not isinstance(tape, of_dtype(dtype, single, double)):
        raise ValueError("tape was made by a layer of another dtype; expected one of this layer")
