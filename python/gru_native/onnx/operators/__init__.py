"""ONNX's operators: RNN, LSTM and GRU on this project's layers, the others on NumPy arrays.

A file has the operators of one subject, each a function under ``registry.operator``.
"""

from . import (  # noqa: F401
    arithmetic,
    functions,
    parts,
    quantized,
    recurrent,
    reduce,
    shape,
    values,
)
from .registry import compute, find, names

__all__ = ["compute", "find", "names"]
