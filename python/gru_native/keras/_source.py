"""Where weights come from, one tensor after the other in Keras's order, each checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..layers._weights import Array
from ._cells import Cell

UNNAMED = "weights"  # a name that stands for any


class Source(Protocol):
    """Tensors by their paths in a Keras file, such as "layers/lstm/cell/vars/0"."""

    def called(self, path: str, name: str) -> str:
        """What errors call a tensor."""

    def shape(self, path: str, name: str) -> tuple[int, ...]:
        """The shape of a tensor that is not read yet. ValueError if there is none."""

    def read(self, path: str, name: str) -> Array:
        """The tensor itself."""

    def close_vars(self, path: str, count: int) -> None:
        """ValueError if the group has more tensors than those."""


def take(source: Source, path: str, name: str, shape: tuple[int | None, ...], dtype: str) -> Array:
    """One tensor of this shape, where None is any size from 1, and of this dtype."""
    found = source.shape(path, name)
    if len(found) != len(shape) or any(
        n < 1 or (wanted is not None and n != wanted)
        for n, wanted in zip(found, shape, strict=False)
    ):
        sizes = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(
            f"tensor {source.called(path, name)} has shape {found}; "
            f"expected ({sizes}{',' if len(shape) == 1 else ''})"
        )
    called = source.called(path, name)
    array = source.read(path, name)
    if array.dtype != dtype:
        raise ValueError(f"tensor {called} has dtype {array.dtype}; expected {dtype}, its layer's")
    return array


def take_cell(source: Source, path: str, cell: Cell, input_size: int | None) -> dict[str, Array]:
    """All tensors of a cell, read before anything of their size is made."""
    arrays: dict[str, Array] = {}
    shapes: dict[str, tuple[int | None, ...]] = dict(cell.shapes(0))
    shapes["kernel"] = (input_size, shapes["kernel"][1])
    for i, (name, shape) in enumerate(shapes.items()):
        arrays[name] = take(source, f"{path}/vars/{i}", name, shape, cell.dtype)
    source.close_vars(f"{path}/vars", len(arrays))
    return arrays


class Arrays:
    """What ``get_weights()`` returns, in order."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        self._left = [np.asarray(array) for array in arrays]

    def called(self, path: str, name: str) -> str:
        return f"{path} ({name})"

    def shape(self, path: str, name: str) -> tuple[int, ...]:
        if not self._left:
            raise ValueError(f"weights end before tensor {path} ({name})")
        return self._left[0].shape

    def read(self, path: str, name: str) -> Array:
        return self._left.pop(0)

    def close_vars(self, path: str, count: int) -> None:
        """The end of the list is checked instead."""

    def close(self) -> None:
        if self._left:
            raise ValueError(f"weights has {len(self._left)} arrays more than the layer")
