"""RNN, LSTM and GRU: from a node to layers, and their calls."""

from .eight_bits import QUANTIZED, SCALES
from .layer import Recurrent
from .node import BLOCKS, OPERATORS, PEEPHOLES, make, tensors_of, weights_of

__all__ = [
    "BLOCKS",
    "OPERATORS",
    "PEEPHOLES",
    "QUANTIZED",
    "SCALES",
    "Recurrent",
    "make",
    "tensors_of",
    "weights_of",
]
