"""Layers of several inputs, and RepeatVector, which makes steps of a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..._core import numpy_array
from ...layers._weights import Array
from .._config import Entry
from .._source import Source
from .base import Layer, Masked, array_of
from .registry import builds

_MERGES: dict[str, Callable[[Sequence[Array]], Array]] = {
    "Add": lambda xs: reduce(np.add, xs),
    "Subtract": lambda xs: xs[0] - xs[1],
    "Multiply": lambda xs: reduce(np.multiply, xs),
    "Average": lambda xs: reduce(np.add, xs) / len(xs),
    "Maximum": lambda xs: reduce(np.maximum, xs),
    "Minimum": lambda xs: reduce(np.minimum, xs),
}


class Merge(Layer):
    """Add, Subtract, Multiply, Average, Maximum, Minimum or Concatenate.

    Made by ``from_keras`` and ``load``, within a ``Functional``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    axis : int
        Along which axis Concatenate joins; -1 is the last.
    dtype : str
        "float32" or "float64".
    """

    def __init__(self, name: str, keras_class: str, dtype: str, axis: int) -> None:
        self.name, self.keras_class, self.dtype, self.axis = name, keras_class, dtype, axis

    def __call__(self, x: Sequence[ArrayLike]) -> Array:
        """Compute what the Keras layer computes.

        Parameters
        ----------
        x : sequence of array_like
            The inputs, of the same shape, for Concatenate but for its axis.

        Returns
        -------
        ndarray
            The output.

        Raises
        ------
        ValueError
            For a wrong number of inputs, and for shapes that do not go together.
        """
        arrays = [numpy_array(f"x[{i}]", own, "numbers") for i, own in enumerate(x)]
        two = self.keras_class == "Subtract"
        if len(arrays) < 2 or (two and len(arrays) > 2):
            raise ValueError(
                f"x has {len(arrays)} arrays; expected {'two' if two else 'at least two'}"
            )
        if self.keras_class != "Concatenate":
            return _MERGES[self.keras_class](arrays)
        if self.axis >= arrays[0].ndim:
            raise ValueError(f"x has shape {arrays[0].shape}; expected an axis {self.axis}")
        return np.concatenate(arrays, self.axis)

    def _run(self, x: Any, mask: Array | None) -> Masked:
        y = self(x)
        if mask is not None and self.axis not in (-1, y.ndim - 1):
            raise ValueError(f"joins masked inputs along axis {self.axis}; expected the last one")
        return y, mask

    def _to_keras(self, keras: Any) -> Any:
        options = {"axis": self.axis} if self.keras_class == "Concatenate" else {}
        kind = getattr(keras.layers, self.keras_class)
        return kind(**options, name=self.name, dtype=self.dtype)


class RepeatVector(Layer):
    """A row at every step.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    n : int
        How many steps.
    dtype : str
        "float32" or "float64".
    """

    keras_class = "RepeatVector"

    def __init__(self, name: str, n: int, dtype: str) -> None:
        self.name, self.n, self.dtype = name, n, dtype

    def __call__(self, x: ArrayLike) -> Array:
        """Repeat a row.

        Parameters
        ----------
        x : array_like
            (batch, features).

        Returns
        -------
        ndarray
            (batch, n, features).

        Raises
        ------
        ValueError
            For another number of axes.
        """
        return np.repeat(array_of(x, self.dtype, 2, "(batch, features)")[:, None], self.n, 1)

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), None

    def _to_keras(self, keras: Any) -> Any:
        return keras.layers.RepeatVector(self.n, name=self.name, dtype=self.dtype)


@builds(*_MERGES, "Concatenate")
def _merge(entry: Entry, source: Source, path: str) -> Merge:
    axis = entry.axis() if entry.keras_class == "Concatenate" else -1
    return Merge(entry.name, entry.keras_class, entry.dtype(), axis)


@builds("RepeatVector")
def _repeat(entry: Entry, source: Source, path: str) -> RepeatVector:
    return RepeatVector(entry.name, entry.size("n"), entry.dtype())
