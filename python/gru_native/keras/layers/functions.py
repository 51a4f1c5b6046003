"""Layers without weights: activation functions, and what does nothing in inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..._core import numpy_array
from ...layers import Activation as NativeActivation
from ...layers import Block
from ...layers._arguments import Function
from ...layers._weights import Array
from .._activations import OUTPUT, RECURRENT, check_keras_3
from .._config import Entry
from .._places import Place
from .._source import Source
from .base import Layer, Masked
from .registry import builds

# Of what does nothing in inference, the arguments that go back to Keras.
_IDENTITIES = {
    "Dropout": ("rate",),
    "SpatialDropout1D": ("rate",),
    "SpatialDropout2D": ("rate",),
    "AlphaDropout": ("rate",),
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
    _of_numbers = True

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

    def _blocks(self, last: bool) -> list[Block]:
        if self.activation not in RECURRENT:
            return super()._blocks(last)
        function = RECURRENT[self.activation]
        return [NativeActivation(function, batch_first=True, dtype=np.dtype(self.dtype))]

    def _to_keras(self, keras: Any) -> Any:
        check_keras_3(f"layer {self.name!r}", self.activation)
        return keras.layers.Activation(self.activation, name=self.name, dtype=self.dtype)


@builds("Activation")
def _activation(entry: Entry, source: Source, path: str) -> Activation:
    return Activation(entry.name, entry.activation("activation", "linear"), entry.dtype())


class _OfOptions(Layer):
    """What Keras makes again from its class and a few numbers."""

    def __init__(
        self, name: str, keras_class: str, options: Mapping[str, float], dtype: str
    ) -> None:
        self.name, self.keras_class, self.dtype = name, keras_class, dtype
        self.options = dict(options)

    def _to_keras(self, keras: Any) -> Any:
        kind = getattr(keras.layers, self.keras_class)
        return kind(**self.options, name=self.name, dtype=self.dtype)


class ActivationLayer(_OfOptions):
    """ReLU, LeakyReLU, ELU or Softmax.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    options : dict of str to float
        Keras's options.
    dtype : str
        "float32" or "float64".
    """

    def __init__(
        self, name: str, keras_class: str, options: Mapping[str, float], dtype: str
    ) -> None:
        super().__init__(name, keras_class, options, dtype)
        self._of_numbers = keras_class != "Softmax"
        self._function: Function | None = None  # of the core
        if keras_class != "Softmax":
            native = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu"}[keras_class]
            numbers = tuple(self.options.values())
            self._function = (native, numbers[0]) if numbers else native

    def __call__(self, x: ArrayLike) -> Array:
        """Apply the function.

        Parameters
        ----------
        x : array_like
            Numbers of any shape.

        Returns
        -------
        ndarray
            The function of each number; a Softmax goes along the last axis.

        Raises
        ------
        TypeError
            For another dtype.
        """
        array = numpy_array("x", x, "numbers")
        return OUTPUT["softmax"](array) if self._function is None else self._native()(array)

    def _native(self) -> NativeActivation:
        assert self._function is not None
        return NativeActivation(self._function, batch_first=True, dtype=np.dtype(self.dtype))

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), mask

    def _blocks(self, last: bool) -> list[Block]:
        return super()._blocks(last) if self._function is None else [self._native()]


@builds("ReLU", "LeakyReLU", "ELU", "Softmax")
def _activation_layer(entry: Entry, source: Source, path: str) -> ActivationLayer:
    options: dict[str, float] = {}
    if entry.keras_class == "Softmax":
        entry.last_axis()
    elif entry.keras_class == "ELU":
        options["alpha"] = entry.number("alpha", 1.0)
    elif entry.keras_class == "LeakyReLU":
        old = entry.raw("alpha") is not None  # its name in Keras 2
        options["negative_slope"] = entry.number("alpha" if old else "negative_slope", 0.3)
    else:
        for option in ("max_value", "negative_slope", "threshold"):
            entry.absent(option)
    return ActivationLayer(entry.name, entry.keras_class, options, entry.dtype())


class Identity(_OfOptions):
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

    def _chained(self, place: Place, last: bool) -> tuple[list[Block], Place]:
        return [], place

    def _blocks(self, last: bool) -> list[Block]:
        return []


@builds(*_IDENTITIES)
def _identity(entry: Entry, source: Source, path: str) -> Identity:
    options = {option: entry.number(option) for option in _IDENTITIES[entry.keras_class]}
    return Identity(entry.name, entry.keras_class, options, entry.dtype())
