"""ONNX: the operators RNN, LSTM and GRU on this core. Needs the package onnx (extra ``[onnx]``)."""

try:
    import onnx as _onnx  # noqa: F401
except ImportError as error:
    raise ImportError(
        "gru_native.onnx needs the package onnx: pip install 'gru-native[onnx]'"
    ) from error

from ._export import export
from ._load import Model, load
from ._stream import ModelStream

__all__ = ["Model", "ModelStream", "export", "load"]
