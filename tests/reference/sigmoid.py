"""The logistic function σ(a) = 1 / (1 + e^-a)."""

import numpy as np


def sigmoid(a):
    with np.errstate(over="ignore"):  # e^-a = inf far to the left, and σ = 0 is right
        return 1 / (1 + np.exp(-a))
