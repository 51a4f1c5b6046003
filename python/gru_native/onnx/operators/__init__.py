"""ONNX's operators: RNN, LSTM and GRU on this project's layers, the others on NumPy arrays.

A file has the operators of one subject, each a function under ``registry.operator``.
"""

from . import (  # noqa: F401
    arithmetic,
    convolution,
    functions,
    fused,
    normalization,
    padding,
    parts,
    places,
    pooling,
    quantized,
    recurrent,
    reduce,
    resize,
    shape,
    transposed,
    values,
)
from .registry import compute, find, is_known, names, why_not

__all__ = ["compute", "find", "is_known", "names", "why_not"]
