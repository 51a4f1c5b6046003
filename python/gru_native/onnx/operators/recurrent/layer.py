"""RNN, LSTM and GRU as layers: what a node's call makes of its inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...._core import numpy_array
from ....layers import GRU, LSTM, RNN
from ....layers._weights import Array


@dataclass(frozen=True)
class Recurrent:
    """A node whose weights are known.

    layers: one layer, or two of one direction each where the two directions have different
    functions. direction: "forward", "reverse" or "bidirectional". dtype: of the node's tensors;
    float16 is computed in float32.
    """

    layers: tuple[RNN | LSTM | GRU, ...]
    direction: str
    layout: int
    dtype: np.dtype[Any]

    @property
    def layer(self) -> RNN | LSTM | GRU:
        """The one layer; ValueError where there are two."""
        if len(self.layers) > 1:
            raise ValueError("activations differ between the directions; expected one layer")
        return self.layers[0]

    def run(
        self,
        X: Array,
        sequence_lens: Array | None = None,
        initial_h: Array | None = None,
        initial_c: Array | None = None,
    ) -> tuple[Array, Array, Array | None]:
        """Y, Y_h, and Y_c of an LSTM (None of others), shaped as the operator's for this layout.

        Y is 0 past the end of a sequence; Y_h and Y_c are the states at its own end, the initial
        ones for length 0. Raises ValueError or TypeError naming the tensor.
        """
        layer = self.layers[0]
        x = self._own("X", X)
        if x.ndim != 3:
            raise ValueError(f"X has shape {x.shape}; expected 3 dimensions")
        x = np.ascontiguousarray(x.swapaxes(0, 1)) if self.layout else x
        steps, batch, width = x.shape
        if width != layer.input_size:
            raise ValueError(f"X has {width} inputs; expected {layer.input_size}, as W")
        lengths = _lengths(sequence_lens, steps, batch)
        directions = 2 if self.direction == "bidirectional" else 1
        given = [initial_h, initial_c] if isinstance(layer, LSTM) else [initial_h]
        if len(given) == 1 and initial_c is not None:
            raise ValueError("initial_c is given; expected none for another operator than the LSTM")
        states = [
            self._state(name, value, (directions, batch, layer.hidden_size))
            for name, value in zip(("initial_h", "initial_c"), given, strict=False)
        ]
        if steps and batch:
            y, states = self._compute(x, lengths, states)
        else:
            y = np.zeros((steps, batch, directions * layer.hidden_size), layer.dtype)
            states = [state.copy() for state in states]
        y = y.reshape(steps, batch, directions, layer.hidden_size)
        y = y.transpose((1, 0, 2, 3) if self.layout else (0, 2, 1, 3))
        if self.layout:
            states = [state.swapaxes(0, 1) for state in states]
        outputs = [np.ascontiguousarray(a, self.dtype) for a in (y, *states)]
        return outputs[0], outputs[1], outputs[2] if len(outputs) > 2 else None

    def bound(self, lengths: bool, initial_h: bool, initial_c: bool) -> Callable[..., Any] | None:
        """``run`` for arrays that went through it before, without checks and copies.

        None where there is nothing shorter. lengths and others: whether they are given.
        """
        layer = self.layers[0]
        two = isinstance(layer, LSTM)
        some = (initial_h, initial_c)[: 1 + two]
        if self.layout or len(self.layers) > 1 or self.direction == "reverse" or lengths:
            return None
        if self.dtype != layer.dtype or any(some) != all(some):
            return None
        directions, hidden = 1 + layer.bidirectional, layer.hidden_size

        def call(x: Array, _: Any, h: Any, c: Any) -> tuple[Any, ...]:
            y, after = layer(x, (h, c) if two and h is not None else h)
            y = y.reshape(*y.shape[:2], directions, hidden).transpose(0, 2, 1, 3)
            return (y, *after) if two else (y, after)

        return call

    def _own(self, name: str, value: Any) -> Array:
        """As an array of the layers' dtype, if it has the node's."""
        array = numpy_array(name, value, "numbers")
        if array.dtype != self.dtype:
            raise TypeError(f"{name} has dtype {array.dtype}; expected {self.dtype}, as W")
        return array.astype(self.layers[0].dtype, copy=False)

    def _state(self, name: str, value: Any, shape: tuple[int, int, int]) -> Array:
        if value is None:
            return np.zeros(shape, self.layers[0].dtype)
        state = self._own(name, value)
        expected = (shape[1], shape[0], shape[2]) if self.layout else shape
        if state.shape != expected:
            raise ValueError(f"{name} has shape {state.shape}; expected {expected}")
        return np.ascontiguousarray(state.swapaxes(0, 1)) if self.layout else state

    def _compute(
        self, x: Array, lengths: Array | None, states: list[Array]
    ) -> tuple[Array, list[Array]]:
        if self.direction == "bidirectional" and len(self.layers) == 1:
            return _call(self.layers[0], x, lengths, states)
        ways = [self.direction == "reverse"] if len(self.layers) == 1 else [False, True]
        done = [
            _one_way(layer, x, lengths, [state[d : d + 1] for state in states], reverse)
            for d, (layer, reverse) in enumerate(zip(self.layers, ways, strict=True))
        ]
        y = np.concatenate([y for y, _ in done], axis=2)
        return y, [np.concatenate(both) for both in zip(*(after for _, after in done), strict=True)]


def _call(
    layer: RNN | LSTM | GRU, x: Array, lengths: Array | None, states: list[Array]
) -> tuple[Array, list[Array]]:
    state = tuple(states) if len(states) == 2 else states[0]
    y, after = layer(x, state, lengths=lengths)
    return y, list(after) if isinstance(after, tuple) else [after]


def _one_way(
    layer: RNN | LSTM | GRU, x: Array, lengths: Array | None, states: list[Array], reverse: bool
) -> tuple[Array, list[Array]]:
    """A layer of one direction; in reverse each sequence is turned round within its own length."""
    if not reverse:
        return _call(layer, x, lengths, states)
    steps, batch = x.shape[:2]
    time = np.arange(steps)[:, None]
    ends = np.full(batch, steps) if lengths is None else lengths
    turned = np.where(time < ends, ends - 1 - time, time), np.arange(batch)
    y, after = _call(layer, x[turned], lengths, states)
    return y[turned], after


def _lengths(value: Any, steps: int, batch: int) -> Array | None:
    if value is None:
        return None
    lengths = numpy_array("sequence_lens", value, "whole numbers")
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"sequence_lens has dtype {lengths.dtype}; expected int32")
    if lengths.shape != (batch,):
        raise ValueError(f"sequence_lens has shape {lengths.shape}; expected ({batch},)")
    wrong = np.flatnonzero((lengths < 0) | (lengths > steps))
    if wrong.size:
        first = int(wrong[0])
        raise ValueError(f"sequence_lens[{first}] is {lengths[first]}; expected 0 to {steps}")
    return lengths.astype(np.int64)
