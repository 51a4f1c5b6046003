"""Products, and arithmetic with two arrays and more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...layers._weights import Array
from .._model import Node
from .budget import room, room_for_all
from .registry import operator


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


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divide,
    "Pow": lambda a, b: np.power(a, b).astype(a.dtype),
    "Equal": np.equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
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
