"""Pad: more elements around an array, or fewer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...layers._weights import Array
from .._model import Node
from .arguments import axes_within, integers
from .budget import room
from .registry import operator


@operator("Pad", until=10)
def _pad_before_11(node: Node, x: Array) -> Sequence[Array]:
    if "pads" not in node.attributes:
        raise ValueError("has no pads")
    return [_pad(node, x, list(node.attributes["pads"]), node.attributes.get("value", 0.0))]


@operator("Pad", since=11)
def _pad_since_11(
    node: Node, x: Array, pads: Array, value: Array | None = None, axes: Array | None = None
) -> Sequence[Array]:
    given = integers("pads", pads.reshape(-1))
    if axes is not None:
        which = axes_within("axes", axes, x.ndim)
        if len(given) != 2 * len(which):
            raise ValueError(f"pads has {len(given)} numbers; expected 2 for each of axes {which}")
        every = [0] * (2 * x.ndim)
        for i, axis in enumerate(which):
            every[axis], every[x.ndim + axis] = given[i], given[len(which) + i]
        given = every
    if value is not None and value.size != 1:
        raise ValueError(f"constant_value has shape {value.shape}; expected one number")
    return [_pad(node, x, given, 0 if value is None else value.reshape(())[()])]


def _pad(node: Node, x: Array, pads: list[int], value: object) -> Array:
    if len(pads) != 2 * x.ndim:
        raise ValueError(f"pads has {len(pads)} numbers; expected 2 for each of {x.ndim} axes")
    before, after = pads[: x.ndim], pads[x.ndim :]
    sizes = [b + n + a for b, n, a in zip(before, x.shape, after, strict=True)]
    room(sizes, x.dtype)
    mode = node.attributes.get("mode", "constant")
    if mode == "constant":
        result = np.full(sizes, value, x.dtype)
        inner, own = [], []
        for b, n, a in zip(before, x.shape, after, strict=True):
            inner.append(slice(max(0, b), max(0, b) + max(0, n + min(0, b) + min(0, a))))
            own.append(slice(max(0, -b), max(max(0, -b), n + min(0, a))))
        result[tuple(inner)] = x[tuple(own)]
        return result
    if mode not in _PLACES:
        raise ValueError(f"mode is {mode!r}; expected constant, {', '.join(_PLACES)}")
    for axis, (b, n, size) in enumerate(zip(before, x.shape, sizes, strict=True)):
        if size != n or b:
            if n == 0 and size:
                raise ValueError(f"mode {mode} has no elements to repeat along axis {axis}")
            x = x.take(_PLACES[mode](np.arange(-b, size - b), n), axis)
    return x


def _reflect(at: Array, n: int) -> Array:
    period = max(1, 2 * (n - 1))
    at = at % period
    return np.minimum(at, period - at) if n > 1 else at * 0


_PLACES: dict[str, Callable[[Array, int], Array]] = {
    "reflect": _reflect,
    "edge": lambda at, n: np.clip(at, 0, max(0, n - 1)),
    "wrap": lambda at, n: at % max(1, n),
}
