"""Pools over time: of windows, and of all steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ...layers import AvgPool1d, Block, MaxPool1d, Pool
from ...layers._weights import Array
from .._config import Entry
from .._places import Place
from .._source import Source
from .._windows import around, filled
from .base import Masked, array_of
from .operation import Operation
from .registry import builds


class Pooling1D(Operation):
    """MaxPooling1D or AveragePooling1D.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    options : dict of str to object
        Keras's options.
    layer : MaxPool1d or AvgPool1d
        The core's layer, with ``batch_first``, without Keras's padding.
    """

    _keeps_steps = False

    def __init__(
        self, name: str, keras_class: str, options: Mapping[str, Any], dtype: DTypeLike
    ) -> None:
        self.name, self.keras_class, self.options = name, keras_class, dict(options)
        kind: Any = MaxPool1d if keras_class == "MaxPooling1D" else AvgPool1d
        self.layer = kind(options["pool_size"], options["strides"], batch_first=True, dtype=dtype)

    def _compute(self, x: Any) -> Array:
        if self.options["padding"] == "valid":
            return super()._compute(x)
        pads = [around(x.shape[1], self.options["pool_size"], self.options["strides"])]
        largest = self.keras_class == "MaxPooling1D"
        y = super()._compute(filled(x, (1,), pads, -np.inf if largest else 0.0))
        if largest:
            return y
        # The mean of a window is that of the steps in it.
        steps = filled(np.ones_like(x[:1, :, :1]), (1,), pads, 0.0)
        mean: Array = y / super()._compute(steps)
        return mean

    def _blocks(self, last: bool) -> list[Block]:
        if self.options["padding"] != "valid":
            raise ValueError(f"layer {self.name!r} has padding='same', which a Chain cannot have")
        return super()._blocks(last)


class GlobalPooling1D(Operation):
    """GlobalMaxPooling1D or GlobalAveragePooling1D: one row of all steps.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    options : dict of str to object
        Keras's options.
    layer : Pool
        The core's layer, with ``batch_first``.
    """

    _reads_masks = True

    def __init__(self, name: str, keras_class: str, keepdims: bool, dtype: DTypeLike) -> None:
        self.name, self.keras_class, self.options = name, keras_class, {"keepdims": keepdims}
        kind = "max" if keras_class == "GlobalMaxPooling1D" else "mean"
        self.layer = Pool(kind, batch_first=True, dtype=dtype)

    def __call__(self, x: ArrayLike, *, mask: ArrayLike | None = None) -> Array:
        """Compute what the Keras layer computes.

        Parameters
        ----------
        x : array_like
            (batch, seq, features).
        mask : array_like of bool, optional
            (batch, seq): False leaves a step out of the mean. A maximum has no mask in Keras.

        Returns
        -------
        ndarray
            (batch, features), or with ``keepdims`` (batch, 1, features).

        Raises
        ------
        ValueError
            For wrong shapes; the text names the argument.
        TypeError
            For another dtype.
        """
        if mask is None or self.layer.kind == "max":
            y = super().__call__(x)
        else:
            array = array_of(x, str(self.layer.dtype), 3, "(batch, seq_len, features)")
            known = np.asarray(mask, array.dtype)[..., None]
            if known.shape != (*array.shape[:2], 1):
                raise ValueError(
                    f"mask has shape {known.shape[:-1]}; expected {array.shape[:2]}, that of x"
                )
            with np.errstate(invalid="ignore"):  # a row without steps is NaN, as in Keras
                y = (array * known).sum(1) / known.sum(1)
        return y[:, None] if self.options["keepdims"] else y

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x, mask=mask), None

    def _behind(self, place: Place) -> Place:
        return replace(place, shape=None if place.shape is None else place.shape[-1:])

    def _blocks(self, last: bool) -> list[Block]:
        if self.options["keepdims"]:
            raise ValueError(f"layer {self.name!r} has keepdims, which a Chain cannot have")
        return super()._blocks(last)


@builds("MaxPooling1D", "AveragePooling1D")
def _pooling(entry: Entry, source: Source, path: str) -> Pooling1D:
    entry.choice("data_format", ("channels_last",), "channels_last")
    size = entry.size("pool_size", 2)
    strides = size if entry.raw("strides") is None else entry.size("strides")
    padding = entry.choice("padding", ("valid", "same"), "valid")
    options = {"pool_size": size, "strides": strides, "padding": padding}
    return Pooling1D(entry.name, entry.keras_class, options, entry.dtype())


@builds("GlobalMaxPooling1D", "GlobalAveragePooling1D")
def _global_pooling(entry: Entry, source: Source, path: str) -> GlobalPooling1D:
    entry.choice("data_format", ("channels_last",), "channels_last")
    return GlobalPooling1D(entry.name, entry.keras_class, entry.flag("keepdims"), entry.dtype())
