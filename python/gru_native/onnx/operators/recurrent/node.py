"""The operators RNN, LSTM and GRU: from a node's attributes and tensors to a layer, and its calls.

ONNX's conventions: gates in the order i o f c (LSTM) and z r h (GRU), with W's and R's biases in
one row; peepholes i o f; a leading axis of directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....layers import GRU, LSTM, RNN
from ....layers._weights import Array
from .attributes import Attributes, read

# Our blocks of rows (i f g o, r z n) from ONNX's.
BLOCKS = {"RNN": (0,), "LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2)}
_COUPLED = (0, 3, 1)  # f has no weights of its own
PEEPHOLES = {"i": 0, "o": 1, "f": 2}
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")  # of the LSTM


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

    def _own(self, name: str, value: Any) -> Array:
        """As an array of the layers' dtype, if it has the node's."""
        array = np.asarray(value)
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
    lengths = np.asarray(value)
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"sequence_lens has dtype {lengths.dtype}; expected int32")
    if lengths.shape != (batch,):
        raise ValueError(f"sequence_lens has shape {lengths.shape}; expected ({batch},)")
    wrong = np.flatnonzero((lengths < 0) | (lengths > steps))
    if wrong.size:
        first = int(wrong[0])
        raise ValueError(f"sequence_lens[{first}] is {lengths[first]}; expected 0 to {steps}")
    return lengths.astype(np.int64)


def recurrent(
    op_type: str, attributes: Mapping[str, Any], tensors: Mapping[str, Array]
) -> Recurrent:
    """The node with these attributes (by name) and tensors W, R and, where it has them, B and P.

    Raises ValueError or TypeError, naming the attribute or tensor, for what the operator does not
    have, wrong shapes and wrong dtypes.
    """
    if op_type not in BLOCKS:
        raise ValueError(f"op_type is {op_type!r}; expected 'RNN', 'LSTM' or 'GRU'")
    for name in ("W", "R"):
        if tensors.get(name) is None:
            raise ValueError(f"{name} is missing; expected a tensor")
    given = {name: np.asarray(array) for name, array in tensors.items() if array is not None}
    dtype = _dtype(given)
    own = np.dtype(np.float32) if dtype == np.float16 else dtype
    options = read(op_type, attributes, given["R"].shape[-1] if given["R"].ndim == 3 else None)
    _check_shapes(op_type, options, given)
    given = {name: array.astype(own, copy=False) for name, array in given.items()}
    hidden, inputs = options.hidden_size, given["W"].shape[2]
    make = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}[op_type]
    together = options.directions == 2 and options.cells[0] == options.cells[1]
    layers = []
    for first in range(1 if together else options.directions):
        layer = make(
            inputs,
            hidden,
            bias="B" in given,
            bidirectional=together,
            dtype=own,
            **options.cells[first],
            **({"peephole": True} if "P" in given else {}),
        )
        weights: dict[str, Array] = {}
        for d in range(2 if together else 1):
            weights |= _weights(op_type, options, given, first + d, "_l0" + "_reverse" * d)
        layer.load_state_dict(weights)
        layers.append(layer)
    return Recurrent(tuple(layers), options.direction, options.layout, dtype)


def _dtype(tensors: Mapping[str, Array]) -> np.dtype[Any]:
    dtype = tensors["W"].dtype
    if dtype.name not in ("float16", "float32", "float64"):
        raise TypeError(f"W has dtype {dtype}; expected float32, float64 or float16")
    for name, array in tensors.items():
        if array.dtype != dtype:
            raise TypeError(f"{name} has dtype {array.dtype}; expected {dtype}, as W")
    return dtype


def _check_shapes(op_type: str, options: Attributes, tensors: Mapping[str, Array]) -> None:
    gates, hidden = len(BLOCKS[op_type]), options.hidden_size
    shapes = {
        "W": (options.directions, gates * hidden, "input_size"),
        "R": (options.directions, gates * hidden, hidden),
        "B": (options.directions, 2 * gates * hidden),
        "P": (options.directions, 3 * hidden),
    }
    for name, array in tensors.items():
        if name not in shapes or (name == "P" and op_type != "LSTM"):
            raise ValueError(f"{name} is no constant tensor of the {op_type}; expected W, R, B, P")
        expected = shapes[name]
        fits = array.ndim == len(expected) and all(
            own == wanted or wanted == "input_size"
            for own, wanted in zip(array.shape, expected, strict=True)
        )
        if not fits:
            shape = ", ".join(map(str, expected))
            raise ValueError(
                f"{name} has shape {array.shape}; expected ({shape}) for "
                f"direction={options.direction!r}, hidden_size={hidden}"
            )


def _weights(
    op_type: str, options: Attributes, tensors: Mapping[str, Array], direction: int, end: str
) -> dict[str, Array]:
    hidden = options.hidden_size
    coupled = bool(options.cells[direction].get("coupled_gates"))
    blocks = _COUPLED if coupled else BLOCKS[op_type]

    def ours(rows: Array) -> Array:
        return np.concatenate([rows[k * hidden : (k + 1) * hidden] for k in blocks])

    weights = {
        "weight_ih" + end: ours(tensors["W"][direction]),
        "weight_hh" + end: ours(tensors["R"][direction]),
    }
    if "B" in tensors:
        for name, bias in zip(("ih", "hh"), np.split(tensors["B"][direction], 2), strict=True):
            weights[f"bias_{name}{end}"] = ours(bias)
    if "P" in tensors:
        thirds = np.split(tensors["P"][direction], 3)
        for gate, place in PEEPHOLES.items():
            if not (coupled and gate == "f"):
                weights[f"weight_c{gate}{end}"] = thirds[place]
    return weights
