"""What Keras's layers are here: callable on arrays as in Keras, with layers of the core inside.

A file has a class, what builds it from a configuration (``registry``), and the way back to Keras.
"""

from .base import Layer
from .bidirectional import Bidirectional
from .dense import Dense
from .embedding import Embedding
from .functions import Activation, Identity
from .masking import Masking
from .recurrent import Recurrent
from .registry import build
from .sequential import Sequential

__all__ = [
    "Activation",
    "Bidirectional",
    "Dense",
    "Embedding",
    "Identity",
    "Layer",
    "Masking",
    "Recurrent",
    "Sequential",
    "build",
]
