"""Layer normalisation (Ba, Kiros and Hinton 2016) of one vector, with gain g.

    μ = mean of a        v = mean of (a - μ)²        y = (a - μ) / √(v + 1e-5)        N(a) = g y

In the recurrent cells N(W x) and N(U h₋) take the places of W x and U h₋, all gates together, each
with its own gain; biases are added after. The LSTM's output sees N(c) + b_c in c's place.
"""

import numpy as np


def forward(g, a):
    """N(a), and what backward needs. Without a gain nothing is normalised."""
    if g is None:
        return a, None
    scale = 1 / np.sqrt(a.var() + 1e-5)
    y = (a - a.mean()) * scale
    return g * y, (g, y, scale)


def backward(saved, d):
    """The gradients of a and of g. The Jacobian of y is scale (1 - 1/n - y yᵀ/n)."""
    if saved is None:
        return d, None
    g, y, scale = saved
    jacobian = scale * (np.eye(len(y)) - 1 / len(y) - np.outer(y, y) / len(y))
    return jacobian.T @ (g * d), y * d
