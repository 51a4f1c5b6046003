"""A recurrent layer of Keras: its cells and options, from a configuration and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..layers._weights import Array
from ._activations import check_keras_3
from ._cells import Cell, numbered, snake_case
from ._config import Entry
from ._source import Source, take_cell

KINDS = ("SimpleRNN", "LSTM", "GRU")
CUDNN = {"CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}


@dataclass(frozen=True)
class Recurrence:
    """What a recurrent layer of Keras is, without its weights; the options are Keras's."""

    name: str
    cells: tuple[Cell, ...]
    keras_class: str  # the cell's kind, or "RNN" for a layer made from cells
    stacked: bool = False  # RNN(StackedRNNCells(cells))
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    zero_output_for_mask: bool = False
    time_major: bool = False  # in Keras 2: x and y are (seq, batch, size)

    def cell_paths(self) -> list[str]:
        if not self.stacked:
            return ["cell"]
        kinds = (snake_case(f"{cell.kind}Cell") for cell in self.cells)
        return [f"cell/cells/{name}" for name in numbered(kinds)]

    def mirrors(self, other: Recurrence) -> bool:
        """Whether other does the same backwards, with one cell, so that the core joins them."""
        return (
            len(self.cells) == len(other.cells) == 1
            and not self.stacked
            and not other.stacked
            and not self.go_backwards
            and other.go_backwards
            and self.time_major == other.time_major
            and self.cells[0].computes_as(other.cells[0])
        )


def _cell(entry: Entry, kind: str, name: str) -> Cell:
    if entry.keras_class in CUDNN:  # these have no options but sizes
        return Cell(kind, name, entry.size("units"), entry.dtype())
    return Cell(
        kind,
        name,
        entry.size("units"),
        entry.dtype(),
        activation=entry.activation("activation", "tanh"),
        recurrent_activation=entry.activation(
            "recurrent_activation", "hard_sigmoid" if entry.keras_2 else "sigmoid"
        ),
        use_bias=entry.flag("use_bias", True),
        reset_after=entry.flag("reset_after", not entry.keras_2),
        unit_forget_bias=entry.flag("unit_forget_bias", True),
        dropout=entry.number("dropout"),
        recurrent_dropout=entry.number("recurrent_dropout"),
    )


def recurrence_of(entry: Entry) -> Recurrence:
    """Raises ValueError, naming layer and option."""
    entry.absent("stateful")
    stacked = False
    keras_class = CUDNN.get(entry.keras_class, entry.keras_class)
    if keras_class in KINDS:
        cells = [_cell(entry, keras_class, entry.name)]
    elif entry.keras_class == "RNN":
        cell = entry.entry("cell")
        stacked = cell.keras_class == "StackedRNNCells"
        cells = []
        for own in cell.entries("cells") if stacked else [cell]:
            kind = own.keras_class.removesuffix("Cell")
            if own.keras_class not in [f"{known}Cell" for known in KINDS]:
                raise ValueError(
                    f"{entry.where} has a cell of class {own.keras_class}; expected one of "
                    "SimpleRNNCell, LSTMCell, GRUCell"
                )
            cells.append(_cell(own, kind, own.name))
    else:
        raise ValueError(
            f"{entry.where} is a {entry.keras_class}; expected SimpleRNN, LSTM, GRU or RNN here"
        )
    if len({cell.dtype for cell in cells}) > 1:
        raise ValueError(f"{entry.where} has cells of several dtypes; expected one")
    return Recurrence(
        entry.name,
        tuple(cells),
        keras_class,
        stacked,
        return_sequences=entry.flag("return_sequences"),
        return_state=entry.flag("return_state"),
        go_backwards=entry.flag("go_backwards"),
        zero_output_for_mask=entry.flag("zero_output_for_mask"),
        time_major=entry.flag("time_major"),
    )


def take_cells(spec: Recurrence, source: Source, path: str) -> list[dict[str, Array]]:
    """The tensors of each cell, by their names in Keras."""
    arrays: list[dict[str, Array]] = []
    input_size: int | None = None
    for cell, own in zip(spec.cells, spec.cell_paths(), strict=True):
        arrays.append(take_cell(source, path + own, cell, input_size))
        input_size = cell.units
    return arrays


def _cell_options(cell: Cell) -> dict[str, Any]:
    check_keras_3(f"layer {cell.name!r}", cell.activation, cell.recurrent_activation)
    options: dict[str, Any] = {
        "units": cell.units,
        "activation": cell.activation,
        "use_bias": cell.use_bias,
        "dropout": cell.dropout,
        "recurrent_dropout": cell.recurrent_dropout,
        "name": cell.name,
        "dtype": cell.dtype,
    }
    if cell.kind != "SimpleRNN":
        options["recurrent_activation"] = cell.recurrent_activation
    if cell.kind == "LSTM":
        options["unit_forget_bias"] = cell.unit_forget_bias
    if cell.kind == "GRU":
        options["reset_after"] = cell.reset_after
    return options


def to_keras_layer(keras: Any, spec: Recurrence) -> Any:
    """The live object of Keras, not yet with weights."""
    if spec.time_major:
        raise ValueError(f"layer {spec.name!r} has time_major, which Keras 3 does not have")
    layers = keras.layers
    options = {
        option: getattr(spec, option)
        for option in ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask")
    }
    if spec.keras_class != "RNN":
        own = _cell_options(spec.cells[0]) | options | {"name": spec.name}
        return getattr(layers, spec.keras_class)(**own)
    cells = [getattr(layers, f"{cell.kind}Cell")(**_cell_options(cell)) for cell in spec.cells]
    dtype = spec.cells[0].dtype
    cell = layers.StackedRNNCells(cells, dtype=dtype) if spec.stacked else cells[0]
    return layers.RNN(cell, name=spec.name, dtype=dtype, **options)
