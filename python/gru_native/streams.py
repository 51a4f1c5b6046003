"""Streams in pickles: the weights that they were made with, as layers, and the state."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _core
from .files import model_of
from .layers import GRU, LSTM, RNN, Chain, Stream
from .layers._pickling import opened, reading, sealed

HELD = ("model", "batch_size", "state")


def reduced(stream: Any) -> tuple[Callable[..., object], tuple[Any, ...]]:
    """What ``pickle`` writes: the function that makes the stream anew, and its argument."""
    dtype = np.float32 if isinstance(stream, _core.Stream32) else np.float64
    model = model_of(stream._blocks(), dtype, stream._is_chain)
    held = {"model": model, "batch_size": stream.batch_size, "state": stream.state}
    return restored, (sealed(held),)


def restored(state: dict[str, Any]) -> Stream:
    """The stream that ``reduced`` has taken apart."""
    with reading("Stream"):
        model, batch_size, its_state = opened(state, *HELD)
        if not isinstance(model, (RNN, LSTM, GRU, Chain)):
            raise TypeError(f"its model is {_core.a_type(model)}; expected a layer or a Chain")
        for part in _arrays(its_state):  # before room is made for as many sequences
            if part.ndim not in (2, 3) or part.shape[part.ndim - 2] != batch_size:
                raise ValueError(f"state has shape {part.shape}; expected batch={batch_size}")
        stream: Stream = model.stream(batch_size)
        stream.state = its_state
        return stream


def _arrays(state: Any) -> list[np.ndarray[Any, Any]]:
    if isinstance(state, tuple):
        return [array for part in state for array in _arrays(part)]
    if not isinstance(state, np.ndarray):
        raise TypeError(f"state holds {_core.a_type(state)}; expected arrays")
    return [state]


for kind in (_core.Stream32, _core.Stream64):
    copyreg.pickle(kind, reduced)
