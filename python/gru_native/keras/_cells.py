"""One cell of Keras: its options, and its weights in either convention.

Keras has kernel (input, gates * units), recurrent_kernel (units, gates * units) and one bias
(gates * units,), with the gates i, f, c, o (LSTM) or z, r, h (GRU). A GRU with ``reset_after`` has
two biases, (2, gates * units). The core has them transposed, two biases always, and the GRU's gates
as r, z, n. Converting moves numbers and never changes one, but for adding up two biases where Keras
has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..layers import GRU, LSTM, RNN
from ..layers._arguments import Function
from ..layers._recurrent import USUAL
from ..layers._weights import Array
from ._activations import RECURRENT, keras_name
from ._assignment import Assignment

Native: TypeAlias = RNN | LSTM | GRU

# The core's gates in Keras's order; each is its own inverse.
_ORDER = {"SimpleRNN": [0], "LSTM": [0, 1, 2, 3], "GRU": [1, 0, 2]}


@dataclass(frozen=True)
class Cell:
    """What a SimpleRNN, LSTM or GRU (cell) of Keras is, as far as it concerns its outputs.

    name and the last three do not, but go back to Keras.
    """

    kind: str  # "SimpleRNN", "LSTM" or "GRU"
    name: str
    units: int
    dtype: str
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    use_bias: bool = True
    reset_after: bool = True
    unit_forget_bias: bool = True
    dropout: float = 0.0
    recurrent_dropout: float = 0.0

    def computes_as(self, other: Cell) -> bool:
        return replace(self, name=other.name) == other

    @property
    def states(self) -> int:
        return 2 if self.kind == "LSTM" else 1

    def shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of its tensors, in Keras's order."""
        columns = len(_ORDER[self.kind]) * self.units
        shapes: dict[str, tuple[int, ...]] = {
            "kernel": (input_size, columns),
            "recurrent_kernel": (self.units, columns),
        }
        if self.use_bias:
            both = self.kind == "GRU" and self.reset_after
            shapes["bias"] = (2, columns) if both else (columns,)
        return shapes


def make_native(cell: Cell, input_size: int, *, bidirectional: bool = False) -> Native:
    """A layer of the core for this cell, its weights still to be set.

    Raises ValueError, naming the cell, for activations that the core does not have there.
    """

    def function(option: str) -> Function:
        value: str = getattr(cell, option)
        if value not in RECURRENT:
            raise ValueError(
                f"layer {cell.name!r}: {option} is {value!r}; "
                f"expected one of {', '.join(RECURRENT)}"
            )
        return RECURRENT[value]

    options: dict[str, Any] = {
        "bias": cell.use_bias,
        "batch_first": True,
        "bidirectional": bidirectional,
        "dtype": np.dtype(cell.dtype),
        "seed": 0,
    }
    f = function("activation")
    if cell.kind == "SimpleRNN":
        return RNN(input_size, cell.units, nonlinearity=f, **options)
    options["gate_activation"] = function("recurrent_activation")
    if cell.kind == "LSTM":
        return LSTM(input_size, cell.units, input_activation=f, output_activation=f, **options)
    options["reset_after"] = cell.reset_after
    return GRU(input_size, cell.units, candidate_activation=f, **options)


def _blocks(kind: str, array: Array) -> Array:
    """The gates along the first axis in the other convention's order."""
    order = _ORDER[kind]
    parts = np.split(array, len(order))
    return np.concatenate([parts[i] for i in order])


def to_native(cell: Cell, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Keras's tensors under the core's names, without a suffix."""
    weights = {
        "weight_ih": _blocks(cell.kind, arrays["kernel"].T),
        "weight_hh": _blocks(cell.kind, arrays["recurrent_kernel"].T),
    }
    if cell.use_bias:
        bias = np.atleast_2d(arrays["bias"])
        weights["bias_ih"] = _blocks(cell.kind, bias[0])
        weights["bias_hh"] = (
            _blocks(cell.kind, bias[1]) if len(bias) == 2 else np.zeros_like(bias[0])
        )
    return weights


def to_keras_arrays(cell: Cell, weights: Mapping[str, Array], suffix: str) -> dict[str, Array]:
    """The core's tensors of one layer and direction as Keras has them."""

    def columns(name: str) -> Array:
        return np.ascontiguousarray(_blocks(cell.kind, weights[name + suffix]).T)

    arrays = {"kernel": columns("weight_ih"), "recurrent_kernel": columns("weight_hh")}
    if cell.use_bias:
        ih, hh = columns("bias_ih"), columns("bias_hh")
        both = cell.kind == "GRU" and cell.reset_after
        # Where there is nothing to add nothing is added: -0 + 0 would be 0.
        arrays["bias"] = np.stack([ih, hh]) if both else np.where(hh == 0, ih, ih + hh)
    return arrays


def cells_of(layer: Native, name: str) -> Cell:
    """The Keras cell of each layer and direction of a native layer.

    Raises ValueError, naming the option, for what Keras's layers cannot express.
    """
    options: dict[str, Any] = dict(layer._cell_options)

    def usual(option: str, value: object) -> None:
        found = options.pop(option, value)
        if found != value:
            raise ValueError(
                f"layer has {option}={found!r}, which Keras's layers do not have; "
                f"expected {value!r}"
            )

    kind = "SimpleRNN" if isinstance(layer, RNN) else type(layer).__name__
    reset_after: bool = options.pop("reset_after", True)
    own = {
        "SimpleRNN": "nonlinearity",
        "LSTM": "input_activation",
        "GRU": "candidate_activation",
    }[kind]
    f = options.pop(own)
    usual("output_activation", f)
    activation = keras_name("layer", own, f)
    gate = options.pop("gate_activation", "sigmoid")
    for option in list(options):
        usual(option, USUAL.get(option))
    return Cell(
        kind,
        name,
        layer.hidden_size,
        str(layer.dtype),
        activation=activation,
        recurrent_activation=keras_name("layer", "gate_activation", gate),
        use_bias=layer.bias,
        reset_after=reset_after,
    )


def snake_case(name: str) -> str:
    """A Keras class's name as its groups in files have it: SimpleRNN is simple_rnn."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def numbered(names: Iterable[str]) -> list[str]:
    """The groups of a list in a Keras file: lstm, lstm_1, dense, lstm_2."""
    used: dict[str, int] = {}
    result = []
    for name in names:
        used[name] = used.get(name, -1) + 1
        result.append(f"{name}_{used[name]}" if used[name] else name)
    return result


class Slot(NamedTuple):
    """One cell's place: in a Keras file below ``path``, in a native layer behind ``suffix``."""

    path: str
    cell: Cell
    layer: Native
    suffix: str

    def tensors(self) -> Iterator[tuple[str, Array]]:
        """Path and array of each, in Keras's order."""
        arrays = to_keras_arrays(self.cell, self.layer.weights, self.suffix)
        for i, array in enumerate(arrays.values()):
            yield f"{self.path}/vars/{i}", array

    def set(self, arrays: Mapping[str, Array], into: Assignment) -> None:
        """Let the weights be Keras's tensors."""
        weights = into.weights(self.layer)
        for name, array in to_native(self.cell, arrays).items():
            weights[name + self.suffix] = array

    def assign(self, arrays: Iterator[Array], into: Assignment) -> None:
        """The same with the next arrays in Keras's order."""
        self.set({name: next(arrays) for name in self.cell.shapes(self.layer.input_size)}, into)
