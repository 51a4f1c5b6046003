"""Masks made from x."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..._core import numpy_array
from ...layers._weights import Array
from .._config import Entry
from .._source import Source
from .base import Layer, Masked
from .registry import builds


class Masking(Layer):
    """A mask for the layers that follow: where all numbers of a step are ``mask_value``.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    mask_value : float
        The number.
    dtype : str
        "float32" or "float64".
    """

    keras_class = "Masking"

    def __init__(self, name: str, mask_value: float, dtype: str) -> None:
        self.name, self.mask_value, self.dtype = name, mask_value, dtype

    def __call__(self, x: ArrayLike) -> Array:
        """Make masked steps 0.

        Parameters
        ----------
        x : array_like
            (batch, seq, features).

        Returns
        -------
        ndarray
            The same, with 0 at masked steps.

        Raises
        ------
        TypeError
            For what is not of floating numbers.
        """
        return self._run(x, None)[0]  # type: ignore[no-any-return]

    def _run(self, x: Any, mask: Array | None) -> Masked:
        array = numpy_array("x", x, "floating numbers")
        if array.dtype.kind != "f":
            raise TypeError(f"x has dtype {array.dtype}; expected float32 or float64")
        own: Array = np.any(array != array.dtype.type(self.mask_value), axis=-1)
        return np.where(own[..., None], array, array.dtype.type(0)), own

    def _to_keras(self, keras: Any) -> Any:
        return keras.layers.Masking(self.mask_value, name=self.name, dtype=self.dtype)


@builds("Masking")
def _masking(entry: Entry, source: Source, path: str) -> Masking:
    return Masking(entry.name, entry.number("mask_value"), entry.dtype())
