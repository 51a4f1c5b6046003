"""The activations by name: f(a) and its slope f'(a), both from a."""

import numpy as np

from reference.sigmoid import sigmoid

# The comparison in relu keeps a NaN: NaN < 0 is false.
ACTIVATIONS = {
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
    "sigmoid": (sigmoid, lambda a: sigmoid(a) * (1 - sigmoid(a))),
    "relu": (lambda a: np.where(a < 0, 0.0, a), lambda a: np.where(a > 0, 1.0, 0.0)),
    "identity": (lambda a: a, np.ones_like),
}


def log_softmax(a):
    """Along the last axis; the logarithm of the sum by pairs, as no other code here does it."""
    return a - np.logaddexp.reduce(a, axis=-1, keepdims=True)


def softmax(a):
    return np.exp(log_softmax(a))


# Of a row of a dense layer's outputs.
ROW_ACTIVATIONS = {"softmax": softmax, "log_softmax": log_softmax}


def leaky(a, alpha):
    return np.where(a < 0, alpha * a, a)


# Those with numbers: (f(a, ..), f'(a, ..), the numbers where none are given), from the texts of
# ONNX's operators.
WITH_NUMBERS = {
    "softsign": (lambda a: a / (1 + abs(a)), lambda a: (1 + abs(a)) ** -2.0, ()),
    "softplus": (lambda a: np.logaddexp(0, a), sigmoid, ()),
    "leaky_relu": (leaky, lambda a, alpha: np.where(a > 0, 1.0, alpha), (0.01,)),
    "thresholded_relu": (
        lambda a, alpha: np.where(a < alpha, 0.0, a),
        lambda a, alpha: np.where(a < alpha, 0.0, 1.0),
        (1.0,),
    ),
    "elu": (
        lambda a, alpha: np.where(a < 0, alpha * np.expm1(np.minimum(a, 0)), a),
        lambda a, alpha: np.where(a > 0, 1.0, alpha * np.exp(np.minimum(a, 0))),
        (1.0,),
    ),
    "affine": (
        lambda a, alpha, beta: alpha * a + beta,
        lambda a, alpha, beta: np.full_like(a, alpha),
        (1.0, 0.0),
    ),
    "scaled_tanh": (
        lambda a, alpha, beta: alpha * np.tanh(beta * a),
        lambda a, alpha, beta: alpha * beta / np.cosh(beta * a) ** 2,
        (),
    ),
    "hard_sigmoid": (
        lambda a, alpha, beta: np.minimum(np.maximum(alpha * a + beta, 0), 1),
        lambda a, alpha, beta: np.where(abs(alpha * a + beta - 0.5) < 0.5, alpha, 0.0),
        (0.2, 0.5),
    ),
}


def chosen(function, clip=None):
    """f and f' of a name, or of a name with numbers; a is held within [-clip, clip] first."""
    name, *numbers = (function,) if isinstance(function, str) else function
    if name in ACTIVATIONS:
        f, slope = ACTIVATIONS[name]
    else:
        f, slope, usual = WITH_NUMBERS[name]
        numbers += usual[len(numbers) :]
    if clip is None:
        return lambda a: f(a, *numbers), lambda a: slope(a, *numbers)
    return (
        lambda a: f(np.clip(a, -clip, clip), *numbers),
        lambda a: np.where(abs(a) < clip, slope(a, *numbers), 0.0),
    )
