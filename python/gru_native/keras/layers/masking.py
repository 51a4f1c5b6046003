"""Masks made from x."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...layers._weights import Array
from .._config import Entry
from .._source import Source
from .base import Layer, Masked
from .registry import builds


class Masking(Layer):
    """Masks the steps at which all numbers are ``mask_value``, and makes these 0."""

    keras_class = "Masking"

    def __init__(self, name: str, mask_value: float, dtype: str) -> None:
        self.name, self.mask_value, self.dtype = name, mask_value, dtype

    def __call__(self, x: ArrayLike) -> Array:
        """x with its masked steps 0."""
        return self._run(x, None)[0]  # type: ignore[no-any-return]

    def _run(self, x: Any, mask: Array | None) -> Masked:
        array = np.asarray(x)
        if array.dtype.kind != "f":
            raise TypeError(f"x has dtype {array.dtype}; expected float32 or float64")
        own: Array = np.any(array != array.dtype.type(self.mask_value), axis=-1)
        return np.where(own[..., None], array, array.dtype.type(0)), own

    def _to_keras(self, keras: Any) -> Any:
        return keras.layers.Masking(self.mask_value, name=self.name, dtype=self.dtype)


@builds("Masking")
def _masking(entry: Entry, source: Source, path: str) -> Masking:
    return Masking(entry.name, entry.number("mask_value"), entry.dtype())
