"""RNN, LSTM and GRU: from a node to layers, and their calls."""

from .layer import Recurrent
from .node import BLOCKS, OPERATORS, PEEPHOLES, make, tensors_of, weights_of

__all__ = ["BLOCKS", "OPERATORS", "PEEPHOLES", "Recurrent", "make", "tensors_of", "weights_of"]
