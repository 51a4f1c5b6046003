"""Functions of one number, and of one row: activations and the like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ...layers import _functions as functions
from ...layers._weights import Array
from .._model import Node
from .registry import operator

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Abs": np.abs,
    "Ceil": np.ceil,
    "Exp": np.exp,
    "Floor": np.floor,
    "Log": np.log,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Reciprocal": lambda x: 1 / x,
    "Relu": functions.relu,
    "Sigmoid": functions.sigmoid,
    "Softplus": functions.softplus,
    "Softsign": functions.softsign,
    "Sqrt": np.sqrt,
    "Tanh": np.tanh,
}
# Those with numbers: the attributes, and what they are where a node says nothing.
_WITH_NUMBERS: dict[str, tuple[Callable[..., Any], dict[str, float]]] = {
    "Elu": (functions.elu, {"alpha": 1.0}),
    "HardSigmoid": (functions.hard_sigmoid, {"alpha": 0.2, "beta": 0.5}),
    "LeakyRelu": (functions.leaky_relu, {"alpha": 0.01}),
    "Selu": (functions.selu, {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}),
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
