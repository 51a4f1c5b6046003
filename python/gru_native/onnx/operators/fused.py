"""ONNX Runtime's own operators (com.microsoft), which its optimiser and its quantiser write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...layers import _functions as functions
from ...layers._weights import Array
from .._model import RUNTIME, Node
from .budget import room, room_for_all
from .convolution import convolve
from .error_function import gelu
from .normalization import layer_norm, rms_norm
from .quantized import dynamic_quantize, few_bits, real, whole_product
from .registry import operator

_ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "Relu": functions.relu,
    "Sigmoid": functions.sigmoid,
    "Tanh": np.tanh,
    "LeakyRelu": functions.leaky_relu,
    "Clip": np.clip,
    "HardSigmoid": functions.hard_sigmoid,
}


def _activated(y: Array, name: str, numbers: Sequence[float]) -> Array:
    if not name:
        return y
    if name not in _ACTIVATIONS:
        raise ValueError(f"activation is {name!r}; expected {', '.join(_ACTIVATIONS)}")
    needed = {"LeakyRelu": 1, "Clip": 2, "HardSigmoid": 2}.get(name, 0)
    if len(numbers) < needed:
        raise ValueError(f"activation {name} has {len(numbers)} numbers; expected {needed}")
    own = [y.dtype.type(n) for n in numbers[:needed]]
    return np.asarray(_ACTIVATIONS[name](y, *own), y.dtype)


@operator("FusedConv", domain=RUNTIME)
def _fused_conv(
    node: Node, x: Array, weight: Array, bias: Array | None = None, z: Array | None = None
) -> Sequence[Array]:
    y = convolve(node, x, weight, bias)
    if z is not None:
        if z.shape != y.shape:
            raise ValueError(f"Z has shape {z.shape}; expected {y.shape}")
        y += z
    own = node.attributes
    return [_activated(y, own.get("activation", ""), own.get("activation_params", []))]


@operator("FusedMatMul", "TransposeMatMul", domain=RUNTIME)
def _fused_matmul(node: Node, a: Array, b: Array) -> Sequence[Array]:
    own = node.attributes
    for which, array in (("A", a), ("B", b)):
        if array.ndim > 1:
            if own.get(f"transBatch{which}", 0):
                array = np.moveaxis(array, 0, -2)
            if own.get(f"trans{which}", 0):
                array = array.swapaxes(-1, -2)
        a, b = (array, b) if which == "A" else (a, array)
    if a.ndim > 1 and b.ndim > 1:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        room([*batch, a.shape[-2], b.shape[-1]], a.dtype)
    return [np.asarray(np.matmul(a, b) * a.dtype.type(own.get("alpha", 1.0)))]


@operator("FusedGemm", domain=RUNTIME)
def _fused_gemm(node: Node, a: Array, b: Array, c: Array | None = None) -> Sequence[Array]:
    own = node.attributes
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError(f"takes matrices; got shapes {a.shape} and {b.shape}")
    a, b = (a.T if own.get("transA", 0) else a), (b.T if own.get("transB", 0) else b)
    room([a.shape[0], b.shape[1]], a.dtype)
    y = a.dtype.type(own.get("alpha", 1.0)) * (a @ b)
    if c is not None:
        room_for_all(y, c)
        y = y + y.dtype.type(own.get("beta", 1.0)) * c
    numbers = [own[n] for n in ("activation_alpha", "activation_beta") if n in own]
    return [_activated(y, own.get("activation", ""), numbers)]


@operator("BiasGelu", domain=RUNTIME)
def _bias_gelu(node: Node, x: Array, bias: Array) -> Sequence[Array]:
    room_for_all(x, bias)
    return [gelu(x + bias, approximate=False)]


@operator("FastGelu", domain=RUNTIME)
def _fast_gelu(node: Node, x: Array, bias: Array | None = None) -> Sequence[Array]:
    if bias is not None:
        room_for_all(x, bias)
        x = x + bias
    return [gelu(x, approximate=True)]


@operator("SkipLayerNormalization", domain=RUNTIME)
def _skip_layer_norm(
    node: Node,
    x: Array,
    skip: Array,
    gamma: Array,
    beta: Array | None = None,
    bias: Array | None = None,
) -> Sequence[Any]:
    total = _sum(x, skip, bias)
    y, mean, inverse = layer_norm(total, gamma, beta, -1, node.attributes.get("epsilon", 1e-12))
    return [y, mean, inverse, total]


@operator("SkipSimplifiedLayerNormalization", domain=RUNTIME)
def _skip_rms_norm(
    node: Node, x: Array, skip: Array, gamma: Array, bias: Array | None = None
) -> Sequence[Any]:
    total = _sum(x, skip, bias)
    y = rms_norm(total, gamma, -1, node.attributes.get("epsilon", 1e-12))
    empty = np.zeros(0, x.dtype)  # which ONNX Runtime does not fill either
    return [y, empty, empty, total]


def _sum(x: Array, skip: Array, bias: Array | None) -> Array:
    room_for_all(x, skip)
    total = x + skip
    return total if bias is None else np.asarray(total + bias)


@operator("DynamicQuantizeMatMul", domain=RUNTIME)
def _dynamic_product(
    node: Node,
    a: Array,
    b: Array,
    b_scale: Array,
    b_zero: Array | None = None,
    bias: Array | None = None,
) -> Sequence[Array]:
    q, scale, zero = dynamic_quantize(a)
    y = whole_product(q, zero, b, b_zero) * (scale * b_scale)
    return [np.asarray(y if bias is None else y + bias, np.float32)]


@operator("MatMulIntegerToFloat", domain=RUNTIME)
def _integer_product_to_float(
    node: Node,
    a: Array,
    b: Array,
    a_scale: Array,
    b_scale: Array,
    a_zero: Array | None = None,
    b_zero: Array | None = None,
    bias: Array | None = None,
) -> Sequence[Array]:
    y = whole_product(a, a_zero, b, b_zero) * (a_scale * b_scale)
    return [np.asarray(y if bias is None else y + bias, np.float32)]


@operator("QLinearAdd", "QLinearMul", domain=RUNTIME)
def _of_two(
    node: Node,
    a: Array,
    a_scale: Array,
    a_zero: Array | None,
    b: Array,
    b_scale: Array,
    b_zero: Array | None,
    y_scale: Array,
    y_zero: Array | None = None,
) -> Sequence[Array]:
    room(np.broadcast_shapes(a.shape, b.shape), np.dtype(np.float32))
    first, second = real(a, a_scale, a_zero), real(b, b_scale, b_zero)
    y = first + second if node.op.endswith("Add") else first * second
    return [few_bits(y, y_scale, y_zero)]


@operator("QLinearSigmoid", "QLinearLeakyRelu", domain=RUNTIME)
def _of_one(
    node: Node,
    x: Array,
    x_scale: Array,
    x_zero: Array | None,
    y_scale: Array,
    y_zero: Array | None = None,
) -> Sequence[Array]:
    numbers = real(x, x_scale, x_zero)
    if node.op.endswith("Sigmoid"):
        return [few_bits(functions.sigmoid(numbers), y_scale, y_zero)]
    alpha = node.attributes.get("alpha", 0.01)
    return [few_bits(functions.leaky_relu(numbers, alpha), y_scale, y_zero)]


@operator("QLinearGlobalAveragePool", domain=RUNTIME)
def _average(
    node: Node,
    x: Array,
    x_scale: Array,
    x_zero: Array | None,
    y_scale: Array,
    y_zero: Array | None = None,
) -> Sequence[Array]:
    last = node.attributes.get("channels_last", 0)
    axes = tuple(range(1, x.ndim - 1) if last else range(2, x.ndim))
    return [few_bits(real(x, x_scale, x_zero).mean(axes, keepdims=True), y_scale, y_zero)]
