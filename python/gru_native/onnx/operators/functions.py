"""Functions of one number, and of one row: activations and the like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ...layers import _functions as functions
from ...layers._weights import Array
from .._model import Node
from .budget import room_for_all
from .error_function import erf, gelu
from .registry import operator


def _shrink(x: Array, limit: float, bias: float) -> Any:
    return np.where(x < -limit, x + bias, np.where(x > limit, x - bias, 0))


def _swish(x: Array, alpha: float) -> Array:
    return np.asarray(x * functions.quiet_sigmoid(x if alpha == 1 else x * x.dtype.type(alpha)))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Abs": np.abs,
    "Acos": np.arccos,
    "Acosh": np.arccosh,
    "Asin": np.arcsin,
    "Asinh": np.arcsinh,
    "Atan": np.arctan,
    "Atanh": np.arctanh,
    "BitwiseNot": np.bitwise_not,
    "Ceil": np.ceil,
    "Cos": np.cos,
    "Cosh": np.cosh,
    "Erf": erf,
    "Exp": np.exp,
    "Floor": np.floor,
    "HardSwish": lambda x: x * functions.hard_sigmoid(x, 1 / 6, 0.5),
    "Log": np.log,
    "Mish": lambda x: x * np.tanh(functions.softplus(x)),
    "Neg": np.negative,
    "Not": np.logical_not,
    "Reciprocal": lambda x: 1 / x,
    "Relu": functions.relu,
    "Round": np.rint,
    "Sigmoid": functions.quiet_sigmoid,  # nodes are computed where NumPy says nothing
    "Sign": np.sign,
    "Sin": np.sin,
    "Sinh": np.sinh,
    "Softplus": functions.softplus,
    "Softsign": functions.softsign,
    "Sqrt": np.sqrt,
    "Tan": np.tan,
    "Tanh": np.tanh,
}
# Those with numbers: the attributes, and what they are where a node says nothing.
_WITH_NUMBERS: dict[str, tuple[Callable[..., Any], dict[str, float]]] = {
    "Celu": (lambda x, alpha: functions.elu(x / x.dtype.type(alpha), 1.0) * alpha, {"alpha": 1.0}),
    "Elu": (functions.elu, {"alpha": 1.0}),
    "HardSigmoid": (functions.hard_sigmoid, {"alpha": 0.2, "beta": 0.5}),
    "LeakyRelu": (functions.leaky_relu, {"alpha": 0.01}),
    "Selu": (functions.selu, {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}),
    "QuickGelu": (
        lambda x, alpha: x * functions.sigmoid(x * x.dtype.type(alpha)),
        {"alpha": 1.702},
    ),
    "Shrink": (_shrink, {"lambd": 0.5, "bias": 0.0}),
    "Swish": (_swish, {"alpha": 1.0}),
    "ThresholdedRelu": (functions.thresholded_relu, {"alpha": 1.0}),
}


@operator(*_FUNCTIONS)
def _function(node: Node, x: Array) -> Sequence[Array]:
    return [np.asarray(_FUNCTIONS[node.op](x), x.dtype)]


@operator(*_WITH_NUMBERS)
def _function_with_numbers(node: Node, x: Array) -> Sequence[Array]:
    function, usual = _WITH_NUMBERS[node.op]
    numbers = [node.attributes.get(name, number) for name, number in usual.items()]
    return [np.asarray(function(x, *numbers), x.dtype)]


@operator("Clip")
def _clip(node: Node, x: Array, low: Any = None, high: Any = None) -> Sequence[Array]:
    low, high = node.attributes.get("min", low), node.attributes.get("max", high)
    for bound, apply in ((low, np.maximum), (high, np.minimum)):
        x = x if bound is None else np.asarray(apply(x, x.dtype.type(bound)))
    return [x]


_OF_ROWS = {"Softmax": functions.softmax, "LogSoftmax": functions.log_softmax}


@operator(*_OF_ROWS, until=12)
def _of_rows_before_13(node: Node, x: Array) -> Sequence[Array]:
    """All axes from this one on are one."""
    axis = node.attributes.get("axis", 1)
    flat = x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))
    return [_OF_ROWS[node.op](flat).reshape(x.shape)]


@operator(*_OF_ROWS, since=13)
def _of_rows(node: Node, x: Array) -> Sequence[Array]:
    return [_OF_ROWS[node.op](x, node.attributes.get("axis", -1))]


@operator("PRelu")
def _parametric_relu(node: Node, x: Array, slope: Array) -> Sequence[Array]:
    room_for_all(x, slope)
    return [np.asarray(np.where(x < 0, x * slope, x), x.dtype)]


@operator("Gelu")
def _gelu(node: Node, x: Array) -> Sequence[Array]:
    approximate = node.attributes.get("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate is {approximate!r}; expected 'none' or 'tanh'")
    return [gelu(x, approximate == "tanh")]


@operator("IsNaN")
def _is_nan(node: Node, x: Array) -> Sequence[Array]:
    return [np.isnan(x)]


@operator("IsInf")
def _is_infinite(node: Node, x: Array) -> Sequence[Array]:
    positive, negative = (
        bool(node.attributes.get(f"detect_{which}", 1)) for which in ("positive", "negative")
    )
    return [(np.isposinf(x) & positive) | (np.isneginf(x) & negative)]
