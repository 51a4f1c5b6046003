"""Numbers of 8 bits with a scale and a zero point: real = (number - zero point) * scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...layers._weights import Array
from .._model import Node
from .budget import room
from .convolution import whole_conv
from .registry import operator

KINDS = (np.uint8, np.int8, np.uint16, np.int16)


def _along(node: Node, x: Array, values: Array, axis: int) -> Array:
    """One of all, one for each index of an axis or for each block of them, to go with x."""
    block = node.attributes.get("block_size", 0)
    if block > 0 and values.ndim == x.ndim and -x.ndim <= axis < x.ndim:
        room([values.size, block], values.dtype)
        repeated = np.repeat(values, block, axis).take(range(x.shape[axis]), axis)
        if repeated.shape == x.shape:
            return repeated
    if values.size == 1:
        return values.reshape(())
    if values.ndim != 1 or not -x.ndim <= axis < x.ndim or len(values) != x.shape[axis]:
        raise ValueError(
            f"a scale or zero point has shape {values.shape}; expected one number, or one for each "
            f"index of axis {axis} of shape {x.shape}"
        )
    shape = [1] * x.ndim
    shape[axis] = len(values)
    return values.reshape(shape)


def _within(numbers: Array, kind: np.dtype[Any]) -> Array:
    limits = np.iinfo(kind)
    return np.clip(numbers, limits.min, limits.max).astype(kind)


@operator("QuantizeLinear", since=10)
def _quantize(node: Node, x: Array, scale: Array, zero_point: Array | None = None) -> list[Array]:
    zero = np.zeros(scale.shape, np.uint8) if zero_point is None else zero_point
    if zero.dtype not in KINDS or x.dtype.kind != "f":
        raise ValueError(f"quantizes {x.dtype} to {zero.dtype}, which is not supported")
    axis = node.attributes.get("axis", 1)
    whole = np.rint(x / _along(node, x, scale, axis))
    return [_within(whole + _along(node, x, zero, axis).astype(np.int32), zero.dtype)]


@operator("DequantizeLinear", since=10)
def _dequantize(node: Node, x: Array, scale: Array, zero_point: Array | None = None) -> list[Array]:
    if x.dtype.kind not in "iu" or scale.dtype.kind != "f":
        raise ValueError(f"makes {scale.dtype} of {x.dtype}, which is not supported")
    room(x.shape, scale.dtype)
    axis = node.attributes.get("axis", 1)
    wide = x.astype(np.int64 if x.itemsize > 2 else np.int32)
    if zero_point is not None:
        wide = wide - _along(node, x, zero_point, axis)
    return [(wide.astype(scale.dtype) * _along(node, x, scale, axis)).astype(scale.dtype)]


@operator("DynamicQuantizeLinear", since=11)
def _dynamic_quantize(node: Node, x: Array) -> Sequence[Array]:
    return dynamic_quantize(x)


def dynamic_quantize(x: Array) -> tuple[Array, Array, Array]:
    """Numbers of 8 bits, their scale and their zero point, as x's range asks."""
    if x.dtype != np.float32:
        raise ValueError(f"x has dtype {x.dtype}; expected float32")
    low, high = x.min(initial=0), x.max(initial=0)
    scale = (high - low) / np.float32(255) or np.float32(1)
    zero = _within(np.rint(-low / scale), np.dtype(np.uint8))
    numbers = np.asarray(x / scale)  # small whole numbers are exact in it
    np.rint(numbers, out=numbers)
    numbers += np.float32(zero)
    np.minimum(numbers, 255, out=numbers)  # none is below 0: rint is odd
    return numbers.astype(np.uint8), np.asarray(scale, np.float32), zero


@operator("MatMulInteger", since=10)
def _matmul_integer(
    node: Node, a: Array, b: Array, a_zero: Array | None = None, b_zero: Array | None = None
) -> list[Array]:
    return [whole_product(a, a_zero, b, b_zero).astype(np.int32)]


def whole_product(a: Array, a_zero: Array | None, b: Array, b_zero: Array | None) -> Array:
    """The product of matrices of 8 bits less their zero points, in floats that hold it exactly."""
    for matrix in (a, b):
        if matrix.dtype not in KINDS[:2]:
            raise ValueError(f"takes int8 and uint8; got {matrix.dtype}")
    exact = np.float32 if a.shape[-1:] < (1 << 8,) else np.float64  # 2^16 each, of 2^24 or 2^53
    rows: Any = a.astype(exact)
    columns: Any = b.astype(exact)
    if a_zero is not None:  # one, or one for each row
        rows -= a_zero.astype(exact)[..., None] if a_zero.ndim else a_zero.astype(exact)
    if b_zero is not None:  # one, or one for each column
        columns -= b_zero.astype(exact)
    if a.ndim > 1 and b.ndim > 1:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        room([*batch, a.shape[-2], b.shape[-1]], np.dtype(exact))
    return np.asarray(np.matmul(rows, columns))


def real(x: Array, scale: Array, zero: Array | None) -> Array:
    """What numbers of 8 bits stand for, with one scale."""
    room(x.shape, np.dtype(np.float32))
    wide = x.astype(np.float32)
    if zero is not None:
        wide -= zero.astype(np.float32)
    return np.asarray(wide * scale.astype(np.float32))


def few_bits(y: Array, scale: Array, zero: Array | None) -> Array:
    """The other way round."""
    zero = np.zeros((), np.uint8) if zero is None else zero
    if zero.dtype not in KINDS:
        raise ValueError(f"makes {zero.dtype}, which is not supported")
    return _within(np.rint(y / scale) + zero.astype(np.float32), zero.dtype)


@operator("QLinearMatMul", since=10)
def _matmul_of_few_bits(
    node: Node,
    a: Array,
    a_scale: Array,
    a_zero: Array,
    b: Array,
    b_scale: Array,
    b_zero: Array,
    y_scale: Array,
    y_zero: Array,
) -> list[Array]:
    y = whole_product(a, a_zero, b, b_zero) * (a_scale * b_scale).astype(np.float64)
    return [few_bits(y, y_scale, y_zero)]


@operator("QLinearConv", since=10)
def _conv_of_few_bits(
    node: Node,
    x: Array,
    x_scale: Array,
    x_zero: Array,
    w: Array,
    w_scale: Array,
    w_zero: Array,
    y_scale: Array,
    y_zero: Array,
    bias: Array | None = None,
) -> list[Array]:
    y = whole_conv(node, x, x_zero, w, w_zero).astype(np.float64)
    each = (-1, *[1] * (w.ndim - 2))
    if bias is not None:
        y += bias.reshape(each)
    y *= (x_scale * w_scale).reshape(each if w_scale.size > 1 else ()).astype(np.float64)
    return [few_bits(y, y_scale, y_zero)]
