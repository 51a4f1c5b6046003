"""Modules of torch.ao.nn.quantized.dynamic, which PyTorch's quantize_dynamic makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import layers
from ..layers._weights import Array
from ._recurrent import new_layer

KINDS = {"LSTM": layers.LSTM, "GRU": layers.GRU, "Linear": layers.Dense}


def kind_of(module: nn.Module) -> type[Any] | None:
    """The class on NumPy arrays for a dynamic module; None: it is none of these.

    By name, because PyTorch warns whoever imports them.
    """
    for base in type(module).__mro__:
        if base.__module__.startswith("torch.ao.nn.quantized.dynamic.") and base.__name__ in KINDS:
            return KINDS[base.__name__]
    return None


def from_dynamic(module: Any, kind: type[Any], full: bool) -> Any:
    """The layer of a dynamic module; see ``from_torch``."""
    if kind is layers.Dense:
        bias = module.bias()
        layer: Any = layers.Dense(module.in_features, module.out_features, bias=bias is not None)
        tensors = {"weight": module.weight(), "bias": bias}
    else:
        layer = new_layer(module, kind, np.float32)
        tensors = module.get_weight() | module.get_bias()
    tensors = {name: tensors[name].detach() for name in layer.weights}
    few_bits = {n: _few_bits(t) for n, t in tensors.items() if t.is_quantized}
    if full or not few_bits or None in few_bits.values():  # dtype=torch.float16 has none
        layer.load_state_dict({n: _floats(t) for n, t in tensors.items()})
        return layer
    stored: dict[str, Array] = {}
    for name, tensor in tensors.items():
        pair = few_bits.get(name)
        if pair is None:
            stored[name] = tensor.numpy()
        else:
            stored[name], stored[f"{name}.scale"] = pair
    return layer._of_few_bits("int8", stored)


def _floats(tensor: Tensor) -> Array:
    wide = tensor.dequantize() if tensor.is_quantized else tensor
    array: Array = wide.numpy()
    return array


def _few_bits(tensor: Tensor) -> tuple[Array, Array] | None:
    """Whole numbers and the scale of each row, if zero points leave them within 8 bits."""
    rows = tensor.shape[0]
    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        scale = np.full(rows, tensor.q_scale(), np.float32)
        zero = np.full(rows, tensor.q_zero_point())
    else:
        scale = tensor.q_per_channel_scales().numpy().astype(np.float32)
        zero = tensor.q_per_channel_zero_points().numpy()
    q = tensor.int_repr().numpy().astype(np.int64) - zero[:, None]
    if q.min() < -128 or q.max() > 127:
        return None
    return np.maximum(q, -127).astype(np.int8), scale
