"""Normalisations: by the mean and variance, or the length, of some axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ...layers._weights import Array
from .._model import Node
from .arguments import axis_within
from .budget import room
from .registry import operator


def _of_channels(values: Array, x: Array, name: str) -> Array:
    """One number for each channel, to go with x."""
    if x.ndim < 2 or values.shape != x.shape[1:2]:
        raise ValueError(f"{name} has shape {values.shape} for x of shape {x.shape}")
    return values.reshape(-1, *[1] * (x.ndim - 2))


@operator("BatchNormalization")
def _batch(
    node: Node, x: Array, scale: Array, bias: Array, mean: Array, var: Array
) -> Sequence[Array]:
    own = node.attributes
    if own.get("spatial", 1) != 1:
        raise ValueError("spatial is 0, which is not supported")
    epsilon = own.get("epsilon", 1e-5)
    running: list[Array] = []
    if own.get("training_mode", 0):
        if x.ndim < 2 or x.size == 0:
            raise ValueError(f"x has shape {x.shape}; expected (batch, channels, ...)")
        axes = (0, *range(2, x.ndim))
        momentum = own.get("momentum", 0.9)
        now = x.mean(axes), x.var(axes)
        running = [
            np.asarray(old * momentum + new * (1 - momentum), old.dtype)
            for old, new in zip((mean, var), now, strict=True)
        ]
        mean, var = (np.asarray(a, x.dtype) for a in now)
    factor = np.asarray(scale / np.sqrt(var + var.dtype.type(epsilon)), x.dtype)
    offset = np.asarray(bias - mean * factor, x.dtype)
    y = x * _of_channels(factor, x, "scale")
    y += _of_channels(offset, x, "mean")
    return [y, *running]


def moments(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """x less its mean, the mean, and the variance, all in x's number of axes."""
    mean = x.mean(axes, keepdims=True, dtype=x.dtype)
    centred = x - mean
    return centred, mean, np.square(centred).mean(axes, keepdims=True, dtype=x.dtype)


def layer_norm(
    x: Array, scale: Array | None, bias: Array | None, axis: int, epsilon: float
) -> tuple[Array, Array, Array]:
    """The normalised x, the means, and one over the deviations."""
    wide = x.astype(np.float32) if x.dtype == np.float16 else x
    axis = axis_within("axis", axis, x.ndim)
    centred, mean, variance = moments(wide, tuple(range(axis, x.ndim)))
    inverse = 1 / np.sqrt(variance + variance.dtype.type(epsilon))
    centred *= inverse
    return _scaled(centred, x, scale, bias), mean, inverse


def _scaled(y: Array, x: Array, scale: Array | None, bias: Array | None) -> Array:
    for values, apply in ((scale, np.multiply), (bias, np.add)):
        if values is not None:
            if np.broadcast_shapes(values.shape, x.shape) != x.shape:
                raise ValueError(f"a weight has shape {values.shape} for x of shape {x.shape}")
            y = apply(y, values)
    return np.asarray(y, x.dtype)


@operator("LayerNormalization")
def _layer(node: Node, x: Array, scale: Array, bias: Array | None = None) -> Sequence[Array]:
    own = node.attributes
    y, mean, inverse = layer_norm(x, scale, bias, own.get("axis", -1), own.get("epsilon", 1e-5))
    return [y, mean, inverse]


def rms_norm(x: Array, scale: Array | None, axis: int, epsilon: float) -> Array:
    wide = x.astype(np.float32) if x.dtype == np.float16 else x
    axes = tuple(range(axis_within("axis", axis, x.ndim), x.ndim))
    square = np.square(wide).mean(axes, keepdims=True, dtype=wide.dtype)
    return _scaled(wide / np.sqrt(square + square.dtype.type(epsilon)), x, scale, None)


@operator("RMSNormalization", "SimplifiedLayerNormalization")
def _rms(node: Node, x: Array, scale: Array) -> Sequence[Array]:
    own = node.attributes
    return [rms_norm(x, scale, own.get("axis", -1), own.get("epsilon", 1e-5))]


@operator("InstanceNormalization")
def _instance(node: Node, x: Array, scale: Array, bias: Array) -> Sequence[Array]:
    centred, _, variance = moments(x, tuple(range(2, x.ndim)))
    centred /= np.sqrt(variance + x.dtype.type(node.attributes.get("epsilon", 1e-5)))
    y = centred * _of_channels(scale, x, "scale") + _of_channels(bias, x, "B")
    return [np.asarray(y, x.dtype)]


@operator("GroupNormalization", since=18)
def _group(node: Node, x: Array, scale: Array, bias: Array) -> Sequence[Array]:
    groups = node.attributes.get("num_groups", 0)
    if x.ndim < 2 or groups < 1 or x.shape[1] % groups:
        raise ValueError(f"num_groups is {groups} for x of shape {x.shape}")
    if len(scale) == groups:  # before opset 21
        scale, bias = (np.repeat(a, x.shape[1] // groups) for a in (scale, bias))
    grouped = x.reshape(x.shape[0], groups, prod(x.shape[1:]) // groups)
    centred, _, variance = moments(grouped, (2,))
    centred /= np.sqrt(variance + x.dtype.type(node.attributes.get("epsilon", 1e-5)))
    y = centred.reshape(x.shape)
    y = y * _of_channels(scale, x, "scale") + _of_channels(bias, x, "bias")
    return [np.asarray(y, x.dtype)]


@operator("MeanVarianceNormalization", since=9)
def _mean_variance(node: Node, x: Array) -> Sequence[Array]:
    axes = node.attributes.get("axes", [0, 2, 3])
    centred, _, variance = moments(x, tuple(axis_within("axes", a, x.ndim) for a in axes))
    return [np.asarray(centred / (np.sqrt(variance) + x.dtype.type(1e-9)), x.dtype)]


@operator("LpNormalization")
def _lp(node: Node, x: Array) -> Sequence[Array]:
    axis, p = (
        axis_within("axis", node.attributes.get("axis", -1), x.ndim),
        node.attributes.get("p", 2),
    )
    if p not in (1, 2):
        raise ValueError(f"p is {p}; expected 1 or 2")
    size = (
        np.abs(x).sum(axis, keepdims=True)
        if p == 1
        else np.sqrt(np.square(x).sum(axis, keepdims=True))
    )
    return [np.asarray(np.divide(x, size, out=np.zeros_like(x), where=size != 0), x.dtype)]


@operator("LRN")
def _local_response(node: Node, x: Array) -> Sequence[Array]:
    own, channels = node.attributes, x.shape[1]
    size = own.get("size", 0)
    if size < 1:
        raise ValueError(f"size is {size}; expected at least 1")
    before, after = min((size - 1) // 2, channels), min(size // 2, channels)
    sums = np.zeros((x.shape[0], channels + before + after + 1, *x.shape[2:]), np.float64)
    room(sums.shape, sums.dtype)
    np.cumsum(np.square(x, dtype=np.float64), 1, out=sums[:, before + 1 : before + 1 + channels])
    sums[:, before + 1 + channels :] = sums[:, before + channels, None]
    total = sums[:, before + after + 1 :] - sums[:, :channels]
    factor = own.get("bias", 1.0) + own.get("alpha", 1e-4) / size * total
    return [np.asarray(x / factor ** own.get("beta", 0.75), x.dtype)]
