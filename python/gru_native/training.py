"""What training needs beside forward and backward: gradients of limited norm, rows begun anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .layers._arguments import number, row_mask
from .layers._weights import Array

S = TypeVar("S")  # an array, or tuples of arrays
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def clip_gradients(grads: Mapping[str, Array] | Iterable[Array], max_norm: float) -> float:
    """Scale gradients in place to a joint norm of at most max_norm; returns the norm before.

    grads is ``weights`` of what ``backward`` returned, or any mapping or sequence of distinct
    float32 or float64 arrays of any shapes. Their joint Euclidean norm is summed in float64; if it
    is above max_norm, each g becomes g max_norm / norm (Pascanu, Mikolov and Bengio 2013), to
    rounding. If the norm is infinite or NaN, nothing is changed: such a step is better left out.
    max_norm may be infinite, to measure only.

    Raises TypeError or ValueError, naming the argument and before any change, for what is no
    writeable floating array and for a max_norm that is no number above 0.
    """
    limit = number("max_norm", max_norm)
    if not limit > 0:
        raise ValueError(f"max_norm is {max_norm}; expected a number above 0")
    arrays = _gradient_arrays(grads)
    norm = _norm(arrays)
    if limit < norm < np.inf:
        for g in arrays:
            np.multiply(g, limit / norm, out=g, dtype=np.float64, casting="same_kind")
    return norm


def _gradient_arrays(grads: object) -> list[NDArray[Any]]:
    if isinstance(grads, Mapping):
        named = {f"grads[{name!r}]": g for name, g in grads.items()}
    elif isinstance(grads, Iterable) and not isinstance(grads, (str, bytes, np.ndarray)):
        named = {f"grads[{i}]": g for i, g in enumerate(grads)}
    else:
        raise TypeError(
            f"grads is a {type(grads).__name__}; expected a mapping or a sequence of arrays"
        )
    for name, g in named.items():
        if not isinstance(g, np.ndarray):
            raise TypeError(f"{name} is a {type(g).__name__}; expected a NumPy array")
        if g.dtype not in FLOATS:
            raise TypeError(f"{name} has dtype {g.dtype}; expected float32 or float64")
        if not g.flags.writeable:
            raise ValueError(f"{name} is read-only; expected an array that can be scaled in place")
    return list(named.values())


def _norm(arrays: list[NDArray[Any]]) -> float:
    """sqrt(sum g^2), of multiples of the largest, so that no square leaves float64's range."""
    largest = float(max((np.abs(g).max(initial=0.0) for g in arrays), default=0.0, key=_nan_first))
    if not 0 < largest < np.inf:
        return largest
    squares = (np.square(np.divide(g, largest, dtype=np.float64)).sum() for g in arrays)
    return largest * float(np.sqrt(sum(squares)))


def _nan_first(x: float) -> tuple[bool, float]:
    return bool(np.isnan(x)), x


def reset_rows(state: S, mask: ArrayLike) -> S:
    """A copy of the state in which the rows of the batch that mask marks are zero.

    state is what a layer or a chain returned for a batch: h, (h, c), or a chain's tuple of those,
    each array (num_layers * directions, batch, size); mask is (batch,), bool. So a new sequence
    takes over the slot of one that has ended while the others go on:
    ``y, state = layer(x, gru_native.reset_rows(state, ended))``.

    Raises TypeError or ValueError, naming the argument, for other shapes and kinds.
    """
    result: S = _reset("state", state, row_mask(mask))
    return result


def _reset(name: str, state: object, mask: NDArray[np.bool_]) -> Any:
    if isinstance(state, (tuple, list)):
        return tuple(_reset(f"{name}[{i}]", part, mask) for i, part in enumerate(state))
    if not isinstance(state, np.ndarray):
        kind = type(state).__name__
        raise TypeError(f"{name} is a {kind}; expected an array or a tuple of arrays")
    if state.dtype not in FLOATS:
        raise TypeError(f"{name} has dtype {state.dtype}; expected float32 or float64")
    if state.ndim != 3 or state.shape[1] != len(mask):
        raise ValueError(
            f"{name} has shape {state.shape}; expected (layers * directions, {len(mask)}, size), "
            f"the batch of mask"
        )
    fresh = state.copy()
    fresh[:, mask] = 0
    return fresh
