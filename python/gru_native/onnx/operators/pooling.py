"""Pools: one number for each window, or for each channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from ..._core import largest_of_windows
from ...layers._weights import Array
from .._model import Node
from .budget import room
from .registry import operator
from .windows import Windows, numbers, padded, taps, views, windows

_FEW = 64  # elements of a kernel along an axis that are taken one by one


def _windows(node: Node, x: Array) -> Windows:
    if x.ndim < 3 or 0 in x.shape[2:]:
        raise ValueError(f"X has shape {x.shape}; expected (batch, channels, sizes ...)")
    kernel = numbers(node, "kernel_shape", x.ndim - 2, None, 1)
    return windows(node, x.shape[2:], kernel, ceil=bool(node.attributes.get("ceil_mode", 0)))


def _along_axes(x: Array, w: Windows, join: np.ufunc) -> Array:
    """One axis after the other: a window is a product of intervals."""
    for axis in range(len(w.kernel)):
        room([*x.shape[: 2 + axis], w.kernel[axis], w.out[axis], *x.shape[3 + axis :]], x.dtype)
        if w.kernel[axis] <= _FEW:
            first, *others = taps(x, w, axis)
            y = first if not others else join(first, others[0])
            for other in others[1:]:
                join(y, other, out=y)
        else:
            outer = x.shape[: 2 + axis] + x.shape[3 + axis :]
            moved = np.moveaxis(x, 2 + axis, -1).reshape(1, prod(outer), x.shape[2 + axis])
            one = Windows(*([part[axis]] for part in w))  # type: ignore[arg-type]
            y = join.reduce(views(moved, one), 2)
            y = np.moveaxis(y.reshape(*outer, w.out[axis]), -1, 2 + axis)
        x = y
    return x


@operator("MaxPool")
def _max_pool(node: Node, x: Array) -> Sequence[Array]:
    w = _windows(node, x)
    low = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    source = padded(x, w, low)
    y = np.array(_along_axes(source, w, np.maximum), order="C")
    if len(node.outputs) < 2:
        return [y]
    return [y, _places(node, x, source, w)]


def prepared_max(node: Node, x: Array) -> Callable[[Array], Array] | None:
    """A function that computes MaxPool for images of x's shape and dtype, which are floats.

    Its results lie in memory as the core's do. None: the core does not compute it, or would have
    to make more numbers between one side and the other than it has before and behind them.
    """
    w = _windows(node, x)
    between = w.out[0] * x.shape[3]
    if max(w.dilations) > 1 or between > x.shape[2] * x.shape[3] + w.out[0] * w.out[1]:
        return None
    sides = w.kernel, w.strides, tuple(w.begin), w.out
    return lambda x: largest_of_windows(x, *sides)


def _places(node: Node, x: Array, source: Array, w: Windows) -> Array:
    """Where in x each maximum is, counted through all of x."""
    room([*x.shape[:2], prod(w.kernel), *w.out], np.dtype(np.int64))
    every = views(source, w).reshape(*x.shape[:2], prod(w.kernel), *w.out)
    chosen = np.unravel_index(np.argmax(every, 2), w.kernel)
    count = len(w.kernel)
    at = []
    for axis, index in enumerate(chosen):
        first = np.arange(w.out[axis]) * w.strides[axis] - w.begin[axis]
        at.append(index * w.dilations[axis] + first.reshape(-1, *[1] * (count - 1 - axis)))
    sizes = x.shape[2:]
    if node.attributes.get("storage_order", 0):
        at, sizes = at[::-1], sizes[::-1]
    flat = np.zeros_like(at[0])
    for index, size in zip(at, sizes, strict=True):
        flat = flat * size + index
    planes = np.arange(prod(x.shape[:2])).reshape(*x.shape[:2], *[1] * count)
    return np.asarray(flat + planes * prod(sizes), np.int64)


def _inside(w: Windows, sizes: Sequence[int], of_padding: Sequence[tuple[int, int]]) -> Array:
    """How many elements of each window count: those of the array and of this much padding."""
    total = np.ones((), np.int64)
    for axis, (n, (before, after)) in enumerate(zip(sizes, of_padding, strict=True)):
        room([w.out[axis], w.kernel[axis]], np.dtype(np.int64))
        at = (
            np.arange(w.out[axis])[:, None] * w.strides[axis]
            + np.arange(w.kernel[axis]) * w.dilations[axis]
            - w.begin[axis]
        )
        counts = ((at >= -before) & (at < n + after)).sum(1)
        total = total[..., None] * counts
    return total


@operator("AveragePool")
def _average_pool(node: Node, x: Array) -> Sequence[Array]:
    w = _windows(node, x)
    count, given = len(w.kernel), [(0, 0)] * (x.ndim - 2)
    if node.attributes.get("count_include_pad", 0):
        pads = node.attributes.get("pads")
        if node.attributes.get("auto_pad", "NOTSET") == "NOTSET":
            pads = pads or [0] * 2 * count
            given = list(zip(pads[:count], pads[count:], strict=True))
        else:
            given = list(zip(w.begin, w.end, strict=True))
    total = _along_axes(padded(x, w), w, np.add)
    return [np.asarray(total / _inside(w, x.shape[2:], given), x.dtype)]


@operator("LpPool")
def _lp_pool(node: Node, x: Array) -> Sequence[Array]:
    w, p = _windows(node, x), node.attributes.get("p", 2)
    total = _along_axes(padded(np.abs(x) ** p, w), w, np.add)
    return [np.asarray(total ** (1 / p), x.dtype)]


def _spatial(x: Array) -> tuple[int, ...]:
    if x.ndim < 3:
        raise ValueError(f"X has shape {x.shape}; expected (batch, channels, sizes ...)")
    return tuple(range(2, x.ndim))


@operator("GlobalAveragePool")
def _global_average(node: Node, x: Array) -> Sequence[Array]:
    return [x.mean(_spatial(x), keepdims=True, dtype=x.dtype)]


@operator("GlobalMaxPool")
def _global_max(node: Node, x: Array) -> Sequence[Array]:
    return [x.max(_spatial(x), keepdims=True)]


@operator("GlobalLpPool")
def _global_lp(node: Node, x: Array) -> Sequence[Array]:
    p = node.attributes.get("p", 2)
    total = (np.abs(x) ** p).sum(_spatial(x), keepdims=True)
    return [np.asarray(total ** (1 / p), x.dtype)]
