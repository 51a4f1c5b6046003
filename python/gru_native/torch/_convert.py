"""The layers on NumPy arrays from PyTorch's modules, and back, weights to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from .. import layers
from ..layers._arguments import text
from ..layers._recurrent import USUAL
from ._modules import CLASSES
from ._quantized import from_dynamic, kind_of
from ._recurrent import DTYPES, new_layer, own_options


def from_torch(module: nn.Module, *, precision: str | None = None) -> Any:
    """Make the layer on NumPy arrays that computes what a module does.

    Parameters
    ----------
    module : torch.nn.LSTM, GRU, RNN or Linear
        Or one of this package's, on any device, float32, float64 or bfloat16; or an LSTM, GRU or
        Linear of ``torch.ao.nn.quantized.dynamic``. Its weights are copied.
    precision : {"float32"}, optional
        Make a layer of float32 also of weights of fewer bits, with the numbers that they stand for.
        By default a module of bfloat16 becomes a layer of that precision, as ``quantize("bf16")``
        makes it, and a dynamic one of int8 a layer of int8.

    Returns
    -------
    gru_native.LSTM, GRU, RNN or Dense
        The layer, which has the same weights, to the bit.

    Raises
    ------
    TypeError
        For another kind of module.
    ValueError
        For weights of another dtype, or another precision.

    Notes
    -----
    PyTorch's int8 has -128, and layers here do not: such a weight becomes -127 and so differs by
    one step. Weights whose zero points take them beyond 8 bits make a layer of float32, as those of
    float16 do. PyTorch gives all rows of a call one scale for what is multiplied by the weights;
    here each row and step has its own, so outputs are a little nearer to those of float32.
    """
    if precision is not None and text("precision", precision) != "float32":
        raise ValueError(f"precision is {precision!r}; expected 'float32' or None")
    if (dynamic := kind_of(module)) is not None:
        return from_dynamic(module, dynamic, precision is not None)
    own = next((c for c in CLASSES if isinstance(module, c.torch_class)), None)
    if own is None and not isinstance(module, nn.Linear):
        kind = type(module).__name__
        raise TypeError(f"module is a {kind}; expected a torch.nn.LSTM, GRU, RNN or Linear")
    dtype = next(module.parameters()).dtype
    if dtype not in DTYPES and dtype != torch.bfloat16:
        expected = "float32, float64 or bfloat16"
        raise ValueError(f"module has weights of dtype {dtype}; expected {expected}")
    own_dtype = DTYPES.get(dtype, np.float32)
    if own is not None:
        layer = new_layer(module, own.numpy_class, own_dtype, seed=None)
    else:
        sizes = module.in_features, module.out_features
        layer = layers.Dense(*sizes, bias=module.bias is not None, dtype=own_dtype)
    layer.load_state_dict({name: getattr(module, name).detach().cpu() for name in layer.weights})
    return layer.quantize("bf16") if dtype == torch.bfloat16 and precision is None else layer


def to_torch(layer: layers.RNN | layers.LSTM | layers.GRU) -> nn.RNNBase:
    """Make the module that computes what a layer does.

    Parameters
    ----------
    layer : gru_native.LSTM, GRU or RNN
        The layer. Its weights are copied.

    Returns
    -------
    torch.nn.LSTM, GRU or RNN
        The module, which has the same weights, to the bit. If the layer has options that
        ``torch.nn`` does not have, it is the module of this package, a subclass of that.

    Raises
    ------
    TypeError
        For what is no such layer.
    """
    own = next((c for c in CLASSES if type(layer) is c.numpy_class), None)
    if own is None:
        kind = type(layer).__name__
        raise TypeError(f"layer is a {kind}; expected a gru_native.LSTM, GRU or RNN")
    keywords = {name: v for name, v in layer._cell_options.items() if v != USUAL[name]}
    module_class = own if keywords.keys() & own_options(type(layer)).keys() else own.torch_class
    if isinstance(layer, layers.RNN):
        keywords["nonlinearity"] = layer.nonlinearity
    module = module_class(
        layer.input_size,
        layer.hidden_size,
        num_layers=layer.num_layers,
        bias=layer.bias,
        batch_first=layer.batch_first,
        dropout=layer.dropout,
        bidirectional=layer.bidirectional,
        dtype=torch.float32 if layer.dtype == np.float32 else torch.float64,
        **keywords,
    )
    module.load_state_dict({name: torch.from_numpy(w.copy()) for name, w in layer.weights.items()})
    return module
