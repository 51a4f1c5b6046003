"""Inputs and attributes that say what an operator does, checked."""

from __future__ import annotations

import numpy as np

from ...layers._weights import Array
from .._model import Node


def integers(what: str, array: Array) -> list[int]:
    """The whole numbers in an array of at most one dimension."""
    if array.dtype.kind not in "iu" or array.ndim > 1:
        raise ValueError(
            f"{what} has dtype {array.dtype} and shape {array.shape}; expected whole numbers"
        )
    return [int(n) for n in np.atleast_1d(array)]


def axes_of(node: Node, axes: Array | None) -> list[int] | None:
    """The axes of Squeeze, Unsqueeze and Reduce: an attribute in old opsets, an input in new."""
    if axes is not None:
        return integers("axes", axes)
    found: list[int] | None = node.attributes.get("axes")
    return found


def axis_within(what: str, axis: object, rank: int) -> int:
    """An axis, counted from the first."""
    if not isinstance(axis, int) or not -rank <= axis < rank:
        raise ValueError(f"{what} is {axis}; expected an axis of {rank}")
    return axis % rank


def axes_within(what: str, axes: Array, rank: int) -> list[int]:
    """Different axes, counted from the first."""
    found = [axis_within(what, axis, rank) for axis in integers(what, axes)]
    if len({*found}) != len(found):
        raise ValueError(f"{what} is {found}; expected different axes")
    return found
