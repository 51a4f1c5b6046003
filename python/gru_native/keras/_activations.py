"""Keras's activation functions by name: those of the core, and for outputs some in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..layers import _functions as functions
from ..layers._arguments import Function
from ..layers._weights import Array

# Keras's name -> the core's, everywhere.
_COMMON = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu", "linear": "identity"}
# Of dense layers.
DENSE = {**_COMMON, "softmax": "softmax", "log_softmax": "log_softmax"}
# Keras's name -> the core's function, inside a recurrence.
RECURRENT: dict[str, Function] = {
    **_COMMON,
    "softsign": "softsign",
    "softplus": "softplus",
    "elu": "elu",
    "leaky_relu": ("leaky_relu", 0.2),
    "hard_sigmoid": ("hard_sigmoid", 1 / 6, 0.5),
    "hard_sigmoid of Keras 2": ("hard_sigmoid", 0.2, 0.5),
}
# What Keras 2 computes under the names of other functions of Keras 3.
KERAS_2 = {"hard_sigmoid": "hard_sigmoid of Keras 2"}

# What follows a product, and is not inside a recurrence. In the dtype of x.
OUTPUT: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": functions.sigmoid,
    "relu": functions.relu,
    "relu6": lambda x: np.clip(x, 0, 6),
    "softmax": functions.softmax,
    "log_softmax": functions.log_softmax,
    "softplus": functions.softplus,
    "softsign": functions.softsign,
    "exponential": np.exp,
    "elu": functions.elu,
    "leaky_relu": lambda x: functions.leaky_relu(x, 0.2),
    "hard_sigmoid": lambda x: functions.hard_sigmoid(x, 1 / 6, 0.5),
    "hard_sigmoid of Keras 2": lambda x: functions.hard_sigmoid(x, 0.2, 0.5),
    "silu": functions.silu,
}


def keras_name(where: str, option: str, f: Any) -> str:
    """Keras's name of a function of the core. ValueError if Keras has none with these numbers."""
    wanted = "elu" if f == ("elu", 1.0) else f
    for name, function in {**RECURRENT, **DENSE}.items():
        if function == wanted and name not in KERAS_2.values():
            return name
    raise ValueError(f"{where} has {option}={f!r}, which Keras's layers do not have")


def check_keras_3(where: str, *names: str) -> None:
    """ValueError for a function that Keras 3 does not have."""
    for name in names:
        if name in KERAS_2.values():
            raise ValueError(f"{where} has the {name}, which Keras 3 does not have")


def activation_name(where: str, option: str, value: Any) -> str:
    """The name in a Keras configuration; None is linear there. ValueError for what has none."""
    if value is None:
        return "linear"
    if isinstance(value, dict):
        raise ValueError(
            f"{where}: {option} is a {value.get('class_name')!r} with a configuration of its own; "
            "expected the name of one of Keras's activation functions"
        )
    if not isinstance(value, str):
        raise ValueError(f"{where}: {option} is {value!r}; expected an activation's name")
    return "silu" if value == "swish" else value
