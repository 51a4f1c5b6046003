"""Normalisations of features and channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..._core import numpy_array
from ...layers import BatchNorm1d, BatchNorm2d, Block, LayerNorm
from ...layers._weights import Array
from .._config import Entry
from .._places import Place
from .._source import Source, take
from .base import ANY, Shape
from .operation import Operation
from .registry import builds

_NATIVE = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


class Normalization(Operation):
    """BatchNormalization or LayerNormalization over one axis, mostly the features.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    options : dict of str to object
        Keras's options.
    layer : BatchNorm1d or LayerNorm
        The core's layer, with ``batch_first``.
    """

    _hands_masks_on = True

    def __init__(
        self,
        name: str,
        keras_class: str,
        options: Mapping[str, Any],
        arrays: Mapping[str, Array],
    ) -> None:
        self.name, self.keras_class, self.options = name, keras_class, dict(options)
        first = next(iter(arrays.values()))
        kind: Any = LayerNorm if keras_class == "LayerNormalization" else BatchNorm1d
        self.layer = kind(first.size, options["epsilon"], batch_first=True, dtype=first.dtype)
        self._names = tuple(arrays)
        self._set(arrays.values())

    def _checked(self, x: ArrayLike) -> Any:
        return x  # of any number of axes

    def _compute(self, x: Any) -> Array:
        axis = self.options["axis"]
        if axis == -1:
            return super()._compute(x)
        array = numpy_array("x", x, "numbers")
        if array.ndim <= axis:
            raise ValueError(f"x has shape {array.shape}; expected an axis {axis}")
        return np.moveaxis(super()._compute(np.moveaxis(array, axis, -1)), -1, axis)

    def _sizes(self) -> tuple[int | None, int | None]:
        return super()._sizes() if self.options["axis"] == -1 else (None, ANY)

    def _chained(self, place: Place, last: bool) -> tuple[list[Block], Place]:
        axis, shape = self.options["axis"], place.shape
        if axis > 0:
            rank = 2 if shape is None else len(shape)
            axis = -1 if axis == rank else axis - 1
        if place.axes is None:
            if axis != -1:
                raise ValueError(
                    f"layer {self.name!r} has axis={self.options['axis']}; a Chain has the "
                    "features there"
                )
            blocks, after = super()._chained(place, last)
            return blocks, replace(after, shape=shape)
        if (
            self.keras_class != "BatchNormalization"
            or place.zeros is not None
            or axis % 3 != place.axes.channels
        ):
            return super()._chained(place, last)
        options: Any = {"batch_first": True, "dtype": self.layer.dtype}
        block = BatchNorm2d(self.layer.num_features, self.options["epsilon"], **options)
        with block.editing() as w:
            for name, array in self.layer.weights.items():
                w[name] = array
        return [block], place

    def _native_arrays(self) -> Iterator[tuple[str, Array]]:
        for name in self._names:
            yield _NATIVE[name], self.layer.weights[_NATIVE[name]]

    def _named(self) -> Iterator[tuple[str, str, Array]]:
        for (path, array), name in zip(self._tensors(), self._names, strict=True):
            yield path, name, array

    def _input_shape(self) -> Shape:
        size = self.layer.input_size
        axis = self.options["axis"]
        if axis == -1:
            return (None, None, size)
        return (*((None,) * axis), size, *((None,) * (3 - axis)))


def _take(entry: Entry, source: Source, path: str, names: list[str]) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    size: int | None = None
    for i, name in enumerate(names):
        arrays[name] = take(source, f"{path}vars/{i}", name, (size,), entry.dtype())
        size = arrays[name].size
    source.close_vars(f"{path}vars", len(arrays))
    return arrays


def _options(entry: Entry, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    flags = {option: entry.flag(option, True) for option in ("scale", "center")}
    names = [name for name, flag in zip(("gamma", "beta"), flags.values(), strict=True) if flag]
    epsilon = entry.number("epsilon", 1e-3)
    if epsilon < 0:
        raise ValueError(f"{entry.where}: epsilon is {epsilon}; expected at least 0")
    return {**flags, "epsilon": epsilon, "axis": entry.axis(), **options}, names


@builds("BatchNormalization")
def _batch_norm(entry: Entry, source: Source, path: str) -> Normalization:
    entry.absent("renorm")
    options, names = _options(entry, {"momentum": entry.number("momentum", 0.99)})
    arrays = _take(entry, source, path, [*names, "moving_mean", "moving_variance"])
    return Normalization(entry.name, entry.keras_class, options, arrays)


@builds("LayerNormalization")
def _layer_norm(entry: Entry, source: Source, path: str) -> Normalization:
    entry.absent("rms_scaling")
    options, names = _options(entry, {})
    if not names:
        raise ValueError(f"{entry.where}: scale and center are false; expected one of them")
    arrays = _take(entry, source, path, names)
    return Normalization(entry.name, entry.keras_class, options, arrays)
