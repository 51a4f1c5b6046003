"""To and from live Keras objects."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ..layers import GRU, LSTM, RNN, Chain
from ..layers import Dense as NativeDense
from ..layers._weights import Array
from ._activations import keras_name
from ._cells import Cell, Native, Recurrence, cells_of, to_keras_arrays
from ._config import Entry, build
from ._source import Arrays
from .layers import (
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


def from_keras(layer: Any) -> Layer:
    """The Keras layer or model on this core: callable on arrays, with copies of its weights.

    layer is a built SimpleRNN, LSTM, GRU, RNN over one or more of their cells, Bidirectional,
    Dense, TimeDistributed(Dense), Embedding, Masking or Activation, or a Sequential, or a
    functional model in which each layer reads the one before, of these, Dropout and its kin.
    Returns a ``Recurrent``, ``Bidirectional``, ``Sequential``, ...: see there.

    Raises TypeError for what is no Keras layer; ValueError, naming the layer, for one that is not
    built, a class or an option that is not known here, such as an activation that the core does
    not have, ``stateful``, or a dtype other than float32 and float64.
    """
    keras = sys.modules.get("keras")
    if keras is None or not isinstance(layer, keras.layers.Layer):
        raise TypeError(
            f"layer is a {type(layer).__name__}; expected a layer or a model of Keras 3"
        )
    if not layer.built:
        raise ValueError(f"layer {layer.name!r} has no weights yet; expected one that is built")
    source = Arrays(layer.get_weights())
    result = build(Entry(keras.saving.serialize_keras_object(layer), "layer"), source)
    source.close()
    return result


def to_keras(layer: Layer | Native | NativeDense | Chain) -> Any:
    """A built Keras layer or model with the same weights, for what ``from_keras`` made and more.

    layer may also be a layer of the core: one with one layer becomes a SimpleRNN, LSTM or GRU, a
    stack an RNN of cells, a bidirectional one a Bidirectional or a Sequential of these, a Chain a
    Sequential; all with ``return_sequences``. Where Keras has one bias the two of the core are
    added up; all else is the same bits. Initialisers, regularisers and constraints are Keras's
    usual ones, and dropout between the layers of a stack is not carried over.

    Raises ImportError without Keras, TypeError for other objects, and ValueError, naming the
    option, for what Keras's layers cannot express, such as peepholes or projections.
    """
    keras = _keras()
    ours = layer if isinstance(layer, Layer) else _from_native(layer)
    built = _make(keras, ours)
    if not isinstance(ours, Sequential):
        built.build(_shape(ours))
    weights = ours.get_weights()
    if weights:
        built.set_weights(weights)
    return built


def _keras() -> Any:
    try:
        return importlib.import_module("keras")
    except ImportError as error:
        raise ImportError(
            "this needs Keras 3 and one of its back ends, such as torch: python -m pip install "
            f'"gru-native[keras]" torch ({error})'
        ) from None


def _shape(layer: Layer) -> tuple[int | None, ...]:
    if isinstance(layer, (Recurrent, Bidirectional)):
        return (None, None, layer.input_size)
    if isinstance(layer, Dense):
        size = layer.layer.input_size
        return (None, size) if layer.time_distributed is None else (None, None, size)
    return (None, None) if isinstance(layer, Embedding) else (None, None, None)


def _make(keras: Any, layer: Layer) -> Any:
    """The Keras object, not yet with these weights."""
    layers = keras.layers
    if isinstance(layer, Recurrent):
        return _recurrent(keras, layer.spec)
    if isinstance(layer, Bidirectional):
        forward, backward = (_recurrent(keras, spec) for spec in layer.specs)
        return layers.Bidirectional(
            forward,
            merge_mode=layer.merge_mode,
            backward_layer=backward,
            name=layer.name,
            dtype=layer.specs[0].cells[0].dtype,
        )
    if isinstance(layer, Dense):
        dense = layers.Dense(
            layer.layer.output_size,
            activation=layer.activation,
            use_bias=layer.layer.bias,
            name=layer.name,
            dtype=str(layer.layer.dtype),
        )
        if layer.time_distributed is None:
            return dense
        return layers.TimeDistributed(
            dense, name=layer.time_distributed, dtype=str(layer.layer.dtype)
        )
    if isinstance(layer, Embedding):
        return layers.Embedding(
            *layer.table.shape,
            mask_zero=layer.mask_zero,
            name=layer.name,
            dtype=str(layer.table.dtype),
        )
    if isinstance(layer, Masking):
        return layers.Masking(layer.mask_value, name=layer.name, dtype=layer.dtype)
    if isinstance(layer, Activation):
        return layers.Activation(layer.activation, name=layer.name, dtype=layer.dtype)
    if isinstance(layer, Identity):
        kind = getattr(layers, layer.keras_class)
        return kind(**layer.options, name=layer.name, dtype=layer.dtype)
    assert isinstance(layer, Sequential)
    inner = [_make(keras, own) for own in layer.layers]
    shape = layer.input_shape or next(
        (_shape(own) for own in layer.layers if own.num_parameters), (None, None, None)
    )
    whole = bool(layer.layers) and isinstance(layer.layers[0], Embedding)
    dtype = "int32" if whole else inner[0].compute_dtype if inner else "float32"
    start = keras.Input(batch_shape=shape, dtype=dtype)
    return keras.Sequential([start, *inner], name=layer.name)


def _cell_options(cell: Cell) -> dict[str, Any]:
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


def _recurrent(keras: Any, spec: Recurrence) -> Any:
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


def _from_native(layer: Native | NativeDense | Chain) -> Layer:
    """A layer of the core as a Keras layer, with copies of the weights."""
    if isinstance(layer, NativeDense):
        return _dense_from_native(layer, "dense")
    if isinstance(layer, (RNN, LSTM, GRU)):
        layers = _recurrent_from_native(layer, type(layer).__name__.lower())
        return layers[0] if len(layers) == 1 else Sequential("stack", layers, None)
    if not isinstance(layer, Chain):
        raise TypeError(
            f"layer is a {type(layer).__name__}; expected an RNN, LSTM, GRU, Dense or Chain, or "
            "what from_keras made"
        )
    blocks: list[Layer] = []
    for i, block in enumerate(layer.blocks):
        name = f"{type(block).__name__.lower()}_{i}"
        if isinstance(block, NativeDense):
            blocks.append(_dense_from_native(block, name))
        else:
            blocks += _recurrent_from_native(block, name)
    return Sequential("chain", blocks, (None, None, layer.input_size))


def _dense_from_native(layer: NativeDense, name: str) -> Dense:
    arrays = {"kernel": layer.weights["weight"].T}
    if layer.bias:
        arrays["bias"] = layer.weights["bias"]
    return Dense(name, keras_name("layer", "activation", layer.activation), arrays)


def _recurrent_from_native(layer: Native, name: str) -> Sequence[Layer]:
    def arrays(cell: Cell, k: int, end: str) -> Mapping[str, Array]:
        return to_keras_arrays(cell, layer.weights, f"_l{k}{end}")

    cells = tuple(
        cells_of(layer, name if layer.num_layers == 1 else f"{name}_{k}")
        for k in range(layer.num_layers)
    )
    kind = cells[0].kind
    if not layer.bidirectional:
        stacked = len(cells) > 1
        spec = Recurrence(name, cells, "RNN" if stacked else kind, stacked, return_sequences=True)
        return [Recurrent(spec, [arrays(cell, k, "") for k, cell in enumerate(cells)])]
    layers = []
    for k, cell in enumerate(cells):
        specs = tuple(
            Recurrence(
                f"{part}_{cell.name}",
                (cell,),
                kind,
                return_sequences=True,
                go_backwards=part == "backward",
                zero_output_for_mask=True,
            )
            for part in ("forward", "backward")
        )
        own = [arrays(cell, k, "")], [arrays(cell, k, "_reverse")]
        layers.append(Bidirectional(cell.name, (specs[0], specs[1]), "concat", own))
    return layers
