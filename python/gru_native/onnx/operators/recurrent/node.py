"""From a node's attributes and tensors to layers.

ONNX's conventions: gates in the order i o f c (LSTM) and z r h (GRU), with W's and R's biases in
one row; peepholes i o f; a leading axis of directions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...._core import numpy_array
from ....layers import GRU, LSTM, RNN
from ....layers._weights import Array
from ..._model import RUNTIME, Node
from ..registry import operator
from .attributes import Attributes, read
from .eight_bits import QUANTIZED, SCALES, in_whole_numbers
from .layer import Recurrent

OPERATORS = ("RNN", "LSTM", "GRU", QUANTIZED)
# Our blocks of rows (i f g o, r z n) from ONNX's.
BLOCKS = {"RNN": (0,), "LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2)}
_COUPLED = (0, 3, 1)  # f has no weights of its own
PEEPHOLES = {"i": 0, "o": 1, "f": 2}
_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")  # of the LSTM
_WEIGHTS = ("W", "R", "B", "P", *SCALES)


def tensors_of(node: Node) -> dict[str, str]:
    """The tensors that a node has, by the names of the operator's documentation."""
    orders = {"LSTM": _INPUTS, QUANTIZED: (*_INPUTS, *SCALES)}
    order = orders.get(node.op, _INPUTS[:6])
    return {role: name for role, name in zip(order, node.inputs, strict=False) if name}


def weights_of(node: Node) -> dict[str, str]:
    """Those that the layers are made of."""
    return {role: name for role, name in tensors_of(node).items() if role in _WEIGHTS}


def make(node: Node, values: Mapping[str, Array]) -> Recurrent:
    """The layers of a node; values has its weights. Raises as ``recurrent``."""
    weights = {role: values[name] for role, name in weights_of(node).items()}
    if node.op == QUANTIZED:
        return quantized(node.attributes, weights)
    return recurrent(node.op, node.attributes, weights)


@operator("RNN", "LSTM", "GRU", since=1)
def _recurrent(
    node: Node,
    X: Array,
    W: Array,
    R: Array,
    B: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    initial_c: Array | None = None,
    P: Array | None = None,
) -> Sequence[Any]:
    made = recurrent(node.op, node.attributes, {"W": W, "R": R, "B": B, "P": P})
    outputs = made.run(X, sequence_lens, initial_h, initial_c)
    return [array for array in outputs if array is not None]


@operator(QUANTIZED, since=1, domain=RUNTIME)
def _quantized(
    node: Node,
    X: Array,
    W: Array,
    R: Array,
    B: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    initial_c: Array | None = None,
    P: Array | None = None,
    W_scale: Array | None = None,
    W_zero_point: Array | None = None,
    R_scale: Array | None = None,
    R_zero_point: Array | None = None,
) -> Sequence[Any]:
    raise ValueError("has weights that the model computes; expected constants")


def quantized(attributes: Mapping[str, Any], tensors: Mapping[str, Array]) -> Recurrent:
    """ONNX Runtime's DynamicQuantizeLSTM, whose W and R are of 8 bits, columns by gate.

    Its layers are of int8 with the same bits if zero points leave all numbers within -127 to 127,
    and else of float32. Raises as ``recurrent``.
    """
    numbers = {role: in_whole_numbers(role, tensors) for role in ("W", "R")}
    others = {role: tensors[role] for role in ("B", "P") if role in tensors}
    floats = {role: n.q.astype(np.float32) * n.scale[..., None] for role, n in numbers.items()}
    made = recurrent("LSTM", attributes, {**floats, **others})
    if not all(n.fits for n in numbers.values()):
        return made
    options = read("LSTM", attributes, floats["R"].shape[2])
    whole = {role: n.q.astype(np.int8) for role, n in numbers.items()} | others
    scales = {role: n.scale for role, n in numbers.items()}
    layers = []
    for first, layer in enumerate(made.layers):
        stored: dict[str, Array] = {}
        for d in range(2 if layer.bidirectional else 1):
            end = "_l0" + "_reverse" * d
            stored |= _weights("LSTM", options, whole, first + d, end)
            for name, rows in _weights("LSTM", options, scales, first + d, end).items():
                stored[f"{name}.scale"] = rows
        layers.append(layer._of_few_bits("int8", stored))
    return replace(made, layers=tuple(layers))


def recurrent(
    op_type: str, attributes: Mapping[str, Any], tensors: Mapping[str, Array | None]
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
    given = {
        name: numpy_array(name, value, "numbers")
        for name, value in tensors.items()
        if value is not None
    }
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
