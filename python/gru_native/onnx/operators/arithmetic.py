"""Products, and arithmetic with two arrays and more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ...layers._weights import Array
from .._model import Node
from .budget import room, room_for_all
from .registry import operator

_MOST_PRODUCTS = 1 << 36  # of one Einsum


@operator("MatMul")
def _matmul(node: Node, a: Array, b: Array) -> Sequence[Array]:
    if a.ndim > 1 and b.ndim > 1:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        room([*batch, a.shape[-2], b.shape[-1]], a.dtype)
    return [np.matmul(a, b)]


@operator("Gemm")
def _gemm(node: Node, a: Array, b: Array, c: Array | None = None) -> Sequence[Array]:
    own = node.attributes
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError(f"takes matrices; got shapes {a.shape} and {b.shape}")
    a, b = (a.T if own.get("transA", 0) else a), (b.T if own.get("transB", 0) else b)
    room([a.shape[0], b.shape[1]], a.dtype)
    y = a.dtype.type(own.get("alpha", 1.0)) * (a @ b)
    if c is None:
        return [y]
    room_for_all(y, c)
    return [y + y.dtype.type(own.get("beta", 1.0)) * c]


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    if not b.all():
        raise ValueError("divides whole numbers by 0")
    return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)), a.dtype)


def _power(a: Array, b: Array) -> Array:
    if b.ndim == 0 and b == 2:  # some twenty times as fast
        return np.square(a)
    return np.power(a, b).astype(a.dtype)


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divide,
    "Pow": _power,
    "Equal": np.equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
    "BitwiseAnd": np.bitwise_and,
    "BitwiseOr": np.bitwise_or,
    "BitwiseXor": np.bitwise_xor,
    "Sum": np.add,
    "Max": np.maximum,
    "Min": np.minimum,
}


@operator(*_BINARY)
def _binary(node: Node, first: Array, *others: Array) -> Sequence[Array]:
    for other in others:
        room_for_all(first, other)
        first = np.asarray(_BINARY[node.op](first, other))
    return [first]


@operator("Where")
def _where(node: Node, condition: Array, a: Array, b: Array) -> Sequence[Array]:
    room(np.broadcast_shapes(condition.shape, a.shape, b.shape), a.dtype)
    return [np.where(condition, a, b)]


@operator("Mean")
def _mean(node: Node, first: Array, *others: Array) -> Sequence[Array]:
    total = first
    for other in others:
        room_for_all(total, other)
        total = total + other
    return [np.asarray(total / first.dtype.type(1 + len(others)), first.dtype)]


@operator("Mod", since=10)
def _mod(node: Node, a: Array, b: Array) -> Sequence[Array]:
    room_for_all(a, b)
    if a.dtype.kind in "iu" and not b.all():
        raise ValueError("divides whole numbers by 0")
    return [np.fmod(a, b) if node.attributes.get("fmod", 0) else np.mod(a, b)]


@operator("BitShift", since=11)
def _shift(node: Node, a: Array, b: Array) -> Sequence[Array]:
    direction = node.attributes.get("direction", "")
    if direction not in ("LEFT", "RIGHT"):
        raise ValueError(f"direction is {direction!r}; expected LEFT or RIGHT")
    room_for_all(a, b)
    return [np.left_shift(a, b) if direction == "LEFT" else np.right_shift(a, b)]


@operator("Einsum", since=12)
def _einsum(node: Node, first: Array, *others: Array) -> Sequence[Array]:
    arrays = (first, *others)
    equation = str(node.attributes.get("equation", "")).replace(" ", "")
    given, arrow, result = equation.partition("->")
    terms = given.split(",")
    if len(terms) != len(arrays):
        raise ValueError(
            f"equation {equation[:80]!r} has {len(terms)} terms for {len(arrays)} arrays"
        )
    sizes: dict[str, int] = {}
    for term, array in zip(terms, arrays, strict=True):
        letters = term.replace("...", "")
        if (letters and not letters.isalpha()) or len(letters) > array.ndim:
            raise ValueError(
                f"equation {equation[:80]!r} does not fit an array of {array.ndim} axes"
            )
        before, dots, after = term.partition("...")
        if not dots and len(letters) != array.ndim:
            raise ValueError(
                f"equation {equation[:80]!r} does not fit an array of {array.ndim} axes"
            )
        shape = array.shape
        own = [*zip(before, shape, strict=False)]
        own += zip(after, shape[len(shape) - len(after) :], strict=True)
        middle = shape[len(before) : len(shape) - len(after)]
        own += [(f"...{len(middle) - i}", size) for i, size in enumerate(middle)]
        for letter, size in own:
            sizes[letter] = max(size, sizes.get(letter, 0))
    if prod(sizes.values()) > _MOST_PRODUCTS:
        raise ValueError(f"equation {equation[:80]!r} has too many products for these shapes")
    letters = (
        result.replace("...", "")
        if arrow
        else "".join(sorted(c for c in set(given) if c.isalpha() and given.count(c) == 1))
    )
    if any(c not in sizes for c in letters):
        raise ValueError(
            f"equation {equation[:80]!r} has a result of letters that it does not have"
        )
    dotted = [size for letter, size in sizes.items() if letter.startswith("...")]
    room([*(sizes[c] for c in letters), *dotted], np.result_type(*arrays))
    return [np.asarray(np.einsum(equation, *arrays, optimize=len(arrays) > 1), first.dtype)]
