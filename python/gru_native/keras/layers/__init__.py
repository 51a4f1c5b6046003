"""What Keras's layers are here: callable on arrays as in Keras, with layers of the core inside.

A file has a class, what builds it from a configuration (``registry``), and the way back to Keras.
"""

from .base import Layer
from .bidirectional import Bidirectional
from .convolution import Conv1D
from .convolution2d import Conv2D
from .dense import Dense
from .distributed import TimeDistributed
from .embedding import Embedding
from .functional import Functional
from .functions import Activation, ActivationLayer, Identity
from .masking import Masking
from .merging import Merge, RepeatVector
from .normalization import Normalization
from .padding import ZeroPadding1D, ZeroPadding2D
from .pooling import GlobalPooling1D, Pooling1D
from .pooling2d import GlobalPooling2D, Pooling2D
from .recurrent import Recurrent
from .registry import build
from .reshaping import Reshape
from .separable import SeparableConv
from .sequential import Sequential

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
    "build",
]
