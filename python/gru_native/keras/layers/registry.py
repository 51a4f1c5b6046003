"""Which class here stands for which class of Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from .._config import Entry
from .._source import Source
from .base import Layer

Builder: TypeAlias = Callable[[Entry, Source, str], Layer]
B = TypeVar("B", bound=Builder)
_DEEPEST = 100  # parts of a path: two for each model within a model
_BUILDERS: dict[str, Builder] = {}


def builds(*keras_classes: str) -> Callable[[B], B]:
    """Makes a function the one that builds these classes of Keras.

    It takes a configuration, the weights, and what the paths of the layer's tensors begin with. It
    reads the tensors, and compares their shapes, before it makes anything of their size.
    """

    def register(function: B) -> B:
        _BUILDERS.update(dict.fromkeys(keras_classes, function))
        return function

    return register


def build(entry: Entry, source: Source, path: str = "") -> Layer:
    """The layer or model of this configuration. path is what its tensors' paths begin with."""
    if path.count("/") > _DEEPEST:
        raise ValueError(f"{entry.where} is nested too deeply; expected at most {_DEEPEST // 2}")
    if entry.keras_class not in _BUILDERS:
        known = [name for name in _BUILDERS if name not in ("Sequential", "Functional")]
        raise ValueError(
            f"layer {entry.name!r} is a {entry.keras_class}; expected {', '.join(known)}, "
            "or a Sequential of these"
        )
    layer = _BUILDERS[entry.keras_class](entry, source, path)
    layer._frozen = not entry.flag("trainable", True)
    return layer
