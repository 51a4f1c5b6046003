"""Zeros around steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...layers._weights import Array
from .._config import Entry
from .._source import Source
from .base import Layer, Masked, array_of
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


@builds("ZeroPadding1D")
def _padding(entry: Entry, source: Source, path: str) -> ZeroPadding1D:
    entry.choice("data_format", ("channels_last",), "channels_last")
    return ZeroPadding1D(entry.name, entry.two_sides("padding", 1), entry.dtype())
