"""One number for each axis, sums along one, and the order along one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...layers._weights import Array
from .._model import Node
from .arguments import axes_of, axis_within, integers
from .registry import operator


def _log_sum_exp(x: Array, axis: Any, keepdims: bool) -> Any:
    most = x.max(axis, keepdims=True, initial=np.finfo(x.dtype).min)
    most = np.where(np.isfinite(most), most, 0)
    total = np.log(np.exp(x - most).sum(axis, keepdims=True)) + most
    return total if keepdims else np.squeeze(total, axis)


def _extreme(join: np.ufunc, sign: int) -> Callable[..., Any]:
    def reduced(x: Array, axis: Any, keepdims: bool) -> Any:
        if x.dtype.kind == "b":
            return join.reduce(x, axis, keepdims=keepdims, initial=sign > 0)
        limits: Any = np.iinfo(x.dtype) if x.dtype.kind in "iu" else None
        empty = limits.min if limits and sign < 0 else limits.max if limits else np.inf * sign
        return join.reduce(x, axis, keepdims=keepdims, initial=empty)

    return reduced


_REDUCE: dict[str, Callable[..., Any]] = {
    "ReduceL1": lambda x, axis, keepdims: np.abs(x).sum(axis, keepdims=keepdims),
    "ReduceL2": lambda x, axis, keepdims: np.sqrt(np.square(x).sum(axis, keepdims=keepdims)),
    "ReduceLogSum": lambda x, axis, keepdims: np.log(x.sum(axis, keepdims=keepdims)),
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceMax": _extreme(np.maximum, -1),
    "ReduceMean": np.mean,
    "ReduceMin": _extreme(np.minimum, 1),
    "ReduceProd": np.prod,
    "ReduceSum": np.sum,
    "ReduceSumSquare": lambda x, axis, keepdims: np.square(x).sum(axis, keepdims=keepdims),
}


@operator(*_REDUCE)
def _reduce(node: Node, x: Array, axes: Array | None = None) -> Sequence[Array]:
    own = axes_of(node, axes)
    keep = bool(node.attributes.get("keepdims", 1))
    if not own:  # of no axis, or of all
        own = [] if node.attributes.get("noop_with_empty_axes", 0) else list(range(x.ndim))
    own = [axis_within("axes", axis, x.ndim) for axis in own]
    y = _REDUCE[node.op](x, axis=tuple(own), keepdims=keep)
    return [np.asarray(y, x.dtype)]


@operator("ArgMax", "ArgMin")
def _place_of_extreme(node: Node, x: Array) -> Sequence[Array]:
    axis = axis_within("axis", node.attributes.get("axis", 0), x.ndim)
    find = np.argmax if node.op == "ArgMax" else np.argmin
    if node.attributes.get("select_last_index", 0):
        y = x.shape[axis] - 1 - find(np.flip(x, axis), axis)
    else:
        y = find(x, axis)
    y = np.asarray(y, np.int64)
    return [np.expand_dims(y, axis) if node.attributes.get("keepdims", 1) else y]


@operator("CumSum", "CumProd", since=11)
def _running(node: Node, x: Array, axis: Array) -> Sequence[Array]:
    (own,) = integers("axis", axis.reshape(-1))
    own = axis_within("axis", own, x.ndim)
    source = np.flip(x, own) if node.attributes.get("reverse", 0) else x
    accumulate = np.cumsum if node.op == "CumSum" else np.cumprod
    y = accumulate(source, own, dtype=x.dtype)
    if node.attributes.get("exclusive", 0) and x.shape[own]:
        before = [slice(None)] * x.ndim
        before[own] = slice(0, -1)
        last = y[tuple(before)]
        first = np.full_like(np.take(y, [0], own), node.op == "CumProd")
        y = np.concatenate([first, last], own)
    return [np.flip(y, own) if node.attributes.get("reverse", 0) else y]


@operator("TopK")
def _top_k(node: Node, x: Array, count: Array | None = None) -> Sequence[Array]:
    axis = axis_within("axis", node.attributes.get("axis", -1), x.ndim)
    k = node.attributes.get("k") if count is None else integers("K", count)[0]
    if k is None or not 0 <= k <= x.shape[axis]:
        raise ValueError(f"K is {k}; expected 0 to {x.shape[axis]}")
    if node.attributes.get("largest", 1):  # a stable order from the end, so that ties stay
        order = x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis, "stable"), axis)
    else:
        order = np.argsort(x, axis, "stable")
    chosen = np.take(order, range(k), axis)
    return [np.take_along_axis(x, chosen, axis), chosen.astype(np.int64)]


@operator("Hardmax")
def _hardmax(node: Node, x: Array) -> Sequence[Array]:
    if node.opset < 13:
        flat = x.reshape(int(np.prod(x.shape[: node.attributes.get("axis", 1)])), -1)
    else:
        flat = np.moveaxis(x, axis_within("axis", node.attributes.get("axis", -1), x.ndim), -1)
    y = np.zeros(flat.shape, x.dtype)
    np.put_along_axis(y, flat.argmax(-1)[..., None], 1, -1)
    if node.opset < 13:
        return [y.reshape(x.shape)]
    return [np.moveaxis(y, -1, node.attributes.get("axis", -1))]
