"""Zeros around steps and images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...layers import Block
from ...layers._weights import Array
from .._config import Entry
from .._places import Place
from .._source import Source
from .._windows import filled
from .base import ANY, Layer, Masked, array_of
from .images import FORMATS, images_of
from .registry import builds


class ZeroPadding1D(Layer):
    """Zeros before and behind the steps.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    padding : tuple of int
        How many steps of zeros before and behind.
    dtype : str
        "float32" or "float64".
    """

    keras_class = "ZeroPadding1D"

    def __init__(self, name: str, padding: tuple[int, int], dtype: str) -> None:
        self.name, self.padding, self.dtype = name, padding, dtype

    def __call__(self, x: ArrayLike) -> Array:
        """Put zeros around the steps.

        Parameters
        ----------
        x : array_like
            (batch, seq, features).

        Returns
        -------
        ndarray
            (batch, seq + both paddings, features).

        Raises
        ------
        ValueError
            For another number of axes.
        """
        array = array_of(x, self.dtype, 3, "(batch, seq_len, features)")
        return np.pad(array, [(0, 0), self.padding, (0, 0)])

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), None

    def _to_keras(self, keras: Any) -> Any:
        return keras.layers.ZeroPadding1D(self.padding, name=self.name, dtype=self.dtype)


class ZeroPadding2D(Layer):
    """Zeros around images.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    padding : tuple of tuple of int
        How many zeros before and behind, of height and width.
    data_format : str
        "channels_last" or "channels_first".
    dtype : str
        "float32" or "float64".
    """

    keras_class = "ZeroPadding2D"

    def __init__(
        self,
        name: str,
        padding: tuple[tuple[int, int], tuple[int, int]],
        data_format: str,
        dtype: str,
    ) -> None:
        self.name, self.padding, self.data_format, self.dtype = name, padding, data_format, dtype

    def __call__(self, x: ArrayLike) -> Array:
        """Put zeros around images.

        Parameters
        ----------
        x : array_like
            Images as the layer's ``data_format`` says.

        Returns
        -------
        ndarray
            Larger ones.

        Raises
        ------
        ValueError
            For another number of axes.
        """
        sides = (1, 2) if self.data_format == "channels_last" else (2, 3)
        return filled(images_of(x, self.dtype, self.data_format), sides, self.padding, 0.0)

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), None

    def _sizes(self) -> tuple[int | None, int | None]:
        return None, None if self.data_format == "channels_last" else ANY

    def _chained(self, place: Place, last: bool) -> tuple[list[Block], Place]:
        turned, _ = place.image(self.name, self.data_format)
        own = self.padding[::-1] if turned else self.padding
        before = place.zeros or ((0, 0), (0, 0))
        (a, b), (c, d) = ((x + u, y + v) for (x, y), (u, v) in zip(before, own, strict=True))
        return [], replace(place, zeros=((a, b), (c, d)))

    def _to_keras(self, keras: Any) -> Any:
        return keras.layers.ZeroPadding2D(
            self.padding, data_format=self.data_format, name=self.name, dtype=self.dtype
        )


@builds("ZeroPadding2D")
def _padding_2d(entry: Entry, source: Source, path: str) -> ZeroPadding2D:
    data_format = entry.choice("data_format", FORMATS, FORMATS[0])
    value = entry.raw("padding")
    sides = list(value) if isinstance(value, (list, tuple)) else [value, value]
    pads = [side if isinstance(side, (list, tuple)) else (side, side) for side in sides]
    if len(pads) != 2 or any(
        len(pad) != 2 or any(type(n) is not int or not 0 <= n < 2**40 for n in pad) for pad in pads
    ):
        raise ValueError(
            f"{entry.where}: padding is {str(value)[:80]}; expected a whole number from 0, or two "
            "or two pairs of them"
        )
    (top, bottom), (left, right) = pads
    return ZeroPadding2D(entry.name, ((top, bottom), (left, right)), data_format, entry.dtype())


@builds("ZeroPadding1D")
def _padding(entry: Entry, source: Source, path: str) -> ZeroPadding1D:
    entry.choice("data_format", ("channels_last",), "channels_last")
    return ZeroPadding1D(entry.name, entry.two_sides("padding", 1), entry.dtype())
