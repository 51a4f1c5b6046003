"""The logistic function σ(a) = 1 / (1 + e^-a), and the activations by name, each with its slope."""

import numpy as np


def sigmoid(a):
    with np.errstate(over="ignore"):  # e^-a = inf far to the left, and σ = 0 is right
        return 1 / (1 + np.exp(-a))


# Name -> f(a), f'(a) from a. The comparison in relu keeps a NaN: NaN < 0 is false.
ACTIVATIONS = {
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
    "sigmoid": (sigmoid, lambda a: sigmoid(a) * (1 - sigmoid(a))),
    "relu": (lambda a: np.where(a < 0, 0.0, a), lambda a: np.where(a > 0, 1.0, 0.0)),
    "identity": (lambda a: a, np.ones_like),
}
