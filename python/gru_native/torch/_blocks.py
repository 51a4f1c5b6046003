"""Blocks of a chain from the modules of torch.nn that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from .. import layers
from ..layers._arguments import Function

# What does nothing in inference.
NOTHING = (
    *(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout),
    nn.FeatureAlphaDropout,
)


def _activation(module: nn.Module) -> Function | None:
    kind: Any = type(module)
    plain = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid", nn.Softsign: "softsign"}
    if kind in plain:
        return plain[kind]
    if isinstance(module, nn.LeakyReLU):
        return ("leaky_relu", float(module.negative_slope))
    if isinstance(module, nn.ELU):
        return ("elu", float(module.alpha))
    if isinstance(module, nn.Hardsigmoid):
        return ("hard_sigmoid", 1 / 6, 0.5)
    if isinstance(module, nn.Softplus) and module.beta == 1:
        return "softplus"
    return None


def _one(name: str, value: Any) -> Any:
    """Of what has one axis, its only number."""
    if not isinstance(value, (tuple, list)):
        return value
    if len(value) != 1:
        raise ValueError(f"{name} is {tuple(value)}; expected one number")
    return value[0]


def _conv(m: nn.Conv1d, common: dict[str, Any]) -> Any:
    if m.padding_mode != "zeros":
        raise ValueError(f"padding_mode is {m.padding_mode!r}; expected 'zeros'")
    padding = m.padding if isinstance(m.padding, str) else _one("padding", m.padding)
    return layers.Conv1d(
        m.in_channels,
        m.out_channels,
        _one("kernel_size", m.kernel_size),
        stride=_one("stride", m.stride),
        dilation=_one("dilation", m.dilation),
        groups=m.groups,
        padding=padding or ("causal" if _one("kernel_size", m.kernel_size) == 1 else "valid"),
        bias=m.bias is not None,
        seed=0,
        **common,
    )


def _max_pool(m: nn.MaxPool1d, common: dict[str, Any]) -> Any:
    if m.return_indices:
        raise ValueError("return_indices is True; expected False")
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    return layers.MaxPool1d(**{n: _one(n, getattr(m, n)) for n in names}, **common)


def _avg_pool(m: nn.AvgPool1d, common: dict[str, Any]) -> Any:
    names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
    return layers.AvgPool1d(**{n: _one(n, getattr(m, n)) for n in names}, **common)


def _batch_norm(m: nn.BatchNorm1d, common: dict[str, Any]) -> Any:
    if not m.track_running_stats or m.momentum is None:
        raise ValueError("it has no running statistics with a momentum; expected such")
    return layers.BatchNorm1d(m.num_features, m.eps, m.momentum, m.affine, **common)


def _layer_norm(m: nn.LayerNorm, common: dict[str, Any]) -> Any:
    affine = m.elementwise_affine
    size = _one("normalized_shape", m.normalized_shape)
    return layers.LayerNorm(size, m.eps, affine, affine and m.bias is not None, **common)


def _embedding(m: nn.Embedding, common: dict[str, Any]) -> Any:
    if m.max_norm is not None:
        raise ValueError(f"max_norm is {m.max_norm}; expected None")
    sizes = m.num_embeddings, m.embedding_dim
    return layers.Embedding(*sizes, padding_idx=m.padding_idx, seed=0, **common)


def _linear(m: nn.Linear, common: dict[str, Any]) -> Any:
    return layers.Dense(m.in_features, m.out_features, bias=m.bias is not None, seed=0, **common)


_MAKERS: dict[type[nn.Module], Callable[[Any, dict[str, Any]], Any]] = {
    nn.Linear: _linear,
    nn.Conv1d: _conv,
    nn.MaxPool1d: _max_pool,
    nn.AvgPool1d: _avg_pool,
    nn.BatchNorm1d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.Embedding: _embedding,
}
KNOWN = ", ".join(kind.__name__ for kind in _MAKERS)


def block_of(module: nn.Module, batch_first: bool, dtype: Any) -> Any:
    """The block for a module without a state, without its weights; None if there is none."""
    common = {"batch_first": batch_first, "dtype": dtype}
    function = _activation(module)
    if function is not None:
        return layers.Activation(function, **common)
    make = next((make for kind, make in _MAKERS.items() if isinstance(module, kind)), None)
    return None if make is None else make(module, common)
