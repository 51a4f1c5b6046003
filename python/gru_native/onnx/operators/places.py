"""Elements by their places: GatherElements, GatherND, Scatter and the like."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import onnx

from ...layers._weights import Array
from .._model import Node
from .arguments import axis_within, integers
from .budget import room
from .registry import operator

_REDUCTIONS = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _whole(indices: Array) -> Array:
    if indices.dtype.kind not in "iu":
        raise ValueError(f"indices have dtype {indices.dtype}; expected whole numbers")
    return indices


@operator("Gather")
def _gather(node: Node, x: Array, indices: Array) -> Sequence[Array]:
    axis = axis_within("axis", node.attributes.get("axis", 0), x.ndim)
    room([x.size // max(1, x.shape[axis]), indices.size], x.dtype)
    return [np.take(x, indices, axis)]


@operator("GatherND")
def _gather_nd(node: Node, x: Array, indices: Array) -> Sequence[Array]:
    batch = node.attributes.get("batch_dims", 0)
    if (
        not 0 <= batch < min(x.ndim, max(1, indices.ndim))
        or x.shape[:batch] != indices.shape[:batch]
    ):
        raise ValueError(f"batch_dims is {batch} for shapes {x.shape} and {indices.shape}")
    rows = np.moveaxis(_whole(indices), -1, 0)
    room([prod(rows.shape[1:]), prod(x.shape[batch + len(rows) :])], x.dtype)
    own = (
        np.arange(size).reshape(-1, *[1] * (rows.ndim - 2 - i))
        for i, size in enumerate(x.shape[:batch])
    )
    return [x[(*own, *rows)]]


def _of_each(indices: Array, axis: int, x: Array) -> tuple[Any, ...]:
    """For fancy indexing: along this axis the indices, along others their own places."""
    if indices.ndim != x.ndim:
        raise ValueError(f"indices have shape {indices.shape} for x of shape {x.shape}")
    where: list[Any] = [
        np.arange(size).reshape(-1, *[1] * (x.ndim - 1 - i)) for i, size in enumerate(indices.shape)
    ]
    where[axis] = _whole(indices)
    return tuple(where)


@operator("GatherElements", since=11)
def _gather_elements(node: Node, x: Array, indices: Array) -> Sequence[Array]:
    axis = axis_within("axis", node.attributes.get("axis", 0), x.ndim)
    room(indices.shape, x.dtype)
    return [x[_of_each(indices, axis, x)]]


def _written(node: Node, x: Array, where: tuple[Any, ...], updates: Array) -> Array:
    reduction = node.attributes.get("reduction", "none")
    if updates.dtype != x.dtype:
        raise ValueError(f"updates have dtype {updates.dtype}; expected {x.dtype}")
    result = x.copy()
    if reduction == "none":
        result[where] = updates
    elif reduction in _REDUCTIONS:
        _REDUCTIONS[reduction].at(result, where, updates)
    else:
        raise ValueError(f"reduction is {reduction!r}, which is not supported")
    return result


@operator("Scatter", "ScatterElements")
def _scatter_elements(node: Node, x: Array, indices: Array, updates: Array) -> Sequence[Array]:
    axis = axis_within("axis", node.attributes.get("axis", 0), x.ndim)
    if indices.shape != updates.shape:
        raise ValueError(f"updates have shape {updates.shape}; expected {indices.shape}")
    return [_written(node, x, _of_each(indices, axis, x), updates)]


@operator("ScatterND", since=11)
def _scatter_nd(node: Node, x: Array, indices: Array, updates: Array) -> Sequence[Array]:
    if not indices.ndim or not indices.shape[-1] <= x.ndim:
        raise ValueError(f"indices have shape {indices.shape} for x of shape {x.shape}")
    expected = (*indices.shape[:-1], *x.shape[indices.shape[-1] :])
    if updates.shape != expected:
        raise ValueError(f"updates have shape {updates.shape}; expected {expected}")
    return [_written(node, x, tuple(np.moveaxis(_whole(indices), -1, 0)), updates)]


@operator("NonZero", since=9)
def _non_zero(node: Node, x: Array) -> Sequence[Array]:
    return [np.stack(np.nonzero(x), 0).astype(np.int64) if x.ndim else np.zeros((0, 1), np.int64)]


@operator("Compress", since=9)
def _compress(node: Node, x: Array, condition: Array) -> Sequence[Array]:
    axis = node.attributes.get("axis")
    if condition.ndim != 1:
        raise ValueError(f"condition has shape {condition.shape}; expected one axis")
    return [np.compress(condition, x, axis)]


@operator("OneHot", since=9)
def _one_hot(node: Node, indices: Array, depth: Array, values: Array) -> Sequence[Array]:
    (size,) = (int(n) for n in depth.reshape(-1))
    axis = axis_within("axis", node.attributes.get("axis", -1), indices.ndim + 1)
    if values.shape != (2,) or size < 1:
        raise ValueError(f"depth is {size} and values has shape {values.shape}; expected (2,)")
    room([*indices.shape, size], values.dtype)
    whole = indices.astype(np.int64)
    whole = np.where((whole >= -size) & (whole < size), whole % size, -1)
    shape = [1] * (indices.ndim + 1)
    shape[axis] = size
    at = np.arange(size).reshape(shape) == np.expand_dims(whole, axis)
    return [np.where(at, values[1], values[0])]


@operator("Trilu", since=14)
def _triangle(node: Node, x: Array, k: Array | None = None) -> Sequence[Array]:
    if x.ndim < 2:
        raise ValueError(f"x has shape {x.shape}; expected matrices")
    (diagonal,) = (0,) if k is None else integers("k", k.reshape(-1))
    diagonal = max(-max(x.shape), min(max(x.shape), diagonal))
    return [np.triu(x, diagonal) if node.attributes.get("upper", 1) else np.tril(x, diagonal)]


@operator("EyeLike", since=9)
def _eye(node: Node, x: Array) -> Sequence[Array]:
    kind = node.attributes.get("dtype")
    dtype = x.dtype if kind is None else np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    if x.ndim != 2 or dtype.kind not in "fiub":
        raise ValueError(
            f"x has shape {x.shape} and dtype is {dtype}; expected a matrix of numbers"
        )
    k = node.attributes.get("k", 0)
    room(x.shape, dtype)
    rows, columns = x.shape
    return [np.eye(rows, columns, k=max(-x.shape[0], min(x.shape[1], k)), dtype=dtype)]


@operator("DepthToSpace", "SpaceToDepth")
def _blocks(node: Node, x: Array) -> Sequence[Array]:
    size = node.attributes.get("blocksize", 0)
    if x.ndim != 4 or size < 1:
        raise ValueError(f"x has shape {x.shape} and blocksize is {size}")
    batch, channels, height, width = x.shape
    if node.op == "SpaceToDepth":
        cut = x.reshape(batch, channels, height // size, size, width // size, size)
        dcr = node.attributes.get("mode", "DCR") == "DCR"
        cut = cut.transpose(0, 3, 5, 1, 2, 4) if dcr else cut.transpose(0, 1, 3, 5, 2, 4)
        return [cut.reshape(batch, channels * size**2, height // size, width // size)]
    inner = channels // size**2
    if node.attributes.get("mode", "DCR") == "DCR":
        cut = x.reshape(batch, size, size, inner, height, width).transpose(0, 3, 4, 1, 5, 2)
    else:
        cut = x.reshape(batch, inner, size, size, height, width).transpose(0, 1, 4, 2, 5, 3)
    return [cut.reshape(batch, inner, height * size, width * size)]
