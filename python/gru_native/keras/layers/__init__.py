"""What Keras's layers are here: callable on arrays as in Keras, with layers of the core inside."""

from .recurrent import (
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

__all__ = [
    "MERGE",
    "Activation",
    "Bidirectional",
    "Dense",
    "Embedding",
    "Identity",
    "Layer",
    "Masking",
    "Recurrent",
    "Sequential",
]
