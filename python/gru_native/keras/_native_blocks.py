"""Blocks without a state as layers of Keras, with copies of the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import layers as native
from .._core import a_type
from ..layers._sides import both
from ..layers._weights import Array
from ._activations import keras_name
from .layers import (
    Activation,
    ActivationLayer,
    Conv1D,
    Conv2D,
    Embedding,
    GlobalPooling1D,
    Layer,
    Normalization,
    Pooling1D,
    Pooling2D,
    Reshape,
    ZeroPadding1D,
    ZeroPadding2D,
)

_LAST = "channels_last"
_ALPHAS = {"leaky_relu": ("LeakyReLU", "negative_slope"), "elu": ("ELU", "alpha")}


def layers_of(block: Any, name: str, images: bool, features: int | None) -> list[Layer]:
    """The layers of Keras that compute a block.

    images: whether it reads images, (batch, width, height, channels) in Keras. features: how many
    numbers a step the next block with a size reads. ValueError, naming the option, for what Keras's
    layers do not have.
    """
    for kind, make in _MAKERS.items():
        if isinstance(block, kind):
            return make(block, name, images, features)
    raise TypeError(f"layer has {a_type(block)}, which Keras's layers do not have")


def _refuse(name: str, **options: tuple[Any, Any]) -> None:
    """ValueError for an option that is not as Keras has it: (found, expected)."""
    for option, (found, expected) in options.items():
        if found != expected:
            raise ValueError(
                f"layer {name!r} has {option}={found!r}, which Keras's layers do not have; "
                f"expected {expected!r}"
            )


def _embedding(block: native.Embedding, name: str, *_: Any) -> list[Layer]:
    return [Embedding(name, block.weights["weight"], False)]


def _activation(block: native.Activation, name: str, *_: Any) -> list[Layer]:
    function, dtype = block.name, str(block.dtype)
    if isinstance(function, tuple) and function[0] in _ALPHAS and function[1] != 0.2:
        keras_class, option = _ALPHAS[function[0]]
        return [ActivationLayer(name, keras_class, {option: float(function[1])}, dtype)]
    return [Activation(name, keras_name(f"layer {name!r}", "name", function), dtype)]


def _weights(block: Any, kernel: Array) -> dict[str, Array]:
    arrays = {"kernel": np.ascontiguousarray(kernel)}
    if block.bias:
        arrays["bias"] = block.weights["bias"]
    return arrays


def _conv1d(block: native.Conv1d, name: str, *_: Any) -> list[Layer]:
    options = {
        "filters": block.out_channels,
        "kernel_size": block.kernel_size,
        "strides": block.stride,
        "dilation_rate": block.dilation,
        "groups": block.groups,
        "padding": block.padding if isinstance(block.padding, str) else "valid",
        "activation": keras_name(f"layer {name!r}", "activation", block.activation),
        "use_bias": block.bias,
    }
    if block.stride > 1:
        _refuse(name, dilation=(block.dilation, 1))
    arrays = _weights(block, block.weights["weight"].T)
    conv = Conv1D(name, "Conv1D", options, block.in_channels, arrays)
    if isinstance(block.padding, str) or not block.padding:
        return [conv]
    zeros = block.padding, block.padding
    return [ZeroPadding1D(f"{name}_zeros", zeros, str(block.dtype)), conv]


def _zeros(block: Any, name: str) -> list[Layer]:
    """The zeros around images, if there are any."""
    height, steps = both(block.padding)
    if not height and not steps:
        return []
    pads = (steps, steps), (height, height)
    return [ZeroPadding2D(f"{name}_zeros", pads, _LAST, str(block.dtype))]


def _turned(value: Any) -> tuple[int, int]:
    height, width = both(value)
    return width, height


def _conv2d(block: native.Conv2d, name: str, *_: Any) -> list[Layer]:
    named = isinstance(block.padding, str)
    options = {
        "filters": block.out_channels,
        "kernel_size": _turned(block.kernel_size),
        "strides": _turned(block.stride),
        "dilation_rate": _turned(block.dilation),
        "groups": block.groups,
        "padding": block.padding if named else "valid",
        "data_format": _LAST,
        "activation": keras_name(f"layer {name!r}", "activation", block.activation),
        "use_bias": block.bias,
    }
    if max(_turned(block.stride)) > 1:
        _refuse(name, dilation=(block.dilation, 1))
    arrays = _weights(block, block.weights["weight"].T)  # (width, height, in, out)
    conv = Conv2D(name, "Conv2D", options, block.in_channels, arrays)
    return [conv] if named else [*_zeros(block, name), conv]


def _pool1d(block: Any, name: str, *_: Any) -> list[Layer]:
    options = {"pool_size": block.kernel_size, "strides": block.stride, "padding": "valid"}
    usual: dict[str, Any] = {"dilation": 1, "ceil_mode": False, "divisor_override": None}
    largest = isinstance(block, native.MaxPool1d)
    zeros: list[Layer] = []
    if largest or not getattr(block, "count_include_pad", True):
        usual["padding"] = 0
    elif block.padding:
        pads = block.padding, block.padding
        zeros = [ZeroPadding1D(f"{name}_zeros", pads, str(block.dtype))]
    _refuse(name, **{o: (getattr(block, o, value), value) for o, value in usual.items()})
    keras_class = "MaxPooling1D" if largest else "AveragePooling1D"
    return [*zeros, Pooling1D(name, keras_class, options, block.dtype)]


def _pool2d(block: Any, name: str, *_: Any) -> list[Layer]:
    options = {
        "pool_size": _turned(block.kernel_size),
        "strides": _turned(block.stride),
        "padding": "valid",
        "data_format": _LAST,
    }
    usual: dict[str, Any] = {"dilation": 1, "ceil_mode": False, "divisor_override": None}
    largest = isinstance(block, native.MaxPool2d)
    if largest or not block.count_include_pad:
        usual["padding"] = 0
    _refuse(name, **{o: (getattr(block, o, value), value) for o, value in usual.items()})
    keras_class = "MaxPooling2D" if largest else "AveragePooling2D"
    return [*_zeros(block, name), Pooling2D(name, keras_class, options, block.dtype)]


def _pool(block: native.Pool, name: str, *_: Any) -> list[Layer]:
    keras_class = {"mean": "GlobalAveragePooling1D", "max": "GlobalMaxPooling1D"}[block.kind]
    return [GlobalPooling1D(name, keras_class, False, block.dtype)]


def _norm(block: Any, name: str, *_: Any) -> list[Layer]:
    names = {"weight": "gamma", "bias": "beta"}
    options: dict[str, Any] = {"epsilon": block.eps, "axis": -1}
    keras_class = "LayerNormalization"
    if not isinstance(block, native.LayerNorm):
        names |= {"running_mean": "moving_mean", "running_var": "moving_variance"}
        options["momentum"] = 1 - block.momentum
        keras_class = "BatchNormalization"
    elif not block.elementwise_affine:
        _refuse(name, elementwise_affine=(False, True))
    own = block.weights
    arrays = {theirs: own[ours] for ours, theirs in names.items() if ours in own}
    options |= {"scale": "gamma" in arrays, "center": "beta" in arrays}
    return [Normalization(name, keras_class, options, arrays)]


def _image(block: native.Image, name: str, images: bool, features: int | None) -> list[Layer]:
    if block.features is None:
        raise ValueError(f"layer {name!r} has features=None; Keras's layers have to know it")
    options = {"target_shape": (-1, block.features, 1)}
    return [Reshape(name, "Reshape", options, str(block.dtype))]


def _columns(block: native.Columns, name: str, images: bool, features: int | None) -> list[Layer]:
    if features is None:
        raise ValueError(
            f"layer {name!r} has columns of any size; Keras's layers have to know it: expected a "
            "block behind it that has a size"
        )
    dtype = str(block.dtype)
    return [
        Reshape(f"{name}_channels", "Permute", {"dims": (1, 3, 2)}, dtype),
        Reshape(name, "Reshape", {"target_shape": (-1, features)}, dtype),
    ]


_MAKERS: dict[Any, Callable[..., list[Layer]]] = {
    native.Embedding: _embedding,
    native.Activation: _activation,
    native.Conv1d: _conv1d,
    native.Conv2d: _conv2d,
    (native.MaxPool1d, native.AvgPool1d): _pool1d,
    (native.MaxPool2d, native.AvgPool2d): _pool2d,
    native.Pool: _pool,
    (native.BatchNorm1d, native.BatchNorm2d, native.LayerNorm): _norm,
    native.Image: _image,
    native.Columns: _columns,
}
