"""The same numbers in another shape, or of another type."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from .._model import Node
from ..operators.arguments import axes_of
from ..operators.shape import new_shape
from .rules import rule
from .values import Axis, Features, Value, is_array


@rule("Identity", "Dropout")
def _same(node: Node, x: Value, *others: Value) -> list[Any] | None:
    return [x]


@rule("Cast")
def _cast(node: Node, x: Value) -> list[Any] | None:
    kinds = {np.dtype(np.float32): 1, np.dtype(np.float64): 11}
    if not isinstance(x, Features):
        return None
    layers = [block for block in x.blocks if not isinstance(block, Node)]
    same = layers and kinds[layers[-1].dtype] == node.attributes.get("to")
    return [x] if same else None


@rule("Expand")
def _expand(node: Node, x: Value, shape: Value) -> list[Any] | None:
    """To the shape that it has."""
    if not isinstance(x, Features) or not isinstance(shape, np.ndarray):
        return None
    larger = np.broadcast_shapes(x.shape, tuple(int(n) for n in shape.reshape(-1)))
    return [x] if larger == x.shape else None


@rule("Transpose")
def _transpose(node: Node, x: Value) -> list[Any] | None:
    if not isinstance(x, Features):
        return None
    order = node.attributes.get("perm") or range(len(x.axes))[::-1]
    if sorted(order) != list(range(len(x.axes))):
        raise ValueError(f"perm is {list(order)}; expected an order of {len(x.axes)} axes")
    return [replace(x, axes=tuple(x.axes[axis] for axis in order))]


@rule("Squeeze")
def _squeeze(node: Node, x: Value, axes: Any = None) -> list[Any] | None:
    if not isinstance(x, Features) or not is_array(axes):
        return None
    own = axes_of(node, axes)
    rank = len(x.axes)
    chosen = [i for i in range(rank) if x.shape[i] == 1] if own is None else own
    gone = sorted({axis % rank for axis in chosen}, reverse=True)
    for axis in gone:
        if x.shape[axis] != 1:
            raise ValueError(f"axis {axis} has size {x.shape[axis]}; expected 1")
        left = without(x, axis)
        if left is None:
            return None
        x = left
    return [x]


def without(x: Features, axis: int) -> Features | None:
    """x without an axis of size 1; of the steps that is the last."""
    atoms = x.axes[axis]
    if atoms and x.time is None:
        return None
    rest = x.axes[:axis] + x.axes[axis + 1 :]
    return replace(x, axes=rest, last=x.last or x.time in atoms)


@rule("Unsqueeze")
def _unsqueeze(node: Node, x: Value, axes: Any = None) -> list[Any] | None:
    if not isinstance(x, Features) or not is_array(axes):
        return None
    own = axes_of(node, axes) or []
    rank = len(x.axes) + len(own)
    new = list(x.axes)
    for axis in sorted(axis % rank for axis in own):
        new.insert(axis, ())
    return [replace(x, axes=tuple(new))]


@rule("Reshape")
def _reshape(node: Node, x: Value, shape: Value | None = None) -> list[Any] | None:
    if not isinstance(x, Features) or not isinstance(shape, np.ndarray):
        return None
    return _regrouped(x, new_shape(node, x.shape, shape))


@rule("Flatten")
def _flatten(node: Node, x: Value) -> list[Any] | None:
    if not isinstance(x, Features):
        return None
    axis = node.attributes.get("axis", 1)
    return _regrouped(x, [prod(x.shape[:axis]), prod(x.shape[axis:])])


def _regrouped(x: Features, shape: list[int]) -> list[Any] | None:
    """The same numbers in the same order, with axes of other parts, if these end where parts do."""
    left = [atom for axis in x.axes for atom in axis]
    axes: list[Axis] = []
    for i, size in enumerate(shape):
        atoms: list[str] = []
        here = 1
        if size == 1 and left and x.sizes[left[0]] == 1:
            ones = shape[i:].count(1)
            if sum(x.sizes[atom] == 1 for atom in left) >= ones:
                atoms.append(left.pop(0))
        while here < size and left:
            atoms.append(left.pop(0))
            here *= x.sizes[atoms[-1]]
        if here != size:
            return None
        axes.append(tuple(atoms))
    if any(x.sizes[atom] != 1 for atom in left) or not axes:
        return None
    if left:  # of size 1, at the end
        axes[-1] = (*axes[-1], *left)
    return [replace(x, axes=tuple(axes))]
