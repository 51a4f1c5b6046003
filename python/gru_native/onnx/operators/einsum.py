"""Einsum of two arrays as one product of matrices for each element of the axes that all have.

NumPy looks for such a way at each call, which takes longer than a small product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ...layers import Conv1d, Dense
from ...layers._weights import Array
from .._model import Node


def prepared_einsum(
    node: Node, a: Array, b: Array, y: Array, *, constant: bool
) -> Callable[..., Array] | None:
    """What computes y for arrays of these shapes; None where it is no such product.

    constant: b is the same in all calls, so it may be the weight of a layer.
    """
    equation = str(node.attributes["equation"]).replace(" ", "")
    given, _, result = equation.partition("->")
    terms = (*given.split(","), result)
    if not all(term.isalpha() and len({*term}) == len(term) for term in terms) or not y.size:
        return None
    if not a.size:  # sums of nothing
        return None
    of_a, of_b, _ = terms
    sizes = dict(zip(of_a, a.shape, strict=True))
    both = [c for c in of_b if c in sizes]
    if any(b.shape[of_b.index(c)] != sizes[c] for c in both):
        return None  # one of them is repeated
    sizes |= dict(zip(of_b, b.shape, strict=True))
    batch, summed = ([c for c in both if (c in result) is kept] for kept in (True, False))
    rows, columns = ([c for c in term if c not in both] for term in (of_a, of_b))
    order = [*batch, *rows, *columns]
    if sorted(order) != sorted(result) or not summed:
        return None
    count, many, deep, wide = (
        prod(sizes[c] for c in letters) for letters in (batch, rows, summed, columns)
    )

    def axes(letters: Sequence[str], of: Sequence[str]) -> list[int]:
        return [of.index(c) for c in letters]

    if constant:
        weight = b.transpose(axes([*batch, *columns, *summed], of_b)).reshape(-1, deep)
        layer: Callable[..., Array] = _layer(weight, count)
        into = axes([*rows, *batch, *summed], of_a)
        apart = [sizes[c] for c in (*rows, *batch, *columns)]
        back = axes(result, [*rows, *batch, *columns])
        return lambda x, _: (
            layer(x.transpose(into).reshape(many, 1, count * deep)).reshape(apart).transpose(back)
        )
    left, right = axes([*batch, *rows, *summed], of_a), axes([*batch, *summed, *columns], of_b)
    apart, back = [sizes[c] for c in order], axes(result, order)
    return lambda x, w: (
        np.matmul(
            x.transpose(left).reshape(count, many, deep),
            w.transpose(right).reshape(count, deep, wide),
        )
        .reshape(apart)
        .transpose(back)
    )


def _layer(weight: Array, groups: int) -> Callable[..., Array]:
    """The product with this weight, that of each group below that of the one before."""
    outputs, inputs = weight.shape
    if groups == 1:
        dense = Dense(inputs, outputs, bias=False, dtype=weight.dtype, seed=0)
        dense.load_state_dict({"weight": weight})
        return dense._core
    named: Any = {"groups": groups, "padding": "valid", "bias": False, "seed": 0}
    taps = Conv1d(inputs * groups, outputs, 1, dtype=weight.dtype, **named)
    taps.load_state_dict({"weight": weight[:, :, None]})
    return taps._core
