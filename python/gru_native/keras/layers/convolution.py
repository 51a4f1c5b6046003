"""Convolutions over time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from ...layers import Block
from ...layers import Conv1d as NativeConv1d
from ...layers._weights import Array
from .._activations import OUTPUT, RECURRENT, check_keras_3
from .._config import Entry
from .._source import Source, take
from .._windows import around, filled
from .base import Shape
from .operation import Operation
from .registry import builds

PADDINGS = ("valid", "same", "causal")


def native_kernel(keras_class: str, kernel: Array) -> Array:
    """(sides..., in / groups, out) as (out, in / groups, sides...).

    The kernel of a depthwise one is (sides..., in, multiplier), and makes in * multiplier of one.
    """
    moved = np.moveaxis(kernel, (-1, -2), (0, 1))
    if not keras_class.startswith("Depthwise"):
        return np.ascontiguousarray(moved)
    return moved.swapaxes(0, 1).reshape(-1, 1, *moved.shape[2:])


def kernel_of(keras_class: str, weight: Array, in_channels: int) -> Array:
    """The way back."""
    if keras_class.startswith("Depthwise"):
        weight = weight.reshape(in_channels, -1, *weight.shape[2:]).swapaxes(0, 1)
    return np.ascontiguousarray(np.moveaxis(weight, (0, 1), (-1, -2)))


def depthwise_name(entry: Entry) -> str:
    """What a depthwise kernel is called in files."""
    return "depthwise_kernel" if entry.keras_2 else "kernel"


def check_output(name: str, activation: str) -> None:
    """ValueError for a function that no layer has."""
    if activation not in OUTPUT:
        raise ValueError(
            f"layer {name!r}: activation is {activation!r}; expected one of {', '.join(OUTPUT)}"
        )


def in_chains(name: str, activation: str) -> None:
    """ValueError for a function that blocks of a Chain do not have."""
    if activation not in RECURRENT:
        raise ValueError(
            f"layer {name!r} has activation {activation!r}, which a Chain cannot have; "
            f"expected one of {', '.join(RECURRENT)}"
        )


class Convolution(Operation):
    """What convolutions over time and of images have in common."""

    def _activated(self, y: Array) -> Array:
        """y as it is, where the core's layer has the function."""
        activation = self.options["activation"]
        return y if activation in RECURRENT else OUTPUT[activation](y)

    def _native_arrays(self) -> Iterator[tuple[str, Array]]:
        weight = self.layer.weights["weight"]
        yield "weight", kernel_of(self.keras_class, weight, self.layer.in_channels)
        if self.layer.bias:
            yield "bias", self.layer.weights["bias"]

    def _to_native(self, name: str, array: Array) -> Array:
        return native_kernel(self.keras_class, array) if name == "weight" else array

    def _to_keras(self, keras: Any) -> Any:
        check_keras_3(f"layer {self.name!r}", self.options["activation"])
        return super()._to_keras(keras)


class Conv1D(Convolution):
    """A convolution over time, also one of each feature by itself (DepthwiseConv1D).

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    options : dict of str to object
        Keras's options.
    layer : gru_native.Conv1d
        The core's layer, with ``batch_first``. Its padding is "valid" where Keras pads by "same"
        with strides, which depends on the length.
    """

    _keeps_steps = False

    def __init__(
        self,
        name: str,
        keras_class: str,
        options: Mapping[str, Any],
        in_channels: int,
        arrays: Mapping[str, Array],
    ) -> None:
        self.name, self.keras_class, self.options = name, keras_class, dict(options)
        activation, padding = options["activation"], options["padding"]
        check_output(name, activation)
        self._pads_by_length = padding == "same" and options["strides"] > 1
        kernel = native_kernel(keras_class, arrays["kernel"])
        self.layer = NativeConv1d(
            in_channels,
            len(kernel),
            options["kernel_size"],
            stride=options["strides"],
            dilation=options["dilation_rate"],
            groups=in_channels // kernel.shape[1],
            padding=self._native_padding(),
            bias="bias" in arrays,
            activation=RECURRENT.get(activation, "identity"),
            batch_first=True,
            dtype=kernel.dtype,
            seed=0,
        )
        self._set(arrays.values())

    def _native_padding(self) -> str:
        if self._pads_by_length:
            return "valid"
        if self.options["kernel_size"] == 1:
            return "causal"  # the same, and it streams within branches
        return str(self.options["padding"])

    def _compute(self, x: Any) -> Array:
        if self._pads_by_length:
            own = around(x.shape[1], self.options["kernel_size"], self.options["strides"])
            x = filled(x, (1,), (own,), 0.0)
        return self._activated(super()._compute(x))

    def _blocks(self, last: bool) -> list[Block]:
        activation = self.options["activation"]
        if self._pads_by_length:
            raise ValueError(
                f"layer {self.name!r} has padding='same' with strides, which a Chain cannot have"
            )
        in_chains(self.name, activation)
        return [self.layer]

    def _input_shape(self) -> Shape:
        return (None, None, self.layer.in_channels)


def options_of(entry: Entry, paddings: tuple[str, ...]) -> dict[str, Any]:
    """What all convolutions over time have."""
    entry.absent("lora_rank")
    entry.choice("data_format", ("channels_last",), "channels_last")
    return {
        "kernel_size": entry.size("kernel_size"),
        "strides": entry.size("strides", 1),
        "dilation_rate": entry.size("dilation_rate", 1),
        "padding": entry.choice("padding", paddings, "valid"),
        "activation": entry.activation("activation", "linear"),
        "use_bias": entry.flag("use_bias", True),
    }


C = TypeVar("C", bound=Convolution)


def built(
    kind: Callable[[str, str, dict[str, Any], int, dict[str, Array]], C],
    entry: Entry,
    source: Source,
    path: str,
    options: dict[str, Any],
) -> C:
    """A convolution, or one of each channel by itself, from its tensors."""
    depthwise = entry.keras_class.startswith("Depthwise")
    if depthwise:
        name, last, groups = depthwise_name(entry), entry.size("depth_multiplier", 1), 1
        options = {**options, "depth_multiplier": last}
    else:
        name, last, groups = "kernel", entry.size("filters"), entry.size("groups", 1)
        options = {**options, "filters": last, "groups": groups}
        if last % groups:
            raise ValueError(f"{entry.where}: groups is {groups}, which does not divide {last}")
    size = options["kernel_size"]
    shape = (*(size if isinstance(size, tuple) else (size,)), None, last)
    kernel = take(source, f"{path}vars/0", name, shape, entry.dtype())
    in_channels, arrays = groups * kernel.shape[-2], {"kernel": kernel}
    if options["use_bias"]:
        bias = (in_channels * last if depthwise else last,)
        arrays["bias"] = take(source, f"{path}vars/1", "bias", bias, entry.dtype())
    source.close_vars(f"{path}vars", len(arrays))
    return kind(entry.name, entry.keras_class, options, in_channels, arrays)


@builds("Conv1D")
def _conv(entry: Entry, source: Source, path: str) -> Conv1D:
    return built(Conv1D, entry, source, path, options_of(entry, PADDINGS))


@builds("DepthwiseConv1D")
def _depthwise(entry: Entry, source: Source, path: str) -> Conv1D:
    return built(Conv1D, entry, source, path, options_of(entry, PADDINGS[:2]))
