"""Transposed convolutions, in which each element of x adds a kernel to y."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

import numpy as np

from ...layers._weights import Array
from .._model import Node
from .budget import room
from .convolution import checked
from .registry import operator
from .windows import numbers


@operator("ConvTranspose")
def _conv_transpose(
    node: Node, x: Array, weight: Array, bias: Array | None = None
) -> Sequence[Array]:
    groups, kernel = checked(node, x, weight)
    if x.shape[1] != len(weight) or len(weight) % groups:
        raise ValueError(
            f"X has {x.shape[1]} channels and W shape {weight.shape}; expected {groups} groups"
        )
    count, each = len(kernel), weight.shape[1]
    strides = numbers(node, "strides", count, 1, 1)
    dilations = numbers(node, "dilations", count, 1, 1)
    more = numbers(node, "output_padding", count, 0, 0)
    full = [
        (n - 1) * s + (k - 1) * d + 1
        for n, s, k, d in zip(x.shape[2:], strides, kernel, dilations, strict=True)
    ]
    begin, out = _cut(node, x.shape[2:], strides, full, more)
    room([len(x), groups * each, *full], x.dtype)
    room([len(x), groups * each, *out], x.dtype)
    room([len(x), groups * each, *kernel, *x.shape[2:]], x.dtype)
    matrix = weight.reshape(groups, len(weight) // groups, -1).swapaxes(1, 2)
    columns = np.matmul(matrix, x.reshape(len(x), groups, len(weight) // groups, prod(x.shape[2:])))
    columns = columns.reshape(len(x), groups * each, *kernel, *x.shape[2:])
    whole = np.zeros(
        (len(x), groups * each, *(max(f, b + o) for f, b, o in zip(full, begin, out, strict=True))),
        x.dtype,
    )
    for tap in product(*map(range, kernel)):
        places = (
            slice(k * d, k * d + (n - 1) * s + 1, s)
            for k, d, s, n in zip(tap, dilations, strides, x.shape[2:], strict=True)
        )
        whole[(slice(None), slice(None), *places)] += columns[(slice(None), slice(None), *tap)]
    y = whole[
        (slice(None), slice(None), *(slice(b, b + o) for b, o in zip(begin, out, strict=True)))
    ]
    return [y if bias is None else y + bias.reshape(-1, *[1] * count)]


def _cut(
    node: Node,
    sizes: Sequence[int],
    strides: Sequence[int],
    full: Sequence[int],
    more: Sequence[int],
) -> tuple[list[int], list[int]]:
    """Where the output of ConvTranspose begins in what all windows cover, and its sizes."""
    count, auto = len(sizes), node.attributes.get("auto_pad", "NOTSET")
    wanted = None
    if "output_shape" in node.attributes:
        wanted = list(node.attributes["output_shape"])[-count:]
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(sizes, strides, strict=True)]
    if wanted is not None:
        if len(wanted) != count or any(not 0 <= n < 1 << 40 for n in wanted):
            raise ValueError(f"output_shape is {str(wanted)[:80]}; expected {count} sizes")
        total = [max(0, f + m - n) for f, m, n in zip(full, more, wanted, strict=True)]
        upper = auto == "SAME_UPPER"
        return [t // 2 if upper else t - t // 2 for t in total], wanted
    pads = numbers(node, "pads", 2 * count, 0, 0) if auto == "NOTSET" else (0,) * (2 * count)
    out = [
        f + m - pads[i] - pads[count + i] for i, (f, m) in enumerate(zip(full, more, strict=True))
    ]
    return list(pads[:count]), out
