"""Convolutions over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ...layers import Block
from ...layers import Conv1d as NativeConv1d
from ...layers._weights import Array
from .._activations import OUTPUT, RECURRENT, check_keras_3
from .._config import Entry
from .._source import Source, take
from .base import Shape
from .operation import Operation
from .registry import builds

PADDINGS = ("valid", "same", "causal")


class Conv1D(Operation):
    """A convolution over time.

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

    keras_class = "Conv1D"

    def __init__(
        self, name: str, options: Mapping[str, Any], in_channels: int, arrays: Mapping[str, Array]
    ) -> None:
        self.name, self.options = name, dict(options)
        activation, padding = options["activation"], options["padding"]
        if activation not in OUTPUT:
            raise ValueError(
                f"layer {name!r}: activation is {activation!r}; expected one of {', '.join(OUTPUT)}"
            )
        self._pads_by_length = padding == "same" and options["strides"] > 1
        self.layer = NativeConv1d(
            in_channels,
            options["filters"],
            options["kernel_size"],
            stride=options["strides"],
            dilation=options["dilation_rate"],
            groups=options["groups"],
            padding=self._native_padding(),
            bias="bias" in arrays,
            activation=RECURRENT.get(activation, "identity"),
            batch_first=True,
            dtype=arrays["kernel"].dtype,
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
            x = np.pad(x, same_padding(x, self.options, "kernel_size"))
        y = super()._compute(x)
        activation = self.options["activation"]
        return y if activation in RECURRENT else OUTPUT[activation](y)

    def _native_arrays(self) -> Iterator[tuple[str, Array]]:
        yield "weight", np.ascontiguousarray(self.layer.weights["weight"].T)
        if self.layer.bias:
            yield "bias", self.layer.weights["bias"]

    def _to_native(self, name: str, array: Array) -> Array:
        return array.T  # (kernel, in, out) in Keras, (out, in, kernel) here

    def _blocks(self, last: bool) -> list[Block]:
        activation = self.options["activation"]
        if self._pads_by_length:
            raise ValueError(
                f"layer {self.name!r} has padding='same' with strides, which a Chain cannot have"
            )
        if activation not in RECURRENT:
            raise ValueError(
                f"layer {self.name!r} has activation {activation!r}, which a Chain cannot have; "
                f"expected one of {', '.join(RECURRENT)}"
            )
        return [self.layer]

    def _input_shape(self) -> Shape:
        return (None, None, self.layer.in_channels)

    def _to_keras(self, keras: Any) -> Any:
        check_keras_3(f"layer {self.name!r}", self.options["activation"])
        return super()._to_keras(keras)


def same_padding(x: Array, options: Mapping[str, Any], window: str) -> list[tuple[int, int]]:
    """What "same" adds to each axis: as much as makes ceil(steps / strides) windows."""
    steps, stride = x.shape[1], options["strides"]
    reach = options.get("dilation_rate", 1) * (options[window] - 1) + 1
    missing = max(0, (-(-steps // stride) - 1) * stride + reach - steps)
    return [(0, 0), (missing // 2, missing - missing // 2), (0, 0)]


@builds("Conv1D")
def _conv(entry: Entry, source: Source, path: str) -> Conv1D:
    entry.absent("lora_rank")
    entry.choice("data_format", ("channels_last",), "channels_last")
    options = {name: entry.size(name) for name in ("filters", "kernel_size")}
    options |= {name: entry.size(name, 1) for name in ("strides", "dilation_rate", "groups")}
    filters, groups = options["filters"], options["groups"]
    if filters % groups:
        raise ValueError(f"{entry.where}: groups is {groups}, which does not divide {filters}")
    named: dict[str, Any] = {
        **options,
        "padding": entry.choice("padding", PADDINGS, "valid"),
        "activation": entry.activation("activation", "linear"),
        "use_bias": entry.flag("use_bias", True),
    }
    kernel = (options["kernel_size"], None, filters)
    arrays = {"kernel": take(source, f"{path}vars/0", "kernel", kernel, entry.dtype())}
    if named["use_bias"]:
        arrays["bias"] = take(source, f"{path}vars/1", "bias", (filters,), entry.dtype())
    source.close_vars(f"{path}vars", len(arrays))
    return Conv1D(entry.name, named, groups * arrays["kernel"].shape[1], arrays)
