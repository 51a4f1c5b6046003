"""ONNX: the operators RNN, LSTM and GRU on this core. Needs the package onnx (extra ``[onnx]``)."""

try:
    import onnx as _onnx  # noqa: F401
except ImportError as error:
    raise ImportError(
        "gru_native.onnx needs the package onnx: pip install 'gru-native[onnx]'"
    ) from error

from ._backend import Backend, Prepared
from ._export import export
from ._load import Model, layers, load
from ._stream import ModelStream

prepare = Backend.prepare
run_model = Backend.run_model
run_node = Backend.run_node
supports_device = Backend.supports_device
is_compatible = Backend.is_compatible

__all__ = [
    "Backend",
    "Model",
    "ModelStream",
    "Prepared",
    "export",
    "is_compatible",
    "layers",
    "load",
    "prepare",
    "run_model",
    "run_node",
    "supports_device",
]
