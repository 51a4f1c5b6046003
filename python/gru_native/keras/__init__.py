"""Layers and models of Keras 3 on this core, and back.

    >>> from gru_native.keras import from_keras, load, to_keras
    >>> layer = from_keras(keras_lstm)          # a built keras.layers.LSTM
    >>> y = layer(x)                            # x (batch, seq, input), NumPy
    >>> model = load("model.keras")             # needs h5py, and neither Keras nor a back end
    >>> chain = model.chain()                   # to stream, to save as this project's file

``from_keras`` returns an object that is called like the Keras layer: batch first, ``mask=``,
``initial_state=``, one output or all. Inside are layers of the core (``layer.layer``), with Keras's
weights in the core's order. ``to_keras`` is the way back; weights are the same bits both ways.

Importing this module imports neither Keras nor h5py. Extra ``keras``; Keras also needs a back end,
which is yours to choose.
"""

from ._export import from_keras, to_keras
from ._files import load, load_weights
from .layers import (
    Activation,
    ActivationLayer,
    Bidirectional,
    Conv1D,
    Conv2D,
    Dense,
    Embedding,
    Functional,
    GlobalPooling1D,
    GlobalPooling2D,
    Identity,
    Layer,
    Masking,
    Merge,
    Normalization,
    Pooling1D,
    Pooling2D,
    Recurrent,
    RepeatVector,
    Reshape,
    SeparableConv,
    Sequential,
    TimeDistributed,
    ZeroPadding1D,
    ZeroPadding2D,
)

__all__ = [
    "Activation",
    "ActivationLayer",
    "Bidirectional",
    "Conv1D",
    "Conv2D",
    "Dense",
    "Embedding",
    "Functional",
    "GlobalPooling1D",
    "GlobalPooling2D",
    "Identity",
    "Layer",
    "Masking",
    "Merge",
    "Normalization",
    "Pooling1D",
    "Pooling2D",
    "Recurrent",
    "RepeatVector",
    "Reshape",
    "SeparableConv",
    "Sequential",
    "TimeDistributed",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "from_keras",
    "load",
    "load_weights",
    "to_keras",
]
