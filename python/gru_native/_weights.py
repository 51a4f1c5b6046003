"""Weights by name: what may be written, and what may be loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def _checked(name: str, value: ArrayLike, own: NDArray[Any]) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is a {type(value).__name__}; expected numbers") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}; expected {own.dtype}")
    other_float = array.dtype.kind == "f" and array.dtype not in (own.dtype, np.float16)
    if other_float and hasattr(value, "dtype"):  # lists are float64 by habit, not by choice
        advice = f"write {name}.astype(np.{own.dtype})"
        raise TypeError(f"{name} has dtype {array.dtype}; expected {own.dtype}: {advice}")
    if array.shape != own.shape:
        raise ValueError(f"{name} has shape {array.shape}; expected {own.shape}")
    return array


class EditableWeights(MutableMapping[str, NDArray[Any]]):
    """The weights inside an ``editing()`` block: write into the arrays, or assign whole ones."""

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self._arrays = arrays

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        if name not in self._arrays:
            raise KeyError(
                f"{name} is no weight of this layer; expected one of {list(self._arrays)}"
            )
        own = self._arrays[name]
        if value is not own:  # `w[name] *= 2` has already written in place
            own[...] = _checked(name, value, own)

    def __delitem__(self, name: str) -> None:
        raise TypeError("weights cannot be removed")

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def close(self) -> None:
        """From now on a write raises instead of being ignored."""
        for array in self._arrays.values():
            array.setflags(write=False)


def check_state_dict(
    mapping: Mapping[str, ArrayLike], own: Mapping[str, NDArray[Any]], strict: bool
) -> dict[str, NDArray[Any]]:
    """The arrays to load, checked; nothing is written yet."""
    if not isinstance(mapping, Mapping):
        raise TypeError(
            f"mapping is a {type(mapping).__name__}; expected a mapping of names to arrays"
        )
    missing = [name for name in own if name not in mapping]
    surplus = [name for name in mapping if name not in own]
    if strict and (missing or surplus):
        raise ValueError(
            f"mapping lacks {missing or 'nothing'} and has unknown {surplus or 'nothing'}; "
            f"expected exactly {list(own)}"
        )
    return {name: _checked(name, mapping[name], w) for name, w in own.items() if name in mapping}
