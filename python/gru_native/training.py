"""What training needs beside forward and backward: limited gradients, rows that begin anew."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import repeat
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._core import a_type
from .layers._arguments import number, row_mask
from .layers._row_gradient import RowGradient
from .layers._weights import Array

S = TypeVar("S")  # an array, or tuples of arrays
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def clip_gradients(grads: Mapping[str, Array] | Iterable[Array], max_norm: float) -> float:
    """Scale gradients in place so that their joint norm is at most ``max_norm``.

    If their joint Euclidean norm, summed in float64, is above ``max_norm``, each g becomes
    g max_norm / norm, to rounding [1]_. If it is infinite or NaN, nothing is changed: such a step
    is better left out.

    Parameters
    ----------
    grads : mapping or iterable of ndarray
        The ``weights`` that ``backward`` returned, or any distinct float32 or float64 arrays of any
        shapes. Of a ``RowGradient`` the values count.
    max_norm : float
        The largest norm, above 0. It may be infinite, to measure only.

    Returns
    -------
    float
        The norm before.

    Raises
    ------
    ValueError
        For a max_norm that is not above 0, and for an array that is read-only; nothing has then
        been changed.
    TypeError
        For what is no floating array, and for a max_norm that is no number; likewise.

    References
    ----------
    .. [1] R. Pascanu, T. Mikolov and Y. Bengio, "On the Difficulty of Training Recurrent Neural
       Networks", ICML 2013, arXiv:1211.5063.
    """
    limit = number("max_norm", max_norm)
    if not limit > 0:
        raise ValueError(f"max_norm is {max_norm}; expected a number above 0")
    arrays = _gradient_arrays(grads)
    norm = _norm(arrays)
    if limit < norm < np.inf:
        scale = partial(np.multiply, dtype=np.float64, casting="same_kind")
        # No line of Python comes between them, where a signal could leave some arrays as they were.
        deque(map(scale, arrays, repeat(limit / norm), arrays), maxlen=0)
    return norm


def _gradient_arrays(grads: object) -> list[NDArray[Any]]:
    if isinstance(grads, Mapping):
        named = {f"grads[{name!r}]": g for name, g in grads.items()}
    elif isinstance(grads, Iterable) and not isinstance(grads, (str, bytes, np.ndarray)):
        named = {f"grads[{i}]": g for i, g in enumerate(grads)}
    else:
        raise TypeError(f"grads is {a_type(grads)}; expected a mapping or a sequence of arrays")
    for name, g in named.items():
        if isinstance(g, RowGradient):
            g = named[name] = g.values
        if not isinstance(g, np.ndarray):
            raise TypeError(f"{name} is {a_type(g)}; expected a NumPy array")
        if g.dtype not in FLOATS:
            raise TypeError(f"{name} has dtype {g.dtype}; expected float32 or float64")
        if not g.flags.writeable:
            raise ValueError(f"{name} is read-only; expected an array that can be scaled in place")
    return [np.asarray(g) for g in named.values()]  # no subclass with methods of its own


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
    """Return a copy of a state in which some rows of the batch are zero.

    So a new sequence takes over the place of one that has ended, while the others go on.

    Parameters
    ----------
    state : ndarray or tuple
        What a layer or a chain returned for a batch: h, (h, c), or a chain's tuple of those, each
        array (num_layers * directions, batch, size).
    mask : array_like of bool
        (batch,): which rows begin anew.

    Returns
    -------
    ndarray or tuple
        The copy, of the same structure.

    Raises
    ------
    ValueError
        For wrong shapes; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    Examples
    --------
    >>> y, state = layer(x, gru_native.reset_rows(state, ended))  # doctest: +SKIP
    """
    result: S = _reset("state", state, row_mask(mask))
    return result


def _reset(name: str, state: object, mask: NDArray[np.bool_]) -> Any:
    if isinstance(state, (tuple, list)):
        return tuple(_reset(f"{name}[{i}]", part, mask) for i, part in enumerate(state))
    if not isinstance(state, np.ndarray):
        raise TypeError(f"{name} is {a_type(state)}; expected an array or a tuple of arrays")
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
