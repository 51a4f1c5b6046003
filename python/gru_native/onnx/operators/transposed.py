"""Transposed convolutions, in which each element of x adds a kernel to y."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np

from ...layers._weights import Array
from .._model import Node
from .budget import room
from .convolution import Convolution, among_zeros, checked
from .registry import operator
from .windows import Windows, numbers

_FEW_ZEROS = 4  # numbers for each number of x, with the zeros between them


class Spread(NamedTuple):
    """One number for each spatial axis; the output is what all kernels cover, from begin on."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    full: tuple[int, ...]
    begin: tuple[int, ...]
    out: tuple[int, ...]


def _spread(node: Node, x: Array, weight: Array, bias: Array | None) -> tuple[int, Spread]:
    """The groups, and where the kernels lie."""
    groups, kernel = checked(node, x, weight)
    if x.shape[1] != len(weight) or len(weight) % groups:
        raise ValueError(
            f"X has {x.shape[1]} channels and W shape {weight.shape}; expected {groups} groups"
        )
    count, channels = len(kernel), groups * weight.shape[1]
    if bias is not None and bias.shape != (channels,):
        raise ValueError(f"B has shape {bias.shape}; expected {(channels,)}")
    strides = numbers(node, "strides", count, 1, 1)
    dilations = numbers(node, "dilations", count, 1, 1)
    more = numbers(node, "output_padding", count, 0, 0)
    full = [
        (n - 1) * s + (k - 1) * d + 1
        for n, s, k, d in zip(x.shape[2:], strides, kernel, dilations, strict=True)
    ]
    begin, out = _cut(node, x.shape[2:], strides, full, more)
    room([len(x), channels, *full], x.dtype)
    room([len(x), channels, *out], x.dtype)
    return groups, Spread(kernel, strides, dilations, tuple(full), tuple(begin), tuple(out))


@operator("ConvTranspose")
def _conv_transpose(
    node: Node, x: Array, weight: Array, bias: Array | None = None
) -> Sequence[Array]:
    groups, (kernel, strides, dilations, full, begin, out) = _spread(node, x, weight, bias)
    count, each = len(kernel), weight.shape[1]
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


class Transposed(Convolution):
    """ConvTranspose for arrays of one shape, by a block of the core.

    It is the convolution of x, with zeros between its elements and around them, with the kernel
    turned round: y[j] = sum over t of w[K - 1 - t] z[j + d t], where x[m] is z[(K - 1) d - begin +
    s m].
    """

    def __init__(
        self, spread: Spread, groups: int, x: Array, weight: Array, bias: Array | None
    ) -> None:
        kernel, strides, dilations, _, begin, out = spread
        sizes, places = [], []
        for n, k, s, d, b, o in zip(
            x.shape[2:], kernel, strides, dilations, begin, out, strict=True
        ):
            first, size = (k - 1) * d - b, o + (k - 1) * d
            least = max(0, -(first // s))  # of the elements of x that lie in z
            end = max(least, min(n, (size - 1 - first) // s + 1))
            where = slice(first + least * s, max(0, first + (end - 1) * s + 1), s)
            sizes.append(size)
            places.append((slice(least, end), where if end > least else slice(0, 0)))
        self._of_x, self._of_z = (tuple(part) for part in zip(*places, strict=True))
        ones, zeros = (1,) * len(kernel), (0,) * len(kernel)
        turned = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
        turned = turned.reshape(-1, turned.shape[2], *kernel)
        turned = np.flip(turned, tuple(range(2, 2 + len(kernel))))
        super().__init__(
            Windows(kernel, ones, dilations, zeros, zeros, out),
            (*x.shape[:2], *sizes),
            np.ascontiguousarray(turned),
            bias,
        )
        self.parts = False

    def _bound(self) -> Callable[..., Array]:
        core, (_, shape, weight, _) = self._block._core, self._own
        conv = self._bound_to(core.swish if self._activation == "swish" else core)
        return among_zeros(conv, shape, weight.dtype, self._of_z, self._of_x)


def prepared_transpose(
    node: Node, x: Array, weight: Array, bias: Array | None = None
) -> Transposed | None:
    """What computes ConvTranspose for arrays of x's shape; None where zeros would be too many."""
    groups, spread = _spread(node, x, weight, bias)
    if x.dtype != weight.dtype or x.dtype.name not in ("float32", "float64"):
        return None
    if 0 in x.shape or min(spread.out) < 1 or len(spread.kernel) > 2:
        return None
    sizes = (
        o + (k - 1) * d for o, k, d in zip(spread.out, spread.kernel, spread.dilations, strict=True)
    )
    if prod(sizes) > _FEW_ZEROS * prod(x.shape[2:]) + 64:
        return None
    return Transposed(spread, groups, x, weight, bias)


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
