"""Parts, taken out and put together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._model import Node
from ..operators.arguments import integers
from ..operators.parts import slices, split_sizes
from .joins import join
from .rules import rule
from .shape_rules import without
from .values import DIRECTIONS, UNITS, Features, Joined, State, Unknown, Value, is_array

_END = 2**31 - 1  # exporters' number for the end of an axis, and any beyond


@rule("Slice")
def _slice(node: Node, x: Value, *where: Any) -> list[Any] | None:
    if not isinstance(x, (Features, Joined)) or not all(is_array(a) for a in where):
        return None
    value: Any = x
    for axis, taken in enumerate(slices(node, x.shape, *where)):
        size = x.shape[axis]
        start, stop, step = taken.indices(size)
        if step != 1 or _cuts_what_is_longer(taken, size):
            return None
        value = None if value is None else _part(value, axis, start, stop)
    return None if value is None else [value]


def _cuts_what_is_longer(taken: slice, size: int) -> bool:
    """Whether all of this size is taken, but not of every one: to the end is 2^31 - 1 and more."""
    to, begin = taken.stop, taken.start
    return (to is not None and size < to < _END) or (begin is not None and -_END < begin < -size)


@rule("Split")
def _split(node: Node, x: Value, split: Any = None) -> list[Any] | None:
    if not isinstance(x, (Features, Joined)) or not is_array(split):
        return None
    axis = node.attributes.get("axis", 0) % len(x.shape)
    ends = np.cumsum(split_sizes(node, x.shape[axis], split))
    parts = [
        _part(x, axis, int(start), int(end))
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]
    return [
        Unknown(f"{node.label} does not belong to one") if part is None else part for part in parts
    ]


@rule("Gather")
def _gather(node: Node, x: Value, indices: Value) -> list[Any] | None:
    if not isinstance(x, (Features, Joined)) or not isinstance(indices, np.ndarray):
        return None
    axis = node.attributes.get("axis", 0) % len(x.shape)
    if indices.ndim == 1 and np.array_equal(indices, np.arange(x.shape[axis])):
        return [x]
    if indices.size != 1 or indices.ndim > 1:
        return None
    size, (at,) = x.shape[axis], integers("indices", indices)
    if not -size <= at < size:
        raise ValueError(f"index {at} is outside of an axis of size {size}")
    part = _part(x, axis, at % size, at % size + 1)
    if part is None or indices.ndim == 1:
        return None if part is None else [part]
    if isinstance(part, State):
        return [part]
    left = without(part, axis)
    return None if left is None else [left]


def _part(x: Features | Joined, axis: int, start: int, stop: int) -> Any:
    """From start to stop along an axis, where that is a part that has a name."""
    size = x.shape[axis]
    if (start, stop) == (0, size):
        return x
    if isinstance(x, Joined):
        return x.parts[start] if axis == x.axis and stop - start == 1 else None
    own = x.axes[axis]
    if x.padding != (0, 0):
        return None
    cut: dict[str, Any] = {}
    if x.time is not None and own == (x.time,) and (start, stop) == (size - 1, size):
        cut = {"axis": (), "last": True}
    elif own[:1] == (DIRECTIONS,) and own in ((DIRECTIONS,), x.whole):
        half = size // 2
        if stop - start == half and start % half == 0:
            cut = {"axis": own[1:], "direction": start // half}
    if not cut:
        return None
    new = (*x.axes[:axis], cut.pop("axis"), *x.axes[axis + 1 :])
    return replace(x, axes=new, **cut)


@rule("Concat")
def _concat(node: Node, *parts: Value) -> list[Any] | None:
    if not all(isinstance(part, (Features, State)) for part in parts):
        return None
    values: list[Any] = list(parts)
    if len({len(value.shape) for value in values}) != 1 or not values[0].shape:
        return None
    if len(values) == 1:
        return [values[0]]
    axis = node.attributes["axis"] % len(values[0].shape)
    both = _both_directions(values, axis)
    if both is not None:
        return [both]
    side_by_side = join("concat", parts, axis)
    if side_by_side is not None:
        return side_by_side
    if all(value.shape[axis] == 1 for value in values):
        return [Joined(tuple(values), axis)]
    return None


def _both_directions(values: list[Any], axis: int) -> Features | None:
    if not all(isinstance(value, Features) for value in values):
        return None
    first: Features = values[0]
    if [value.direction for value in values] != [0, 1]:
        return None
    if values[1] != replace(first, direction=1) or first.axes[axis] not in ((), (UNITS,)):
        return None
    new = (*first.axes[:axis], (DIRECTIONS, *first.axes[axis]), *first.axes[axis + 1 :])
    return replace(first, axes=new, direction=None)
