"""The same numbers in another shape."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ...layers._weights import Array
from .._model import Node
from .arguments import axes_of, integers
from .budget import room
from .registry import operator


@operator("Transpose")
def _transpose(node: Node, x: Array) -> Sequence[Array]:
    return [np.transpose(x, node.attributes.get("perm"))]


@operator("Squeeze")
def _squeeze(node: Node, x: Array, axes: Array | None = None) -> Sequence[Array]:
    own = axes_of(node, axes)
    return [np.squeeze(x, None if own is None else tuple(own))]


@operator("Unsqueeze")
def _unsqueeze(node: Node, x: Array, axes: Array | None = None) -> Sequence[Array]:
    return [np.expand_dims(x, tuple(axes_of(node, axes) or ()))]


def new_shape(node: Node, old: tuple[int, ...], shape: Array) -> list[int]:
    """What Reshape makes of a shape: 0 keeps a size (unless allowzero), -1 is what is left."""
    sizes = integers("shape", shape)
    if not node.attributes.get("allowzero", 0):
        if any(size == 0 for size in sizes[len(old) :]):
            raise ValueError(f"shape {sizes} keeps a size that shape {old} does not have")
        sizes = [old[i] if size == 0 else size for i, size in enumerate(sizes)]
    if sizes.count(-1) == 1 and (rest := -prod(sizes)) > 0:
        sizes[sizes.index(-1)] = prod(old) // rest
    if prod(sizes) != prod(old) or min(sizes, default=0) < 0:
        raise ValueError(f"cannot make shape {sizes} of shape {old}")
    return sizes


@operator("Reshape")
def _reshape(node: Node, x: Array, shape: Array | None = None) -> Sequence[Array]:
    if shape is None:
        raise ValueError("has no shape")
    return [x.reshape(new_shape(node, x.shape, shape))]


@operator("Flatten")
def _flatten(node: Node, x: Array) -> Sequence[Array]:
    axis = node.attributes.get("axis", 1)
    rows = prod(x.shape[:axis])
    return [x.reshape(rows, prod(x.shape[axis:]))]


@operator("Expand")
def _expand(node: Node, x: Array, shape: Array) -> Sequence[Array]:
    sizes = np.broadcast_shapes(x.shape, tuple(integers("shape", shape)))
    room(sizes, x.dtype)
    return [np.broadcast_to(x, sizes)]
