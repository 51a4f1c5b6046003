"""To and from live Keras objects."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from .._core import a_type
from ..layers import Chain
from ..layers import Dense as NativeDense
from ._cells import Native
from ._config import Entry
from ._native import from_native
from ._source import Arrays
from .layers import Functional, Layer, Sequential, build


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
        raise TypeError(f"layer is {a_type(layer)}; expected a layer or a model of Keras 3")
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
        Sequential of these; all with ``return_sequences`` unless a Pool takes the last step. A
        Chain becomes a Sequential, with Residual or Parallel blocks a functional model. Images go
        into it as they do into the chain, (batch, channels, height, width).

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
    ours = layer if isinstance(layer, Layer) else from_native(layer)
    built = ours._to_keras(keras)
    if not isinstance(ours, (Sequential, Functional)):
        built.build(ours._input_shape())
    weights = ours.get_weights()
    if weights and not isinstance(ours, Functional):
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
