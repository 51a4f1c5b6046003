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
