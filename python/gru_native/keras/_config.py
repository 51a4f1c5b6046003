"""From Keras's configuration of a layer or model, and its weights, to the layer here.

A configuration is what a .keras file has in config.json, so anything may be in it: every entry that
matters is checked, and an error names the layer and the entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..layers._weights import Array
from ._activations import activation_name
from ._cells import Cell, Recurrence, numbered, snake_case
from ._source import Source, take, take_cell
from .layers import (
    MERGE,
    Activation,
    Bidirectional,
    Dense,
    Embedding,
    Identity,
    Layer,
    Masking,
    Recurrent,
    Sequential,
)

KINDS = ("SimpleRNN", "LSTM", "GRU")
# Of what does nothing in inference, the arguments that go back to Keras.
IDENTITIES = {
    "Dropout": ("rate",),
    "SpatialDropout1D": ("rate",),
    "GaussianDropout": ("rate",),
    "GaussianNoise": ("stddev",),
    "ActivityRegularization": ("l1", "l2"),
}


class Entry:
    """One object of a configuration: its class, its name, and its options, checked one by one."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping) or not isinstance(value.get("config"), Mapping):
            raise ValueError(f"{where} is no configuration of a Keras object")
        self.keras_class = value.get("class_name")
        self._options: Mapping[str, Any] = value["config"]
        name = self._options.get("name")
        self.name = name if isinstance(name, str) else str(self.keras_class)
        module = value.get("module")
        if not isinstance(self.keras_class, str):
            raise ValueError(f"{where} has class_name {self.keras_class!r}; expected a text")
        if value.get("registered_name") not in (None, self.keras_class) or (
            isinstance(module, str) and module.split(".")[0] != "keras"
        ):
            raise ValueError(
                f"layer {self.name!r} is a {self.keras_class}, which is no class of Keras's own"
            )
        self.where = f"layer {self.name!r}"

    def __contains__(self, option: str) -> bool:
        return self._options.get(option) is not None

    def raw(self, option: str) -> Any:
        return self._options.get(option)

    def entry(self, option: str) -> Entry:
        return Entry(self._options.get(option), f"{self.where}: {option}")

    def entries(self, option: str) -> list[Entry]:
        values = self._options.get(option)
        if not isinstance(values, list) or not values:
            raise ValueError(f"{self.where}: {option} is no list of layers")
        return [Entry(value, f"{self.where}: {option}[{i}]") for i, value in enumerate(values)]

    def flag(self, option: str, default: bool = False) -> bool:
        value = self._options.get(option, default)
        if not isinstance(value, bool):
            self._refuse(option, "true or false")
        return bool(value)

    def size(self, option: str) -> int:
        value = self._options.get(option)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**40:
            self._refuse(option, "a whole number from 1")
        return int(value)  # type: ignore[arg-type]

    def number(self, option: str, default: float = 0.0) -> float:
        value = self._options.get(option, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
            self._refuse(option, "a number")
        return float(value)

    def activation(self, option: str, default: str) -> str:
        return activation_name(self.where, option, self._options.get(option, default))

    def dtype(self) -> str:
        value = self._options.get("dtype")
        if isinstance(value, Mapping):
            inner = value.get("config")
            value = inner.get("name") if isinstance(inner, Mapping) else value
        if value is None:
            return "float32"
        if value not in ("float32", "float64"):
            raise ValueError(f"{self.where}: dtype is {value!r}; expected 'float32' or 'float64'")
        return str(value)

    def absent(self, option: str) -> None:
        if self._options.get(option):
            self._refuse(option, "none")

    def _refuse(self, option: str, expected: str) -> None:
        value = repr(self._options.get(option))
        raise ValueError(f"{self.where}: {option} is {value[:80]}; expected {expected}") from None


def build(entry: Entry, source: Source, path: str = "") -> Layer:
    """The layer or model of this configuration. path is what its tensors' paths begin with."""
    kind = entry.keras_class
    if kind in ("Sequential", "Functional"):
        return _model(entry, source, path)
    if kind in (*KINDS, "RNN"):
        return _recurrent(entry, source, path)
    if kind == "Bidirectional":
        return _bidirectional(entry, source, path)
    if kind == "Dense":
        return _dense(entry, source, path, None)
    if kind == "TimeDistributed":
        inner = entry.entry("layer")
        if inner.keras_class != "Dense":
            raise ValueError(
                f"{entry.where}: layer is a {inner.keras_class}; expected a Dense in here"
            )
        return _dense(inner, source, f"{path}layer/", entry.name)
    if kind == "Embedding":
        entry.absent("lora_rank")
        shape = entry.size("input_dim"), entry.size("output_dim")
        table = take(source, f"{path}vars/0", "embeddings", shape, entry.dtype())
        source.close_vars(f"{path}vars", 1)
        return Embedding(entry.name, table, entry.flag("mask_zero"))
    if kind == "Masking":
        return Masking(entry.name, entry.number("mask_value"), entry.dtype())
    if kind == "Activation":
        return Activation(entry.name, entry.activation("activation", "linear"), entry.dtype())
    if kind in IDENTITIES:
        options = {option: entry.number(option) for option in IDENTITIES[kind]}
        return Identity(entry.name, kind, options, entry.dtype())
    raise ValueError(
        f"layer {entry.name!r} is a {kind}; expected SimpleRNN, LSTM, GRU, RNN, Bidirectional, "
        f"Dense, TimeDistributed, Embedding, Masking, Activation, {', '.join(IDENTITIES)}, "
        "or a Sequential of these"
    )


def _cell(entry: Entry, kind: str, name: str) -> Cell:
    return Cell(
        kind,
        name,
        entry.size("units"),
        entry.dtype(),
        activation=entry.activation("activation", "tanh"),
        recurrent_activation=entry.activation("recurrent_activation", "sigmoid"),
        use_bias=entry.flag("use_bias", True),
        reset_after=entry.flag("reset_after", True),
        unit_forget_bias=entry.flag("unit_forget_bias", True),
        dropout=entry.number("dropout"),
        recurrent_dropout=entry.number("recurrent_dropout"),
    )


def _recurrence(entry: Entry) -> Recurrence:
    entry.absent("stateful")
    stacked = False
    if entry.keras_class in KINDS:
        cells = [_cell(entry, str(entry.keras_class), entry.name)]
    elif entry.keras_class == "RNN":
        cell = entry.entry("cell")
        stacked = cell.keras_class == "StackedRNNCells"
        cells = []
        for own in cell.entries("cells") if stacked else [cell]:
            kind = str(own.keras_class).removesuffix("Cell")
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
        str(entry.keras_class),
        stacked,
        return_sequences=entry.flag("return_sequences"),
        return_state=entry.flag("return_state"),
        go_backwards=entry.flag("go_backwards"),
        zero_output_for_mask=entry.flag("zero_output_for_mask"),
    )


def _take_cells(spec: Recurrence, source: Source, path: str) -> list[dict[str, Array]]:
    arrays: list[dict[str, Array]] = []
    input_size: int | None = None
    for cell, own in zip(spec.cells, spec.cell_paths(), strict=True):
        arrays.append(take_cell(source, path + own, cell, input_size))
        input_size = cell.units
    return arrays


def _recurrent(entry: Entry, source: Source, path: str) -> Recurrent:
    spec = _recurrence(entry)
    return Recurrent(spec, _take_cells(spec, source, path))


def _bidirectional(entry: Entry, source: Source, path: str) -> Bidirectional:
    forward = _recurrence(entry.entry("layer"))
    backward = _recurrence(entry.entry("backward_layer"))
    for option in ("return_sequences", "return_state"):
        if getattr(forward, option) != getattr(backward, option):
            raise ValueError(f"{entry.where}: {option} differs between the directions")
    if forward.go_backwards == backward.go_backwards:
        raise ValueError(f"{entry.where}: both directions have the same go_backwards")
    if forward.cells[0].dtype != backward.cells[0].dtype:
        raise ValueError(f"{entry.where}: the directions have different dtypes")
    mode = entry.raw("merge_mode")
    if not (mode is None or isinstance(mode, str)) or mode not in MERGE:
        raise ValueError(
            f"{entry.where}: merge_mode is {mode!r}; expected one of {', '.join(map(repr, MERGE))}"
        )
    units = forward.cells[-1].units, backward.cells[-1].units
    if mode in ("sum", "mul", "ave") and units[0] != units[1]:
        raise ValueError(
            f"{entry.where}: merge_mode is {mode!r}, but the directions have {units[0]} and "
            f"{units[1]} units; expected the same"
        )
    arrays = (
        _take_cells(forward, source, f"{path}forward_layer/"),
        _take_cells(backward, source, f"{path}backward_layer/"),
    )
    return Bidirectional(entry.name, (forward, backward), mode, arrays)


def _dense(entry: Entry, source: Source, path: str, time_distributed: str | None) -> Dense:
    entry.absent("lora_rank")
    units, dtype = entry.size("units"), entry.dtype()
    arrays = {"kernel": take(source, f"{path}vars/0", "kernel", (None, units), dtype)}
    if entry.flag("use_bias", True):
        arrays["bias"] = take(source, f"{path}vars/1", "bias", (units,), dtype)
    source.close_vars(f"{path}vars", len(arrays))
    return Dense(entry.name, entry.activation("activation", "linear"), arrays, time_distributed)


def _model(entry: Entry, source: Source, path: str) -> Sequential:
    entries = entry.entries("layers")
    if entry.keras_class == "Functional":
        entries = _in_a_row(entry, entries)
    shape = None
    if entries[0].keras_class == "InputLayer":
        shape = _input_shape(entries.pop(0))
    for inner in entries:
        if inner.keras_class in ("Sequential", "Functional", "InputLayer"):
            raise ValueError(
                f"{inner.where}: a {inner.keras_class} inside a model is not supported"
            )
    groups = numbered(snake_case(str(inner.keras_class)) for inner in entries)
    layers = [
        build(inner, source, f"{path}layers/{group}/")
        for inner, group in zip(entries, groups, strict=True)
    ]
    for layer in layers[:-1]:
        if isinstance(layer, Recurrent) and layer.spec.return_state:
            raise ValueError(f"layer {layer.name!r} has return_state, but layers follow")
        if isinstance(layer, Bidirectional) and (layer.return_state or layer.merge_mode is None):
            raise ValueError(f"layer {layer.name!r} has several outputs, but layers follow")
    _check_sizes(layers, shape)
    return Sequential(entry.name, layers, shape)


def _check_sizes(layers: list[Layer], shape: tuple[int | None, ...] | None) -> None:
    """Each layer must read as many numbers a step as the one before it gives."""
    width = shape[-1] if shape and len(shape) > 2 else None
    for layer in layers:
        reads, gives = layer._sizes()
        if None not in (reads, width) and reads != width:
            raise ValueError(
                f"layer {layer.name!r} has weights for inputs of size {reads}; expected {width}, "
                "the size of what it reads"
            )
        width = gives or width


def _input_shape(entry: Entry) -> tuple[int | None, ...]:
    shape = entry.raw("batch_shape")
    if not isinstance(shape, (list, tuple)) or not all(
        n is None or (isinstance(n, int) and not isinstance(n, bool) and n > 0) for n in shape
    ):
        raise ValueError(f"{entry.where}: batch_shape is {shape!r}; expected a list of sizes")
    return tuple(shape)


def _in_a_row(model: Entry, entries: list[Entry]) -> list[Entry]:
    """The layers of a functional model in which each reads the one before it, and no other.

    Keras puts the mask that a Masking or an Embedding makes into such a model as operations of
    their own, NotEqual and Any, and hands it to the layers that follow. A Sequential does the same
    by itself, so these are left out, if they are just that.
    """
    nodes = model.raw("layers")
    row: list[Entry] = []
    masks: list[str] = []
    compared: list[Any] = []  # what the masks are where x is not
    for entry, node in zip(entries, nodes, strict=True):
        calls = node.get("inbound_nodes")
        if not isinstance(calls, list) or len(calls) != (entry.keras_class != "InputLayer"):
            raise ValueError(f"{entry.where} is called several times; expected once")
        call = calls[0] if calls and isinstance(calls[0], Mapping) else {}
        given = _tensors_in(call.get("args"))
        if entry.keras_class in ("NotEqual", "Any") and row and len(given) == 1:
            made_from = row[-2].name if len(row) > 1 and _masks(row[-1]) else ""
            if given[0] in (row[-1].name, made_from, *masks):
                masks.append(entry.name)
                compared += call["args"][1:] if entry.keras_class == "NotEqual" else []
                continue
        masked = _tensors_in(call.get("kwargs"))
        if given != [own.name for own in row[-1:]] or not set(masked) <= set(masks):
            raise ValueError(
                f"{entry.where} does not read just the layer before it; expected a model whose "
                "layers follow one another"
            )
        row.append(entry)
    known = [entry.raw("mask_value") for entry in row if entry.keras_class == "Masking"]
    known += [0 for entry in row if entry.keras_class == "Embedding" and entry.flag("mask_zero")]
    if not all(value in known for value in compared) or (masks and not compared):
        raise ValueError(
            f"{model.where} has a mask of its own; expected those of Masking and Embedding layers"
        )
    outputs = model.raw("output_layers")
    if not row or outputs not in ([row[-1].name, 0, 0], [[row[-1].name, 0, 0]]):
        raise ValueError(f"{model.where} gives {outputs!r}; expected the last layer's output only")
    return row


def _masks(entry: Entry) -> bool:
    return entry.keras_class in ("Masking", "Embedding")


def _tensors_in(value: Any, depth: int = 0) -> list[str]:
    """The names of the layers that the tensors among a call's arguments come from."""
    if depth > 8:
        raise ValueError("inbound_nodes are nested too deeply")
    if isinstance(value, Mapping):
        if value.get("class_name") != "__keras_tensor__":
            return [name for inner in value.values() for name in _tensors_in(inner, depth + 1)]
        config = value.get("config")
        history = config.get("keras_history") if isinstance(config, Mapping) else None
        if not isinstance(history, list) or len(history) != 3 or history[1:] != [0, 0]:
            raise ValueError(f"keras_history is {history!r}; expected [layer, 0, 0]")
        return [str(history[0])]
    if isinstance(value, (list, tuple)):
        return [name for inner in value for name in _tensors_in(inner, depth + 1)]
    return []
