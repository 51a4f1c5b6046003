"""The layers on NumPy arrays from PyTorch's modules, and back, weights to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from .. import layers
from ..layers._recurrent import USUAL
from ._function import array_of
from ._modules import CLASSES
from ._recurrent import DTYPES, new_layer, own_options


def from_torch(module: nn.Module) -> Any:
    """Make the layer on NumPy arrays that computes what a module does.

    Parameters
    ----------
    module : torch.nn.LSTM, GRU or RNN
        Or one of this package's, on any device, float32 or float64. Its weights are copied.

    Returns
    -------
    gru_native.LSTM, GRU or RNN
        The layer, which has the same weights, to the bit.

    Raises
    ------
    TypeError
        For another kind of module.
    ValueError
        For weights of another dtype.
    """
    own = next((c for c in CLASSES if isinstance(module, c.torch_class)), None)
    if own is None:
        kind = type(module).__name__
        raise TypeError(f"module is a {kind}; expected a torch.nn.LSTM, GRU or RNN")
    dtype = module.weight_ih_l0.dtype
    if dtype not in DTYPES:
        raise ValueError(f"module has weights of dtype {dtype}; expected float32 or float64")
    layer = new_layer(module, own.numpy_class, DTYPES[dtype], seed=None)
    weights = {name: getattr(module, name).detach().cpu() for name in layer.weights}
    layer.load_state_dict({name: array_of(w) for name, w in weights.items()})
    return layer


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
