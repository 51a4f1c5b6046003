"""Layers without weights: activation functions, and what does nothing in inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike

from ..._core import numpy_array
from ...layers import Block
from ...layers._weights import Array
from .._activations import OUTPUT
from .._config import Entry
from .._source import Source
from .base import Layer, Masked
from .registry import builds

# Of what does nothing in inference, the arguments that go back to Keras.
_IDENTITIES = {
    "Dropout": ("rate",),
    "SpatialDropout1D": ("rate",),
    "GaussianDropout": ("rate",),
    "GaussianNoise": ("stddev",),
    "ActivityRegularization": ("l1", "l2"),
}


class Activation(Layer):
    """An activation function by itself.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    activation : str
        Keras's name of the function.
    dtype : str
        "float32" or "float64".
    """

    keras_class = "Activation"

    def __init__(self, name: str, activation: str, dtype: str) -> None:
        if activation not in OUTPUT:
            raise ValueError(
                f"layer {name!r}: activation is {activation!r}; expected one of {', '.join(OUTPUT)}"
            )
        self.name, self.activation, self.dtype = name, activation, dtype

    def __call__(self, x: ArrayLike) -> Array:
        """Apply the function.

        Parameters
        ----------
        x : array_like
            Numbers of any shape.

        Returns
        -------
        ndarray
            The function of each number; "softmax" and "log_softmax" go along the last axis.
        """
        return OUTPUT[self.activation](numpy_array("x", x, "numbers"))

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), mask

    def _to_keras(self, keras: Any) -> Any:
        return keras.layers.Activation(self.activation, name=self.name, dtype=self.dtype)


@builds("Activation")
def _activation(entry: Entry, source: Source, path: str) -> Activation:
    return Activation(entry.name, entry.activation("activation", "linear"), entry.dtype())


class Identity(Layer):
    """A layer that does nothing in inference: Dropout and its kin.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    options : dict of str to float
        What Keras needs to make it again.
    dtype : str
        "float32" or "float64".
    """

    def __init__(
        self, name: str, keras_class: str, options: Mapping[str, float], dtype: str
    ) -> None:
        self.name, self.keras_class, self.dtype = name, keras_class, dtype
        self.options = dict(options)

    def __call__(self, x: ArrayLike) -> Array:
        """Return x.

        Parameters
        ----------
        x : array_like
            Anything.

        Returns
        -------
        ndarray
            The same.
        """
        return numpy_array("x", x, "numbers")

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return x, mask

    def _blocks(self, last: bool) -> list[Block]:
        return []

    def _to_keras(self, keras: Any) -> Any:
        kind = getattr(keras.layers, self.keras_class)
        return kind(**self.options, name=self.name, dtype=self.dtype)


@builds(*_IDENTITIES)
def _identity(entry: Entry, source: Source, path: str) -> Identity:
    options = {option: entry.number(option) for option in _IDENTITIES[entry.keras_class]}
    return Identity(entry.name, entry.keras_class, options, entry.dtype())
