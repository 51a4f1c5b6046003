"""Separable convolutions: one of each channel by itself, then one of all channels at each place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import ArrayLike

from ...layers import Block
from ...layers._weights import Array
from .._activations import check_keras_3
from .._assignment import Assignment
from .._config import Entry
from .._places import Place
from .._source import Source, take
from . import convolution, convolution2d
from .base import Layer, Masked, Shape
from .convolution import PADDINGS, Conv1D
from .convolution2d import Conv2D
from .registry import builds


class SeparableConv(Layer):
    """SeparableConv1D or SeparableConv2D.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    options : dict of str to object
        Keras's options.
    depthwise : Conv1D or Conv2D
        The convolution of each channel by itself, without a bias.
    pointwise : Conv1D or Conv2D
        That of all channels at each place.
    """

    def __init__(
        self, name: str, keras_class: str, options: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> None:
        self.name, self.keras_class, self.options = name, keras_class, dict(options)
        plain = {**options, "use_bias": False, "activation": "linear"}
        depthwise = arrays["depthwise_kernel"]
        ones = (1, 1) if depthwise.ndim == 4 else 1
        point = {
            **options,
            "kernel_size": ones,
            "strides": ones,
            "dilation_rate": ones,
            "padding": "valid",
        }
        kind: Any = Conv1D if depthwise.ndim == 3 else Conv2D
        end = keras_class[-2:]
        self.depthwise = kind(
            name,
            f"DepthwiseConv{end}",
            plain,
            depthwise.shape[-2],
            {"kernel": depthwise},
        )
        others = {"kernel": arrays["pointwise_kernel"]}
        if "bias" in arrays:
            others["bias"] = arrays["bias"]
        inner = others["kernel"].shape[-2]
        self.pointwise = kind(name, f"Conv{end}", point, inner, others)

    def __call__(self, x: ArrayLike) -> Array:
        """Compute what the Keras layer computes.

        Parameters
        ----------
        x : array_like
            (batch, seq, features), or images as the layer's ``data_format`` says.

        Returns
        -------
        ndarray
            The outputs.

        Raises
        ------
        ValueError
            For wrong shapes; the text names the argument.
        TypeError
            For another dtype.
        """
        y: Array = self.pointwise(self.depthwise(x))
        return y

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), None

    def _tensors(self) -> Iterator[tuple[str, Array]]:
        arrays = [own for part in (self.depthwise, self.pointwise) for _, own in part._tensors()]
        for i, array in enumerate(arrays):
            yield f"vars/{i}", array

    def _assign(self, arrays: Iterator[Array], into: Assignment) -> None:
        self.depthwise._assign(arrays, into)
        self.pointwise._assign(arrays, into)

    def _sizes(self) -> tuple[int | None, int | None]:
        return self.depthwise._sizes()[0], self.pointwise._sizes()[1]

    def _chained(self, place: Place, last: bool) -> tuple[list[Block], Place]:
        first, place = self.depthwise._chained(place, last)
        second, place = self.pointwise._chained(place, last)
        return [*first, *second], place

    def _input_shape(self) -> Shape:
        shape: Shape = self.depthwise._input_shape()
        return shape

    def _to_keras(self, keras: Any) -> Any:
        check_keras_3(f"layer {self.name!r}", self.options["activation"])
        kind = getattr(keras.layers, self.keras_class)
        return kind(**self.options, name=self.name, dtype=str(self.depthwise.layer.dtype))

    def __repr__(self) -> str:
        return f"SeparableConv({self.name!r}, {self.depthwise.layer}, {self.pointwise.layer})"


@builds("SeparableConv1D", "SeparableConv2D")
def _separable(entry: Entry, source: Source, path: str) -> SeparableConv:
    if entry.keras_class == "SeparableConv1D":
        options = convolution.options_of(entry, PADDINGS)
        window: tuple[int, ...] = (options["kernel_size"],)
    else:
        options = convolution2d.options_of(entry)
        window = options["kernel_size"]
    filters, times = entry.size("filters"), entry.size("depth_multiplier", 1)
    options |= {"filters": filters, "depth_multiplier": times}
    dtype = entry.dtype()
    kernel = take(source, f"{path}vars/0", "depthwise_kernel", (*window, None, times), dtype)
    arrays = {"depthwise_kernel": kernel}
    ones = (1,) * len(window)
    shape = (*ones, kernel.shape[-2] * times, filters)
    arrays["pointwise_kernel"] = take(source, f"{path}vars/1", "pointwise_kernel", shape, dtype)
    if options["use_bias"]:
        arrays["bias"] = take(source, f"{path}vars/2", "bias", (filters,), dtype)
    source.close_vars(f"{path}vars", len(arrays))
    return SeparableConv(entry.name, entry.keras_class, options, arrays)
