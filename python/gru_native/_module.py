"""What every layer has: a dtype, weights by name, and checks of its arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from operator import index
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ._weights import EditableWeights, check_state_dict

Array: TypeAlias = NDArray[Any]


def _size(name: str, value: object) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{name} is a bool; expected a whole number")
    try:
        number = index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} is a {type(value).__name__}; expected a whole number") from None
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{name} is {number}; expected a size that memory can hold")
    return number


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is a {type(value).__name__}; expected True or False")
    return bool(value)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} is a {type(value).__name__}; expected a number")
    return float(value)


def _random(seed: int | None) -> np.random.Generator:
    number = None if seed is None else _size("seed", seed)
    if number is not None and number < 0:
        raise ValueError(f"seed is {number}; expected a whole number from 0 or None")
    return np.random.default_rng(number)


def _float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        checked = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype is {dtype!r}; expected np.float32 or np.float64") from None
    if checked not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype is {checked}; expected float32 or float64")
    return checked


class _Core(Protocol):
    """What the compiled layers have in common."""

    def weights(self, writeable: bool) -> dict[str, Any]: ...
    def commit(self) -> None: ...


class _Module:
    """Weights by name. A subclass sets ``dtype``, makes its core and calls ``_hold``."""

    dtype: np.dtype[Any]

    def _hold(self, core: _Core, seed: int | None, bound: float) -> None:
        """Keep the core, and draw its weights uniformly from +-bound."""
        self._weight_owner = core
        self._weights: Mapping[str, Array] = MappingProxyType(core.weights(writeable=False))
        self._random = _random(seed)
        with self.editing() as weights:
            for w in weights.values():
                w[...] = self._random.uniform(-bound, bound, w.shape)

    @property
    def weights(self) -> Mapping[str, Array]:
        """The weights by name, as read-only arrays. To change them, see ``editing``."""
        return self._weights

    @contextmanager
    def editing(self) -> Iterator[EditableWeights]:
        """``with layer.editing() as w: w["weight_ih_l0"] *= 0.5`` changes weights in place.

        The layer computes with the new weights from the end of the block on.
        """
        weights = EditableWeights(self._weight_owner.weights(writeable=True))
        try:
            yield weights
        finally:
            weights.close()
            self._weight_owner.commit()

    def state_dict(self) -> dict[str, Array]:
        """Copies of the weights by name."""
        return {name: w.copy() for name, w in self._weights.items()}

    def load_state_dict(self, mapping: Mapping[str, ArrayLike], strict: bool = True) -> None:
        """Set the weights from arrays of the layer's dtype by name.

        Raises ValueError for (if ``strict``) a missing or surplus name or for a wrong shape,
        TypeError for arrays of the other floating dtype or of no numbers; the layer is then
        unchanged. Without ``strict``, missing names keep their values and surplus ones are ignored.
        """
        arrays = check_state_dict(mapping, self._weights, strict)
        with self.editing() as weights:
            for name, array in arrays.items():
                weights[name][...] = array

    @property
    def num_parameters(self) -> int:
        """The number of weights, biases included."""
        return sum(w.size for w in self._weights.values())
