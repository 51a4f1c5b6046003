"""Convolutions, as one product of matrices for each piece of the output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ...layers import Conv1d, Conv2d
from ...layers._weights import Array
from .._model import Node
from .budget import room
from .registry import operator
from .windows import BACK, IMAGE, Windows, numbers, padded, views, windows

_PIECE = 1 << 18  # numbers gathered at once: what stays in a core's cache
_FEW = 64  # taps of a kernel that are added one by one


def checked(node: Node, x: Array, weight: Array) -> tuple[int, tuple[int, ...]]:
    """The groups and the kernel."""
    if x.ndim < 3 or weight.ndim != x.ndim:
        raise ValueError(
            f"X has shape {x.shape} and W {weight.shape}; expected (batch, channels, sizes ...) "
            "and (outputs, channels, sizes ...)"
        )
    groups = node.attributes.get("group", 1)
    kernel = (
        numbers(node, "kernel_shape", x.ndim - 2, 0, 1)
        if "kernel_shape" in node.attributes
        else weight.shape[2:]
    )
    if groups < 1 or kernel != weight.shape[2:] or 0 in weight.shape:
        raise ValueError(
            f"W has shape {weight.shape}; expected kernel_shape {kernel} and {groups} groups"
        )
    return groups, kernel


def convolve(node: Node, x: Array, weight: Array, bias: Array | None = None, pad: Any = 0) -> Array:
    """The cross-correlation that ONNX calls Conv, of x with the node's attributes."""
    groups, kernel = checked(node, x, weight)
    if x.shape[1] != weight.shape[1] * groups or len(weight) % groups:
        raise ValueError(
            f"X has {x.shape[1]} channels and W shape {weight.shape}; expected {groups} groups"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"B has shape {bias.shape}; expected {weight.shape[:1]}")
    w = windows(node, x.shape[2:], kernel)
    room([len(x), len(weight), *w.out], x.dtype)
    source = padded(x, w, pad)
    if weight.shape[1] == 1 and len(weight) == groups and prod(kernel) <= _FEW:
        y = _each_channel(source, weight, w)
    else:
        y = _by_product(source, weight, w, groups)
    if bias is not None:
        y += bias.reshape(-1, *[1] * len(kernel))
    return y


def _each_channel(x: Array, weight: Array, w: Windows) -> Array:
    """A kernel of its own for each channel."""
    of_taps = views(x, w)
    y = np.zeros((*x.shape[:2], *w.out), x.dtype)
    part = np.empty_like(y)
    for tap in product(*map(range, w.kernel)):
        at: tuple[Any, ...] = (slice(None), slice(None), *tap)
        column = weight[at].reshape(-1, *[1] * len(w.out))
        np.multiply(of_taps[at], column, out=part)
        y += part
    return y


def _by_product(x: Array, weight: Array, w: Windows, groups: int) -> Array:
    batch, channels = x.shape[:2]
    depth, each = channels // groups * prod(w.kernel), len(weight) // groups
    matrix = weight.reshape(groups, each, depth)
    if w.moves_only:
        y: Array = np.matmul(matrix, x.reshape(batch, groups, depth, prod(w.out)))
        return y.reshape(batch, len(weight), *w.out)
    of_windows = views(x, w)
    first = 2 + len(w.kernel)  # the axis of the output that is cut
    rows = max(1, _PIECE // max(1, batch * groups * depth * prod(w.out[1:])))
    if rows >= w.out[0]:
        columns = of_windows.reshape(batch, groups, depth, prod(w.out))
        y = np.matmul(matrix, columns)
        return y.reshape(batch, len(weight), *w.out)
    y = np.empty((batch, groups, each, *w.out), x.dtype)
    for at in range(0, w.out[0], rows):
        piece = of_windows[(slice(None),) * first + (slice(at, at + rows),)]
        room(piece.shape, x.dtype)
        columns = np.matmul(matrix, piece.reshape(batch, groups, depth, prod(piece.shape[first:])))
        y[:, :, :, at : at + rows] = columns.reshape(batch, groups, each, *piece.shape[first:])
    return y.reshape(batch, len(weight), *w.out)


def among_zeros(
    call: Callable[[Array], Array],
    shape: tuple[int, ...],
    dtype: Any,
    places: tuple[slice, ...],
    part: tuple[slice, ...] | None = None,
) -> Callable[[Array], Array]:
    """The call of zeros of that shape, in memory as the core has them, with x at these places.

    places, part: along the spatial axes; only that part of x is there, usually all of it.
    """
    order, back = (IMAGE, BACK) if len(places) == 2 else ((2, 0, 1), (1, 2, 0))
    memory = tuple(shape[axis] for axis in order)
    where = (slice(None), slice(None), *places)
    of_x = (slice(None), slice(None), *(part or (slice(None),) * len(places)))

    def of_whole(x: Array) -> Array:
        source: Any = np.zeros(memory, dtype).transpose(back)
        source[where] = x[of_x]
        return call(source)

    return of_whole


class Convolution:
    """Conv for arrays of one shape, by a block of the core; see ``prepared``.

    Results lie in memory as the core has images, (width, batch, height, channels), where the next
    convolution finds them without moving them. parts: whether ``call`` takes any number of images
    whose channels lie side by side in x; only these have what is below.
    """

    _activation: Any = "identity"  # by its name in the core, or "swish"
    _zeros: tuple[int, ...] = (0, 0)
    _repeats: tuple[tuple[int, int], ...] = ()

    def __init__(self, w: Windows, x: tuple[int, ...], weight: Array, bias: Array | None) -> None:
        self._own = w, x, weight, bias
        self.parts = len(w.kernel) == 2 and w.begin == w.end
        self._block = self._made()
        self.call: Callable[..., Array] = self._bound()

    def _changed(self, **attributes: Any) -> Convolution:
        other = copy(self)
        vars(other).update(attributes)
        if "_own" in attributes or attributes.get("_activation", "swish") != "swish":
            other._block = other._made()
        other.call = other._bound()
        return other

    @property
    def padding(self) -> tuple[int, ...]:
        """The zeros that its windows need around x."""
        return self._own[0].begin

    @property
    def moves_only(self) -> bool:
        """Whether its windows are single dots, and all of them."""
        return self._own[0].moves_only

    def of_whole_numbers(self, scale: float, bias: Array | None) -> OfWholeNumbers:
        """The same, rounded; see OfWholeNumbers."""
        return OfWholeNumbers(self, scale, bias, swish=False)

    def then(self, activation: Any) -> Convolution | None:
        """The same with a function behind it."""
        return self._changed(_activation=activation)

    def with_zeros(self, zeros: tuple[int, ...]) -> Convolution:
        """The same with zeros around its results: above and below, and on the left and right."""
        return self._changed(_zeros=zeros)

    def of_padded(self) -> Convolution:
        """The same for images that have their zeros around them."""
        w, *others = self._own
        return self._changed(_own=(w._replace(begin=(0, 0), end=(0, 0)), *others))

    def of_repeated(self, repeats: Sequence[tuple[int, int]]) -> Convolution:
        """The same for parts of which each dot is so many, below and beside each other."""
        return self._changed(_repeats=tuple(repeats))

    def _made(self) -> Conv1d | Conv2d:
        w, shape, weight, bias = self._own
        zeros = w.begin if w.begin == w.end else (0,) * len(w.begin)
        activation = "identity" if self._activation == "swish" else self._activation
        named: dict[str, Any] = {
            "bias": bias is not None,
            "activation": activation,
            "dtype": weight.dtype,
            "groups": shape[1] // weight.shape[1],
        }
        block: Conv1d | Conv2d
        if len(w.kernel) == 1:
            block = Conv1d(
                *(shape[1], len(weight), w.kernel[0]),
                stride=w.strides[0],
                dilation=w.dilations[0],
                padding=zeros[0] or "valid",
                seed=0,
                **named,
            )
        else:
            sides: Any = (w.kernel, w.strides, zeros, w.dilations)
            block = Conv2d(shape[1], len(weight), *sides, seed=0, **named)
        block.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias}))
        return block

    def _bound(self) -> Callable[..., Array]:
        core, swish = self._block._core, self._activation == "swish"
        if not self.parts:
            return self._bound_to(core.swish if swish else core)
        around = self._zeros, self._repeats
        return lambda *images: core.of_parts(images, swish, *around)

    def _bound_to(self, core: Callable[[Array], Array]) -> Callable[[Array], Array]:
        w, shape, weight, _ = self._own
        images = len(w.kernel) == 2
        call = core if images else lambda x: core(x.transpose(2, 0, 1)).transpose(1, 2, 0)
        if w.begin == w.end:
            return call
        spatial = [b + n + e for b, n, e in zip(w.begin, shape[2:], w.end, strict=True)]
        inner = tuple(slice(b, b + n) for b, n in zip(w.begin, shape[2:], strict=True))
        return among_zeros(call, (*shape[:2], *spatial), weight.dtype, inner)


class OfWholeNumbers(Convolution):
    """The same of a kernel of whole numbers, and x rounded to 256 levels."""

    def __init__(self, own: Convolution, scale: float, bias: Array | None, swish: bool) -> None:
        self._own, self._block, self._ending = own._own, own._block, (scale, bias)
        core, self.parts = self._block._core, False
        self.call = self._bound_to(lambda x: core.of_whole_numbers(x, scale, bias, swish))

    def then(self, activation: Any) -> Convolution | None:
        """With SiLU behind it."""
        if activation != "swish":
            return None
        return OfWholeNumbers(self, *self._ending, swish=True)


def prepared(node: Node, x: Array, weight: Array, bias: Array | None = None) -> Convolution | None:
    """What computes Conv for arrays of x's shape; None for those that it does not do."""
    _, kernel = checked(node, x, weight)
    w = windows(node, x.shape[2:], kernel)
    if x.dtype != weight.dtype or x.dtype.name not in ("float32", "float64"):
        return None
    if 0 in x.shape or 0 in w.out or len(kernel) > 2:
        return None
    return Convolution(w, x.shape, weight, bias)


@operator("Conv")
def _conv(node: Node, x: Array, weight: Array, bias: Array | None = None) -> Sequence[Array]:
    return [convolve(node, x, weight, bias)]


@operator("ConvInteger", since=10)
def _conv_integer(
    node: Node, x: Array, weight: Array, x_zero: Array | None = None, w_zero: Array | None = None
) -> Sequence[Array]:
    for array in (x, weight):
        if array.dtype not in (np.int8, np.uint8):
            raise ValueError(f"takes int8 and uint8; got {array.dtype}")
    return [whole_conv(node, x, x_zero, weight, w_zero).astype(np.int32)]


def whole_conv(
    node: Node, x: Array, x_zero: Array | None, weight: Array, w_zero: Array | None
) -> Array:
    """The convolution of whole numbers less their zero points, in floats that hold it exactly."""
    matrix = whole_kernel(weight, w_zero)
    return convolve(node, whole_image(x, x_zero, matrix.dtype), matrix)  # the padding is x_zero


def whole_kernel(weight: Array, zero: Array | None) -> Array:
    """The kernel of a convolution of 8 bits less its zero point, in floats that are exact there."""
    if zero is not None and zero.size not in (1, len(weight)):
        raise ValueError(f"the zero point of w has shape {zero.shape}")
    matrix: Any = weight.astype(np.float32)
    if zero is not None:
        matrix -= zero.astype(np.float32).reshape(-1, *[1] * (weight.ndim - 1))
    # no sum of a row, in whatever order, is larger than this; float32 has all up to 2^24
    largest = 255.0 * np.abs(matrix).reshape(len(matrix), -1).sum(1).max(initial=0)
    return np.asarray(matrix, np.float32 if largest < 1 << 24 else np.float64)


def whole_image(x: Array, zero: Array | None, dtype: np.dtype[Any]) -> Array:
    """What goes with it."""
    room(x.shape, dtype)
    if zero is not None and zero.size != 1:
        raise ValueError(f"the zero point of x has shape {zero.shape}; expected one number")
    numbers_of_x: Any = x.astype(dtype)
    if zero is not None:
        numbers_of_x -= dtype.type(zero.item())
    return np.asarray(numbers_of_x)
