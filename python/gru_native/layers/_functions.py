"""Activation functions on NumPy arrays, by the core's names, for what follows a layer and is none.

``keras`` and ``onnx`` compute with these what no layer of the core does. Each takes x, then its
numbers, and returns an array of x's shape and dtype.
"""

from __future__ import annotations

import numpy as np

from ._weights import Array


def sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return quiet_sigmoid(x)


def quiet_sigmoid(x: Array) -> Array:
    """Where the caller has NumPy ignore an overflow: it leads to 1 / inf, as it should."""
    e = np.asarray(np.exp(np.negative(x)))
    e += 1
    np.reciprocal(e, out=e)
    return e


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def leaky_relu(x: Array, alpha: float) -> Array:
    return np.where(x >= 0, x, x * x.dtype.type(alpha))


def thresholded_relu(x: Array, alpha: float) -> Array:
    return np.where(x > x.dtype.type(alpha), x, x.dtype.type(0))


def elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0)))


def selu(x: Array, alpha: float, gamma: float) -> Array:
    return np.asarray(elu(x, alpha) * x.dtype.type(gamma))


def hard_sigmoid(x: Array, alpha: float, beta: float) -> Array:
    return np.asarray(np.clip(x * x.dtype.type(alpha) + x.dtype.type(beta), 0, 1))


def softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(x, x.dtype.type(0)))


def softsign(x: Array) -> Array:
    return np.asarray(x / (1 + np.abs(x)))


def silu(x: Array) -> Array:
    return np.asarray(x * sigmoid(x))


def softmax(x: Array, axis: int = -1) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


def log_softmax(x: Array, axis: int = -1) -> Array:
    d = x - x.max(axis, keepdims=True)
    return np.asarray(d - np.log(np.exp(d).sum(axis, keepdims=True)))
