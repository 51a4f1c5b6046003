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
from ._cells import Cell, Native, cells_of, to_keras_arrays
from ._config import Entry
from ._recurrence import Recurrence
from ._source import Arrays
from .layers import Bidirectional, Dense, Layer, Recurrent, Sequential, build


def from_keras(layer: Any) -> Layer:
    """Put a Keras layer or model on this core, with copies of its weights.

    Parameters
    ----------
    layer : keras.layers.Layer
        A built SimpleRNN, LSTM, GRU, RNN over one or more of their cells, Bidirectional, Dense,
        Embedding, Masking, a convolution or pool over time or of images, BatchNormalization,
        LayerNormalization, ZeroPadding1D or 2D, Reshape, Permute, Flatten, RepeatVector, an
        activation, Dropout or its kin, or a TimeDistributed of one; or a Sequential of these, or a
        functional model, in which Add, Concatenate and their kin join; also models within models.

    Returns
    -------
    Layer
        An object that is called on arrays: a ``Recurrent``, ``Bidirectional``, ``Sequential`` and
        so on.

    Raises
    ------
    ValueError
        For a layer that is not built, a class or an option that is not known here, such as an
        activation that the core does not have, ``stateful``, or a dtype other than float32 and
        float64; the text names the layer.
    TypeError
        For what is no Keras layer.
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
    """Make a built Keras layer or model with the same weights.

    Where Keras has one bias, the two of the core are added up; everything else is the same bits.
    Initialisers, regularisers and constraints are Keras's usual ones. Dropout between the layers of
    a stack is not carried over.

    Parameters
    ----------
    layer : Layer, or a layer or Chain of gru_native
        What ``from_keras`` made, or a layer of the core: an RNN, LSTM or GRU of one layer becomes a
        SimpleRNN, LSTM or GRU, a stack an RNN of cells, a bidirectional one a Bidirectional or a
        Sequential of these, and a Chain a Sequential; all with ``return_sequences``.

    Returns
    -------
    keras.layers.Layer
        The built layer or model.

    Raises
    ------
    ImportError
        Without Keras.
    ValueError
        For what Keras's layers cannot express, such as peepholes or projections; the text names the
        option.
    TypeError
        For another kind of object.
    """
    keras = _keras()
    ours = layer if isinstance(layer, Layer) else _from_native(layer)
    built = ours._to_keras(keras)
    if not isinstance(ours, Sequential):
        built.build(ours._input_shape())
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
        elif isinstance(block, (RNN, LSTM, GRU)):
            blocks += _recurrent_from_native(block, name)
        else:
            raise TypeError(
                f"layer has a {type(block).__name__}; expected a Chain of RNN, LSTM, GRU and Dense"
            )
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
