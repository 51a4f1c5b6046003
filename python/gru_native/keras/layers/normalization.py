"""Normalisations of features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...layers import BatchNorm1d, LayerNorm
from ...layers._weights import Array
from .._config import Entry
from .._source import Source, take
from .base import Shape
from .operation import Operation
from .registry import builds

_NATIVE = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


class Normalization(Operation):
    """BatchNormalization or LayerNormalization over the features.

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
        rank: int | None,
    ) -> None:
        self._rank = rank
        self.name, self.keras_class, self.options = name, keras_class, dict(options)
        first = next(iter(arrays.values()))
        kind: Any = LayerNorm if keras_class == "LayerNormalization" else BatchNorm1d
        self.layer = kind(first.size, options["epsilon"], batch_first=True, dtype=first.dtype)
        self._names = tuple(arrays)
        self._set(arrays.values())

    def _native_arrays(self) -> Iterator[tuple[str, Array]]:
        for name in self._names:
            yield _NATIVE[name], self.layer.weights[_NATIVE[name]]

    def _input_shape(self) -> Shape:
        return (None, None, self.layer.input_size)


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
    return {**flags, "epsilon": epsilon, **options}, names


@builds("BatchNormalization")
def _batch_norm(entry: Entry, source: Source, path: str) -> Normalization:
    entry.absent("renorm")
    options, names = _options(entry, {"momentum": entry.number("momentum", 0.99)})
    arrays = _take(entry, source, path, [*names, "moving_mean", "moving_variance"])
    return Normalization(entry.name, entry.keras_class, options, arrays, entry.last_axis())


@builds("LayerNormalization")
def _layer_norm(entry: Entry, source: Source, path: str) -> Normalization:
    entry.absent("rms_scaling")
    options, names = _options(entry, {})
    if not names:
        raise ValueError(f"{entry.where}: scale and center are false; expected one of them")
    arrays = _take(entry, source, path, names)
    return Normalization(entry.name, entry.keras_class, options, arrays, entry.last_axis())
