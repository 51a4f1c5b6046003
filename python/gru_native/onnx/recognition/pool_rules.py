"""Means and maxima over all steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...layers import Pool
from .._model import Node
from ..operators.arguments import axes_of
from .images import as_rows, is_image, over_heights
from .rules import rule
from .values import Features, Value, behind, is_array

POOLS = {
    "ReduceMean": "mean",
    "GlobalAveragePool": "mean",
    "ReduceMax": "max",
    "GlobalMaxPool": "max",
}


@rule(*POOLS)
def _pool(node: Node, x: Value, axes: Any = None) -> list[Any] | None:
    if not isinstance(x, Features) or not is_array(axes):
        return None
    rank = len(x.axes)
    reduced = [axis % rank for axis in axes_of(node, axes) or ()]
    if x.images and is_image(x) and len(reduced) == 1 and not node.op.startswith("Global"):
        kept = bool(node.attributes.get("keepdims", 1))
        return over_heights(x, POOLS[node.op], reduced[0], kept)
    found, turned = as_rows(x)
    if found is None or turned or not _has_steps(found):
        return None
    x = found
    if node.op.startswith("Global"):  # over all but batch and channels
        reduced = [2] if rank == 3 and x.axes[1] == x.whole else []
    if len(reduced) != 1 or x.axes[reduced[0]] != (x.time,):
        return None
    (gone,) = reduced
    at = x.axes.index(x.whole)
    last: Any = x.blocks[-1]
    block = Pool(POOLS[node.op], dtype=last.dtype)
    y = behind(x, block, at, x.shape[at], last=True, pooled=True, sizes={x.time: 1})
    kept = node.op.startswith("Global") or node.attributes.get("keepdims", 1)
    axes_left = (*y.axes[:gone], *([()] if kept else []), *y.axes[gone + 1 :])
    return [replace(y, axes=axes_left)]


def _has_steps(x: Features) -> bool:
    own = x.whole_features and not x.last and x.time is not None and bool(x.blocks)
    return own and not any(isinstance(block, Node) for block in x.blocks)
