"""Other shapes of the same numbers: Reshape, Permute and Flatten."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..._core import numpy_array
from ...layers import Block, Columns, Image
from ...layers._weights import Array
from .._config import Entry
from .._places import Axes, Place, Sizes
from .._source import Source
from .base import ANY, Layer, Masked
from .images import FORMATS
from .registry import builds


class Reshape(Layer):
    """Reshape, Permute or Flatten.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    options : dict of str to object
        Keras's options.
    dtype : str
        "float32" or "float64".
    """

    def __init__(self, name: str, keras_class: str, options: Mapping[str, Any], dtype: str) -> None:
        self.name, self.keras_class, self.options = name, keras_class, dict(options)
        self.dtype = dtype

    def __call__(self, x: ArrayLike) -> Array:
        """Give the numbers another shape.

        Parameters
        ----------
        x : array_like
            (batch, ...).

        Returns
        -------
        ndarray
            The same numbers.

        Raises
        ------
        ValueError
            For shapes that do not go together.
        """
        array = numpy_array("x", x, "numbers")
        if self.keras_class == "Permute":
            dims = self.options["dims"]
            if array.ndim != len(dims) + 1:
                raise ValueError(f"x has shape {array.shape}; expected {len(dims) + 1} axes")
            return array.transpose(0, *dims)
        if not array.ndim:
            raise ValueError("x has shape (); expected (batch, ...)")
        if self.keras_class == "Flatten":
            if self.options["data_format"] == "channels_first" and array.ndim > 1:
                array = np.moveaxis(array, 1, -1)
            return array.reshape(len(array), prod(array.shape[1:]))
        target, numbers = self.options["target_shape"], prod(array.shape[1:])
        known = prod(n for n in target if n != -1)
        if numbers % known if -1 in target else numbers != known:
            sizes = ", ".join(map(str, target))
            raise ValueError(f"x has shape {array.shape}, which cannot become (batch, {sizes})")
        return array.reshape(len(array), *(numbers // known if n == -1 else n for n in target))

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), None

    def _sizes(self) -> tuple[int | None, int | None]:
        return None, ANY

    def _chained(self, place: Place, last: bool) -> tuple[list[Block], Place]:
        refused = ValueError(
            f"layer {self.name!r} ({self.keras_class}) makes of {place.shape} what a Chain cannot; "
            "expected images of sequences, steps of images, or images with other axes"
        )
        if place.shape is None or place.zeros is not None:
            raise refused
        if self.keras_class == "Permute":
            dims = [n - 1 for n in self.options["dims"]]
            if place.axes is None or len(dims) != 3:
                raise refused
            axes = Axes(*(dims.index(axis) for axis in place.axes))
            return [], Place(tuple(place.shape[n] for n in dims), axes)
        if self.keras_class == "Flatten":
            if len(place.shape) != 1:
                raise refused
            return [], place
        target = self.options["target_shape"]
        if place.axes is not None and len(target) == 2:
            return columns_of(place, target, self.dtype, refused)
        if place.axes is None and place.order is None and len(target) == 3:
            return self._image(place, target, refused)
        raise refused

    def _flat_target(self) -> int | None:
        """How many numbers it makes of all axes, in their order; -1: any. None if it does not."""
        if self.keras_class == "Flatten":
            return -1 if self.options["data_format"] == "channels_last" else None
        target = self.options.get("target_shape", ())
        return int(target[0]) if len(target) == 1 else None

    def _image(self, place: Place, target: Sizes, refused: ValueError) -> tuple[list[Block], Place]:
        """Sequences as images of one channel."""
        shape = place.shape
        assert shape is not None
        channels = next((i for i in (2, 0) if target[i] == 1), None)
        if len(shape) != 2 or channels is None:
            raise refused
        axes = Axes(1, 2, 0) if channels == 0 else Axes(0, 1, 2)
        features = shape[1]
        steps = _matching(shape[0], target[axes.steps], refused)
        if features is None or target[axes.height] not in (-1, features):
            raise refused
        if target[axes.height] == -1 and (shape[0] is None or target[axes.steps] == -1):
            raise refused
        block = Image(features, batch_first=True, dtype=np.dtype(self.dtype))
        sizes = Place(shape, axes).sized(features, steps, 1)
        return [block], sizes

    def _to_keras(self, keras: Any) -> Any:
        kind = getattr(keras.layers, self.keras_class)
        return kind(**self.options, name=self.name, dtype=self.dtype)

    def __repr__(self) -> str:
        return f"Reshape({self.name!r}, {self.keras_class}, {self.options})"


def columns_of(
    place: Place, target: Sizes, dtype: str, refused: ValueError
) -> tuple[list[Block], Place]:
    """Images as sequences of their columns."""
    shape, axes = place.shape, place.axes
    assert shape is not None
    assert axes is not None
    height, channels, wanted = shape[axes.height], shape[axes.channels], target[1]
    if height is None and channels and wanted and wanted > 0 and not wanted % channels:
        height = wanted // channels
    if axes.steps or height is None or channels is None:
        raise refused
    features = height * channels
    steps = _matching(shape[0], target[0], refused)
    if wanted not in (-1, features):
        raise refused
    if wanted == -1 and target[0] is not None and (shape[0] is None or target[0] == -1):
        raise refused
    order: Array | None = None
    if axes.height < axes.channels and min(height, channels) > 1:
        order = np.arange(features).reshape(channels, height).T.ravel()
    block = Columns(batch_first=True, dtype=np.dtype(dtype))
    return [block], Place((steps, features), order=order)


def _matching(size: int | None, target: int | None, refused: ValueError) -> int | None:
    """The size of an axis that stays, of what is known of it."""
    if target in (None, -1):
        return size
    if size not in (None, target):
        raise refused
    return target


@builds("Reshape")
def _reshape(entry: Entry, source: Source, path: str) -> Reshape:
    target = entry.raw("target_shape")
    if (
        not isinstance(target, (list, tuple))
        or not all(type(n) is int and (n == -1 or 1 <= n < 2**40) for n in target)
        or list(target).count(-1) > 1
    ):
        raise ValueError(
            f"{entry.where}: target_shape is {str(target)[:80]}; expected sizes, one of them -1"
        )
    return Reshape(entry.name, "Reshape", {"target_shape": tuple(target)}, entry.dtype())


@builds("Permute")
def _permute(entry: Entry, source: Source, path: str) -> Reshape:
    dims = entry.raw("dims")
    if not isinstance(dims, (list, tuple)) or sorted(map(str, dims)) != sorted(
        str(n + 1) for n in range(len(dims))
    ):
        raise ValueError(f"{entry.where}: dims is {str(dims)[:80]}; expected all axes from 1")
    return Reshape(entry.name, "Permute", {"dims": tuple(map(int, dims))}, entry.dtype())


@builds("Flatten")
def _flatten(entry: Entry, source: Source, path: str) -> Reshape:
    options = {"data_format": entry.choice("data_format", FORMATS, FORMATS[0])}
    return Reshape(entry.name, "Flatten", options, entry.dtype())
