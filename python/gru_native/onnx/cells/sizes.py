"""Small tensors of whole numbers, which shapes are made of: what is known of them before a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from ...layers._weights import Array
from .._model import Node
from ..operators.parts import slices

Numbers: TypeAlias = tuple[int | None, ...]  # one after the other; None: any
_MOST = 8


def of_constant(array: Array) -> Numbers | None:
    """Those of a constant, if it is such a tensor."""
    if array.dtype.kind not in "iu" or array.size > _MOST or array.ndim > 1:
        return None
    return tuple(int(n) for n in array.reshape(-1))


def numbers_of(
    node: Node,
    shape: Sequence[int | None] | None,
    of: Callable[[str], Numbers | None],
    constants: Mapping[str, Array],
) -> Numbers | None:
    """A node's first output. shape: of its input; of: the numbers of a tensor.

    Raises LookupError, TypeError or ValueError for what cannot be known.
    """
    if node.op == "Shape":
        start, end = node.attributes.get("start", 0), node.attributes.get("end")
        return None if shape is None else tuple(shape[start:end])
    if node.op == "Concat":
        parts = [of(name) for name in node.inputs]
        return tuple(n for part in parts for n in part) if None not in parts else None  # type: ignore[union-attr]
    first = of(node.inputs[0]) if node.inputs else None
    if first is None:
        return None
    if node.op in ("Identity", "Squeeze", "Unsqueeze"):
        return first
    if node.op == "Cast":
        return first if node.attributes.get("to") in (6, 7) else None
    if node.op == "Gather":
        indices = constants[node.inputs[1]]
        return tuple(first[int(i)] for i in indices.reshape(-1))
    if node.op == "Slice":
        (own,) = slices(node, (len(first),), *(constants[n] for n in node.inputs[1:] if n))
        return first[own]
    if node.op in _ARITHMETIC:
        second = of(node.inputs[1])
        if second is None or len(first) != 1 or len(second) != 1:
            return None
        (a,), (b,) = first, second
        if a is None or b is None or (node.op == "Div" and (a < 0 or b <= 0)):
            return (None,)
        return (int(_ARITHMETIC[node.op](a, b)),)
    return None


_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.floor_divide,
}
