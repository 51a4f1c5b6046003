"""Tables of vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..._core import numpy_array
from ...layers import Block
from ...layers import Embedding as NativeEmbedding
from ...layers._weights import Array
from .._assignment import Assignment
from .._config import Entry
from .._places import Place
from .._source import Source, take
from .base import Layer, Masked, Shape
from .registry import builds


class Embedding(Layer):
    """Rows of a table.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    layer : gru_native.Embedding
        The core's layer, with ``batch_first``.
    mask_zero : bool
        Whether index 0 is masked for the layers that follow.
    """

    keras_class = "Embedding"

    def __init__(self, name: str, table: Array, mask_zero: bool) -> None:
        self.name, self.mask_zero = name, mask_zero
        self.layer = NativeEmbedding(*table.shape, batch_first=True, dtype=table.dtype, seed=0)
        self._set([table])

    @property
    def table(self) -> Array:
        """The rows (input_dim, output_dim)."""
        return self.layer.weights["weight"]

    def __call__(self, x: ArrayLike) -> Array:
        """Look rows up.

        Parameters
        ----------
        x : array_like of int
            Indices of rows, of any shape.

        Returns
        -------
        ndarray
            The rows, (..., output_dim).

        Raises
        ------
        ValueError
            For indices that are out of range.
        TypeError
            For what are no whole numbers.
        """
        index = numpy_array("x", x, "whole numbers")
        if index.dtype.kind not in "iu":
            raise TypeError(f"x has dtype {index.dtype}; expected whole numbers")
        rows = len(self.table)
        if index.size and not (index.min() >= 0 and index.max() < rows):
            raise ValueError(f"x holds {index.min()} to {index.max()}; expected 0 to {rows - 1}")
        rows_of_table: Array = self.table[index]
        return rows_of_table

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), np.asarray(x) != 0 if self.mask_zero else None

    def _sizes(self) -> tuple[int | None, int | None]:
        return None, int(self.table.shape[1])

    def _tensors(self) -> Iterator[tuple[str, Array]]:
        yield "vars/0", self.table

    def _assign(self, arrays: Iterator[Array], into: Assignment) -> None:
        into.weights(self.layer)["weight"] = next(arrays)

    def _blocks(self, last: bool) -> list[Block]:
        if self.mask_zero:
            raise ValueError(f"layer {self.name!r} has mask_zero, which a Chain cannot have")
        return [self.layer]

    def _behind(self, place: Place) -> Place:
        steps = (None,) if place.shape is None else place.shape
        return Place((*steps, int(self.table.shape[1])))

    def _input_shape(self) -> Shape:
        return (None, None)

    def _to_keras(self, keras: Any) -> Any:
        return keras.layers.Embedding(
            *self.table.shape,
            mask_zero=self.mask_zero,
            name=self.name,
            dtype=str(self.table.dtype),
        )


@builds("Embedding")
def _embedding(entry: Entry, source: Source, path: str) -> Embedding:
    entry.absent("lora_rank")
    shape = entry.size("input_dim"), entry.size("output_dim")
    table = take(source, f"{path}vars/0", "embeddings", shape, entry.dtype())
    source.close_vars(f"{path}vars", 1)
    return Embedding(entry.name, table, entry.flag("mask_zero"))
