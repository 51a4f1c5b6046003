"""Convolutions of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...layers import Block
from ...layers import Conv2d as NativeConv2d
from ...layers._weights import Array
from .._activations import RECURRENT
from .._config import Entry
from .._places import Place
from .._source import Source
from .._windows import always_around, count, filled
from .base import ANY, Shape
from .convolution import Convolution, built, check_output, in_chains, native_kernel
from .images import FORMATS, OfImages, both
from .registry import builds

_MOST_ZEROS = 1000  # by which a kernel grows in a chain


class Conv2D(Convolution, OfImages):
    """A convolution of images, also one of each channel by itself (DepthwiseConv2D).

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    options : dict of str to object
        Keras's options.
    layer : gru_native.Conv2d
        The core's layer. Its padding is "valid" where Keras pads by "same" with strides, which
        depends on the size.
    """

    def __init__(
        self,
        name: str,
        keras_class: str,
        options: Mapping[str, Any],
        in_channels: int,
        arrays: Mapping[str, Array],
    ) -> None:
        self.name, self.keras_class, self.options = name, keras_class, dict(options)
        check_output(name, options["activation"])
        self._pads_by_size = options["padding"] == "same" and max(options["strides"]) > 1
        kernel = native_kernel(keras_class, arrays["kernel"])
        self.layer = NativeConv2d(
            in_channels,
            len(kernel),
            kernel.shape[2:],
            options["strides"],
            "valid" if self._pads_by_size else options["padding"],
            options["dilation_rate"],
            in_channels // kernel.shape[1],
            "bias" in arrays,
            activation=RECURRENT.get(options["activation"], "identity"),
            batch_first=True,
            dtype=kernel.dtype,
            seed=0,
        )
        self._set(arrays.values())

    def _compute(self, x: Any) -> Array:
        if self._pads_by_size:
            x = filled(x, self._sides, self._pads(x, self.options["kernel_size"]), 0.0)
        return self._activated(super()._compute(x))

    def _sizes(self) -> tuple[int | None, int | None]:
        if not self._last:
            return None, ANY
        return self.layer.in_channels, self.layer.out_channels

    def _chained(self, place: Place, last: bool) -> tuple[list[Block], Place]:
        turned, (*sides, channels) = place.image(self.name, self.options["data_format"])
        if channels not in (None, self.layer.in_channels):
            raise ValueError(f"layer {self.name!r} reads {channels} channels")
        in_chains(self.name, self.options["activation"])
        zeros = place.zeros or ((0, 0), (0, 0))
        kernel, stride, dilation = (
            both(self.options[name], turned) for name in ("kernel_size", "strides", "dilation_rate")
        )
        padding = self.options["padding"]
        sizes = [
            count(n, kernel[i], stride[i], dilation[i], padding, zeros[i])
            for i, n in enumerate(sides)
        ]
        after = place.sized(sizes[0], sizes[1], self.layer.out_channels)
        if not turned and not self._pads_by_size and place.zeros is None:
            return [self.layer], after
        weight = self.layer.weights["weight"]
        pads, taps = [], []
        for n, k, s, d, pad in zip(sides, kernel, stride, dilation, zeros, strict=True):
            own: tuple[int, int] | None = (0, 0)
            if padding == "same":
                own = always_around(None if n is None else n + sum(pad), k, s, d)
            if own is None:
                raise ValueError(
                    f"layer {self.name!r} has padding='same' with strides, which depends on the "
                    "number of steps; a Chain cannot have it"
                )
            before, behind = pad[0] + own[0], pad[1] + own[1]
            # Zeros on one side only: as many on both, and a kernel that does not see the surplus.
            surplus = abs(before - behind)
            if surplus % d or surplus > _MOST_ZEROS:
                raise ValueError(
                    f"layer {self.name!r} has {before} zeros before and {behind} behind, and "
                    f"dilation {d}; a Chain cannot have it"
                )
            pads.append(max(before, behind))
            taps.append((surplus // d, 0) if before < behind else (0, surplus // d))
        if turned:
            weight = weight.swapaxes(2, 3)
        weight = filled(weight, (2, 3), taps, 0.0)
        block = NativeConv2d(
            self.layer.in_channels,
            self.layer.out_channels,
            weight.shape[2:],
            stride,
            (pads[0], pads[1]),
            dilation,
            self.layer.groups,
            self.layer.bias,
            activation=self.layer.activation,
            batch_first=True,
            dtype=self.layer.dtype,
            seed=0,
        )
        with block.editing() as w:
            w["weight"] = weight
            if block.bias:
                w["bias"] = self.layer.weights["bias"]
        return [block], after

    def _input_shape(self) -> Shape:
        n = self.layer.in_channels
        return (None, None, None, n) if self._last else (None, n, None, None)


def options_of(entry: Entry) -> dict[str, Any]:
    """What all convolutions of images have."""
    entry.absent("lora_rank")
    strides, dilation = entry.sizes("strides", 2, 1), entry.sizes("dilation_rate", 2, 1)
    if max(strides) > 1 and max(dilation) > 1:
        raise ValueError(f"{entry.where} has strides and dilation_rate; expected one of them")
    return {
        "kernel_size": entry.sizes("kernel_size", 2),
        "strides": strides,
        "dilation_rate": dilation,
        "padding": entry.choice("padding", ("valid", "same"), "valid"),
        "data_format": entry.choice("data_format", FORMATS, FORMATS[0]),
        "activation": entry.activation("activation", "linear"),
        "use_bias": entry.flag("use_bias", True),
    }


@builds("Conv2D", "DepthwiseConv2D")
def _conv(entry: Entry, source: Source, path: str) -> Conv2D:
    return built(Conv2D, entry, source, path, options_of(entry))
