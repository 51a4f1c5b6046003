"""Parts of arrays, taken out and put together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...layers._weights import Array
from .._model import Node
from .arguments import integers
from .budget import room
from .registry import operator


@operator("Concat")
def _concat(node: Node, *parts: Array) -> Sequence[Array]:
    room([sum(part.size for part in parts)], np.result_type(*parts))
    return [np.concatenate(parts, node.attributes["axis"])]


def slices(
    node: Node,
    shape: tuple[int, ...],
    starts: Array | None = None,
    ends: Array | None = None,
    axes: Array | None = None,
    steps: Array | None = None,
) -> tuple[slice, ...]:
    """The slice of each axis that Slice takes of an array of this shape."""
    if starts is None or ends is None:
        first, last = node.attributes["starts"], node.attributes["ends"]
        which = node.attributes.get("axes", range(len(first)))
    else:
        first, last = integers("starts", starts), integers("ends", ends)
        which = range(len(first)) if axes is None else integers("axes", axes)
    step = [1] * len(first) if steps is None else integers("steps", steps)
    if not len(first) == len(last) == len(which) == len(step):
        raise ValueError("starts, ends, axes and steps differ in length")
    taken = [slice(None)] * len(shape)
    for axis, start, end, by in zip(which, first, last, step, strict=True):
        # before the first element, going backwards, NumPy calls None
        before = by < 0 and end < -shape[axis]
        taken[axis] = slice(start, None if before else end, by)
    return tuple(taken)


@operator("Slice")
def _slice(
    node: Node,
    x: Array,
    starts: Array | None = None,
    ends: Array | None = None,
    axes: Array | None = None,
    steps: Array | None = None,
) -> Sequence[Array]:
    return [x[slices(node, x.shape, starts, ends, axes, steps)]]


def split_sizes(node: Node, size: int, split: Array | None) -> list[int]:
    """The sizes of Split's parts of an axis."""
    parts = len(node.outputs)
    if split is None and "split" not in node.attributes:
        each = -(-size // parts)
        return [each] * (parts - 1) + [size - each * (parts - 1)]
    sizes = node.attributes["split"] if split is None else integers("split", split)
    if len(sizes) != parts or sum(sizes) != size or min(sizes, default=0) < 0:
        raise ValueError(f"split is {sizes}; expected {parts} sizes that make up {size}")
    return list(sizes)


@operator("Split")
def _split(node: Node, x: Array, split: Array | None = None) -> Sequence[Array]:
    axis = node.attributes.get("axis", 0)
    sizes = split_sizes(node, x.shape[axis], split)
    return np.split(x, np.cumsum(sizes)[:-1], axis)


@operator("Tile")
def _tile(node: Node, x: Array, repeats: Array) -> Sequence[Array]:
    times = integers("repeats", repeats)
    room([size * n for size, n in zip(x.shape, times, strict=True)], x.dtype)
    return [np.tile(x, times)]


@operator("ReverseSequence")
def _reverse_sequence(node: Node, x: Array, lengths: Array) -> Sequence[Array]:
    batch, time = node.attributes.get("batch_axis", 1), node.attributes.get("time_axis", 0)
    if {batch, time} != {0, 1} or lengths.shape != (x.shape[batch],):
        raise ValueError(f"lengths has shape {lengths.shape} for x of shape {x.shape}")
    result = x.copy()
    rows, source = (result, x) if batch == 0 else (result.swapaxes(0, 1), x.swapaxes(0, 1))
    for row, length in enumerate(integers("lengths", lengths)):
        if not 0 <= length <= x.shape[time]:
            raise ValueError(f"a length is {length}; expected 0 to {x.shape[time]}")
        rows[row, :length] = source[row, :length][::-1]
    return [result]
