"""Windows that move over the spatial axes of an array: those of convolutions and pools.

An array is (batch, channels, *spatial), as everywhere in ONNX.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...layers._weights import Array
from .._model import Node
from .budget import room

_LARGEST = 1 << 40  # of a size in an attribute: sums and products of such stay exact


# The axes of an image in the order in which the core's lie in memory, and these turned back.
IMAGE, BACK = (3, 0, 2, 1), (1, 3, 2, 0)


class Windows(NamedTuple):
    """One number for each spatial axis; ``begin`` and ``end`` are padding, ``out`` is how many."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    out: tuple[int, ...]

    @property
    def moves_only(self) -> bool:
        """Whether each window is one element of the array itself."""
        return all(k == s == 1 for k, s in zip(self.kernel, self.strides, strict=True)) and not any(
            (*self.begin, *self.end)
        )


def numbers(node: Node, name: str, count: int, usual: int | None, least: int) -> tuple[int, ...]:
    """An attribute with one whole number for each spatial axis."""
    found = node.attributes.get(name)
    if found is None:
        if usual is None:
            raise ValueError(f"has no {name}")
        return (usual,) * count
    if not isinstance(found, (list, tuple)) and not hasattr(found, "__len__"):
        raise ValueError(f"{name} is {found!r}; expected {count} whole numbers")
    if len(found) != count or not all(isinstance(n, int) and least <= n < _LARGEST for n in found):
        raise ValueError(
            f"{name} is {str(list(found))[:80]}; expected {count} whole numbers from {least} to "
            f"{_LARGEST - 1}"
        )
    return tuple(found)


def windows(
    node: Node, spatial: Sequence[int], kernel: Sequence[int], *, ceil: bool = False
) -> Windows:
    """Where the windows of a node are in an array with these spatial sizes."""
    count = len(spatial)
    strides = numbers(node, "strides", count, 1, 1)
    dilations = numbers(node, "dilations", count, 1, 1)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    auto = node.attributes.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        sizes = [-(-n // s) for n, s in zip(spatial, strides, strict=True)]
        total = [
            max(0, (o - 1) * s + span - n)
            for o, s, span, n in zip(sizes, strides, spans, spatial, strict=True)
        ]
        less, more = [t // 2 for t in total], [t - t // 2 for t in total]
        begin, end = (less, more) if auto == "SAME_UPPER" else (more, less)
    elif auto == "VALID":
        begin = end = [0] * count
    elif auto == "NOTSET":
        pads = numbers(node, "pads", 2 * count, 0, 0)
        begin, end = list(pads[:count]), list(pads[count:])
    else:
        raise ValueError(f"auto_pad is {auto!r}, which is not supported")
    out = []
    for i, (n, s, span) in enumerate(zip(spatial, strides, spans, strict=True)):
        rest = n + begin[i] + end[i] - span
        size = (-(-rest // s) if ceil else rest // s) + 1
        if size < 1:
            raise ValueError(
                f"a window of {span} does not fit in {n} elements, padded by {begin[i] + end[i]}"
            )
        if ceil and (size - 1) * s >= n + begin[i]:  # it would begin in the padding at the end
            size -= 1
        end[i] = max(end[i], (size - 1) * s + span - n - begin[i])
        out.append(size)
    return Windows(tuple(kernel), strides, dilations, tuple(begin), tuple(end), tuple(out))


def padded(x: Array, w: Windows, value: Any = 0) -> Array:
    """x with its padding."""
    if not any((*w.begin, *w.end)):
        return x
    sizes = [b + n + e for b, n, e in zip(w.begin, x.shape[2:], w.end, strict=True)]
    room([*x.shape[:2], *sizes], x.dtype)
    result = np.full([*x.shape[:2], *sizes], value, x.dtype)
    inner = (slice(b, b + n) for b, n in zip(w.begin, x.shape[2:], strict=True))
    result[(slice(None), slice(None), *inner)] = x
    return result


def views(x: Array, w: Windows) -> Array:
    """All windows of a padded x, not copied: (batch, channels, *kernel, *out)."""
    inner = x.strides[2:]
    return as_strided(
        x,
        (*x.shape[:2], *w.kernel, *w.out),
        (
            *x.strides[:2],
            *(s * d for s, d in zip(inner, w.dilations, strict=True)),
            *(s * step for s, step in zip(inner, w.strides, strict=True)),
        ),
        writeable=False,
    )


def taps(x: Array, w: Windows, axis: int) -> list[Array]:
    """For each element of a kernel along one spatial axis, what the windows have there."""
    first: list[Any] = [slice(None)] * x.ndim
    found = []
    for k in range(w.kernel[axis]):
        at = k * w.dilations[axis]
        stop = at + (w.out[axis] - 1) * w.strides[axis] + 1
        first[2 + axis] = slice(at, max(at, stop), w.strides[axis])
        found.append(x[tuple(first)])
    return found
