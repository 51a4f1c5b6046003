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
    "Concatenate": lambda xs: np.concatenate(xs, -1),
}


class Merge(Layer):
    """Add, Subtract, Multiply, Average, Maximum, Minimum, or Concatenate of features.

    Made by ``from_keras`` and ``load``, within a ``Functional``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    dtype : str
        "float32" or "float64".
    """

    def __init__(self, name: str, keras_class: str, dtype: str, rank: int | None) -> None:
        self.name, self.keras_class, self.dtype = name, keras_class, dtype
        self._rank = rank

    def __call__(self, x: Sequence[ArrayLike]) -> Array:
        """Compute what the Keras layer computes.

        Parameters
        ----------
        x : sequence of array_like
            The inputs, of the same shape, for Concatenate but for the last axis.

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
        if self._rank not in (None, arrays[0].ndim):
            raise ValueError(f"x has shape {arrays[0].shape}; expected {self._rank} axes")
        return _MERGES[self.keras_class](arrays)

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), mask

    def _to_keras(self, keras: Any) -> Any:
        return getattr(keras.layers, self.keras_class)(name=self.name, dtype=self.dtype)


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


@builds(*_MERGES)
def _merge(entry: Entry, source: Source, path: str) -> Merge:
    rank = entry.last_axis() if entry.keras_class == "Concatenate" else None
    return Merge(entry.name, entry.keras_class, entry.dtype(), rank)


@builds("RepeatVector")
def _repeat(entry: Entry, source: Source, path: str) -> RepeatVector:
    return RepeatVector(entry.name, entry.size("n"), entry.dtype())
