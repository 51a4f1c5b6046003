"""The layers on NumPy arrays from PyTorch's modules, and back, weights to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from .. import layers
from .._core import a_type
from ..layers._arguments import text
from ..layers._recurrent import USUAL
from ._blocks import KNOWN, block_of
from ._graph import Follower
from ._modules import CLASSES
from ._quantized import from_dynamic, kind_of
from ._recurrent import DTYPES, new_layer, own_options


def from_torch(module: nn.Module, *, precision: str | None = None) -> Any:
    """Make the layer on NumPy arrays that computes what a module does.

    Parameters
    ----------
    module : torch.nn.Module
        An LSTM, GRU, RNN, LSTMCell, GRUCell, RNNCell, Linear, Conv1d, MaxPool1d, AvgPool1d,
        BatchNorm1d, LayerNorm, Embedding or activation of ``torch.nn``, or one of this package's,
        on any device, float32, float64 or bfloat16; or an LSTM, GRU or Linear of
        ``torch.ao.nn.quantized.dynamic``. Or a Sequential or another module that holds such ones:
        its forward is followed by ``torch.fx``. Weights are copied.
    precision : {"float32"}, optional
        Make a layer of float32 also of weights of fewer bits, with the numbers that they stand for.
        By default a module of bfloat16 becomes a layer of that precision, as ``quantize("bf16")``
        makes it, and a dynamic one of int8 a layer of int8.

    Returns
    -------
    gru_native.LSTM, GRU, RNN, Dense, another block, or Chain
        The layer, which has the same weights, to the bit; of a cell a layer of one; of a module
        that holds others a Chain, for inference (Dropout is left out).

    Raises
    ------
    TypeError
        For another kind of module.
    ValueError
        For weights of another dtype, another precision, options that no block has, and a forward
        that is no chain; the text names the module.

    Notes
    -----
    PyTorch's int8 has -128, and layers here do not: such a weight becomes -127 and so differs by
    one step. Weights whose zero points take them beyond 8 bits make a layer of float32, as those of
    float16 do. PyTorch gives all rows of a call one scale for what is multiplied by the weights;
    here each row and step has its own, so outputs are a little nearer to those of float32.

    A chain reads x with the features last, (batch, seq, features) or, where a recurrent module has
    the steps first, (seq, batch, features), also where the module begins with a convolution, for
    which PyTorch has (batch, features, seq). What a forward may do beside calling modules: take the
    first of a recurrent module's results, its last step or final h, a mean or ``amax`` over the
    steps; transpose; add, multiply and ``torch.cat`` features; ``relu``, ``tanh``, ``sigmoid``. Of
    several results the chain gives the first.
    """
    if precision is not None and text("precision", precision) != "float32":
        raise ValueError(f"precision is {precision!r}; expected 'float32' or None")
    return _converted(module, None, precision is not None)


def _converted(
    module: nn.Module, batch_first: bool | None, floats: bool, usual: Any = torch.float32
) -> Any:
    """batch_first: of a block in a chain; None: as the module has it, or the usual one.

    usual: the dtype of what has no weights.
    """
    if (dynamic := kind_of(module)) is not None:
        return _with(module, from_dynamic(module, dynamic, floats), batch_first)
    own = next((c for c in CLASSES if isinstance(module, c.torch_class)), None)
    cell = next((c for kind, c in _CELLS.items() if isinstance(module, kind)), None)
    tensors = (*module.parameters(), *module.buffers())
    dtype = next((t.dtype for t in tensors if t.is_floating_point()), usual)
    if dtype not in DTYPES and dtype != torch.bfloat16:
        expected = "float32, float64 or bfloat16"
        raise ValueError(f"module has weights of dtype {dtype}; expected {expected}")
    own_dtype = DTYPES.get(dtype, np.float32)
    if own is not None:
        layer: Any = new_layer(module, own.numpy_class, own_dtype, None, batch_first)
    elif cell is not None:
        if batch_first is not None:
            raise ValueError("it computes one step; a Chain has layers")
        layer = _of_cell(module, cell, own_dtype)
    else:
        layer = block_of(module, bool(batch_first), own_dtype)
    if layer is None:
        return _of_graph(module, batch_first, floats)
    suffix = "" if cell is None else "_l0"
    if weights := getattr(layer, "weights", {}):
        own_names = {name: name.removesuffix(suffix) for name in weights}
        layer.load_state_dict(
            {name: getattr(module, n).detach().cpu() for name, n in own_names.items()}
        )
    return layer.quantize("bf16") if dtype == torch.bfloat16 and not floats else layer


_CELLS: dict[type[nn.Module], type[Any]] = {
    nn.LSTMCell: layers.LSTM,
    nn.GRUCell: layers.GRU,
    nn.RNNCell: layers.RNN,
}


def _of_cell(module: Any, kind: type[Any], dtype: Any) -> Any:
    options = {"nonlinearity": module.nonlinearity} if kind is layers.RNN else {}
    sizes = module.input_size, module.hidden_size
    return kind(*sizes, bias=module.bias, dtype=dtype, seed=0, **options)


def _of_graph(module: nn.Module, batch_first: bool | None, floats: bool) -> Any:
    if batch_first is not None or not any(True for _ in module.children()):
        raise TypeError(
            f"module is {a_type(module)}; expected a torch.nn.LSTM, GRU, RNN, one of their cells, "
            f"{KNOWN}, an activation, or a module that holds such ones"
        )
    return Follower(
        module, lambda inner, first, dtype: _converted(inner, first, floats, dtype)
    ).chain()


def _with(module: Any, layer: Any, batch_first: bool | None) -> Any:
    """A layer of int8 for a chain with this batch_first."""
    if batch_first is None or batch_first == layer.batch_first:
        return layer
    if not isinstance(layer, layers.Dense):
        raise ValueError(f"it has batch_first={layer.batch_first}; expected {batch_first}")
    layer.batch_first = batch_first
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
        raise TypeError(f"layer is {a_type(layer)}; expected a gru_native.LSTM, GRU or RNN")
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
