"""One number for each axis, and the order along one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...layers._weights import Array
from .._model import Node
from .arguments import axes_of, integers
from .registry import operator

_REDUCE: dict[str, Callable[..., Any]] = {
    "ReduceSum": np.sum,
    "ReduceMean": np.mean,
    "ReduceMax": np.max,
    "ReduceMin": np.min,
    "ReduceProd": np.prod,
}


@operator(*_REDUCE)
def _reduce(node: Node, x: Array, axes: Array | None = None) -> Sequence[Array]:
    own = axes_of(node, axes)
    keep = bool(node.attributes.get("keepdims", 1))
    if not own and node.attributes.get("noop_with_empty_axes", 0):
        return [x]
    y = _REDUCE[node.op](x, axis=tuple(own) if own else None, keepdims=keep)
    return [np.asarray(y, x.dtype)]


@operator("ArgMax")
def _argmax(node: Node, x: Array) -> Sequence[Array]:
    axis = node.attributes.get("axis", 0)
    if node.attributes.get("select_last_index", 0):
        raise ValueError("select_last_index is 1, which is not supported")
    y = np.argmax(x, axis).astype(np.int64)
    return [np.expand_dims(y, axis) if node.attributes.get("keepdims", 1) else y]


@operator("TopK")
def _top_k(node: Node, x: Array, count: Array | None = None) -> Sequence[Array]:
    axis = node.attributes.get("axis", -1)
    k = node.attributes.get("k") if count is None else integers("K", count)[0]
    if k is None or not 0 <= k <= x.shape[axis]:
        raise ValueError(f"K is {k}; expected 0 to {x.shape[axis]}")
    if node.attributes.get("largest", 1):  # a stable order from the end, so that ties stay
        order = x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis, "stable"), axis)
    else:
        order = np.argsort(x, axis, "stable")
    chosen = np.take(order, range(k), axis)
    return [np.take_along_axis(x, chosen, axis), chosen.astype(np.int64)]
