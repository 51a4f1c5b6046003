"""Pools of images: of windows, and of all dots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ...layers import AvgPool2d, Block, Columns, MaxPool2d, Pool
from ...layers._weights import Array
from .._config import Entry
from .._places import Place
from .._source import Source
from .._windows import count, filled, pool_around
from .base import ANY, Layer, Masked
from .images import FORMATS, OfImages, both, images_of
from .registry import builds


class Pooling2D(OfImages):
    """MaxPooling2D or AveragePooling2D.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    options : dict of str to object
        Keras's options.
    layer : MaxPool2d or AvgPool2d
        The core's layer, without Keras's padding.
    """

    def __init__(
        self, name: str, keras_class: str, options: Mapping[str, Any], dtype: DTypeLike
    ) -> None:
        self.name, self.keras_class, self.options = name, keras_class, dict(options)
        self._kind: Any = MaxPool2d if keras_class == "MaxPooling2D" else AvgPool2d
        sizes = options["pool_size"], options["strides"]
        self.layer = self._kind(*sizes, batch_first=True, dtype=dtype)

    def _compute(self, x: Any) -> Array:
        if self.options["padding"] == "valid":
            return super()._compute(x)
        sides = self._sides
        pads = self._pads(x, self.options["pool_size"])
        largest = self.keras_class == "MaxPooling2D"
        y = super()._compute(filled(x, sides, pads, -np.inf if largest else 0.0))
        if largest:
            return y
        # The mean of a window is that of the dots in it.
        dots = np.ones_like(x[:1, ..., :1] if self._last else x[:1, :1])
        mean: Array = y / super()._compute(filled(dots, sides, pads, 0.0))
        return mean

    def _sizes(self) -> tuple[int | None, int | None]:
        return None, None if self._last else ANY

    def _chained(self, place: Place, last: bool) -> tuple[list[Block], Place]:
        turned, (*sides, channels) = place.image(self.name, self.options["data_format"])
        zeros = place.zeros or ((0, 0), (0, 0))
        uneven = any(before != behind for before, behind in zeros)
        padding = self.options["padding"]
        mean = self.keras_class == "AveragePooling2D"
        if place.zeros is not None and (uneven or padding == "same" or not mean):
            raise ValueError(
                f"layer {self.name!r} ({self.keras_class}) reads zeros around images, which a "
                "Chain has before a convolution, or as many on both sides before a mean"
            )
        window, stride = (both(self.options[name], turned) for name in ("pool_size", "strides"))
        height, steps = (
            count(n, window[i], stride[i], 1, padding, zeros[i]) for i, n in enumerate(sides)
        )
        after = place.sized(height, steps, channels)
        options: dict[str, Any] = {}
        if padding == "same":
            pads = [pool_around(n, window[i], stride[i]) for i, n in enumerate(sides)]
            if None in pads:
                raise ValueError(
                    f"layer {self.name!r} has padding='same', which a Chain cannot have with this "
                    "pool_size and strides"
                )
            known = [pad for pad in pads if pad is not None]
            options = {
                "padding": (known[0][0], known[1][0]),
                "ceil_mode": known[0][1] or known[1][1],
            }
            if mean:
                options["count_include_pad"] = False
        elif place.zeros is not None:
            options = {"padding": (zeros[0][0], zeros[1][0])}
        elif not turned:
            return [self.layer], after
        block = self._kind(window, stride, **options, batch_first=True, dtype=self.layer.dtype)
        return [block], after


class GlobalPooling2D(Layer):
    """GlobalMaxPooling2D or GlobalAveragePooling2D: one row of all dots of an image.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    data_format : str
        "channels_last" or "channels_first".
    keepdims : bool
        Whether y keeps axes of size 1 for the sides.
    dtype : str
        "float32" or "float64".
    """

    def __init__(
        self, name: str, keras_class: str, data_format: str, keepdims: bool, dtype: str
    ) -> None:
        self.name, self.keras_class, self.dtype = name, keras_class, dtype
        self.data_format, self.keepdims = data_format, keepdims

    def __call__(self, x: ArrayLike) -> Array:
        """Compute what the Keras layer computes.

        Parameters
        ----------
        x : array_like
            Images as the layer's ``data_format`` says.

        Returns
        -------
        ndarray
            (batch, channels), or with ``keepdims`` the sides as axes of size 1.

        Raises
        ------
        ValueError
            For another number of axes.
        """
        array = images_of(x, self.dtype, self.data_format)
        sides = (1, 2) if self.data_format == "channels_last" else (2, 3)
        pool = np.max if self.keras_class == "GlobalMaxPooling2D" else np.mean
        y: Array = pool(array, axis=sides, keepdims=self.keepdims)
        return y

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), None

    def _sizes(self) -> tuple[int | None, int | None]:
        return None, None if self.data_format == "channels_last" else ANY

    def _chained(self, place: Place, last: bool) -> tuple[list[Block], Place]:
        _, (height, _, channels) = place.image(self.name, self.data_format)
        if height is None or place.zeros is not None or self.keepdims:
            what = "keepdims" if self.keepdims else "images of no known height"
            raise ValueError(f"layer {self.name!r} has {what}, which a Chain cannot have")
        options: Any = {"batch_first": True, "dtype": np.dtype(self.dtype)}
        largest = self.keras_class == "GlobalMaxPooling2D"
        column = (MaxPool2d if largest else AvgPool2d)((height, 1), **options)
        rows = Pool("max" if largest else "mean", **options)
        return [column, Columns(**options), rows], Place((channels,))

    def _to_keras(self, keras: Any) -> Any:
        return getattr(keras.layers, self.keras_class)(
            data_format=self.data_format, keepdims=self.keepdims, name=self.name, dtype=self.dtype
        )


@builds("MaxPooling2D", "AveragePooling2D")
def _pooling(entry: Entry, source: Source, path: str) -> Pooling2D:
    size = entry.sizes("pool_size", 2, 2)
    options = {
        "pool_size": size,
        "strides": size if entry.raw("strides") is None else entry.sizes("strides", 2),
        "padding": entry.choice("padding", ("valid", "same"), "valid"),
        "data_format": entry.choice("data_format", FORMATS, FORMATS[0]),
    }
    return Pooling2D(entry.name, entry.keras_class, options, entry.dtype())


@builds("GlobalMaxPooling2D", "GlobalAveragePooling2D")
def _global_pooling(entry: Entry, source: Source, path: str) -> GlobalPooling2D:
    data_format = entry.choice("data_format", FORMATS, FORMATS[0])
    keepdims = entry.flag("keepdims")
    return GlobalPooling2D(entry.name, entry.keras_class, data_format, keepdims, entry.dtype())
