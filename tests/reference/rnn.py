"""The simple recurrent network (Elman 1990), one step.

a = W x + b + U h₋ + b_h
h = φ(a)                        φ = tanh, relu or another, of a held within [-clip, clip]
"""

import numpy as np

from reference.functions import chosen


def forward(w, x, state, phi, clip=None):
    (h_,) = state
    W, U = w["weight_ih"], w["weight_hh"]
    b, b_h = w.get("bias_ih", 0.0), w.get("bias_hh", 0.0)

    a = W @ x + b + U @ h_ + b_h
    h = chosen(phi, clip)[0](a)
    return (h,), (x, h_, a)


def backward(w, saved, dstate, phi, clip=None):
    (dh,) = dstate
    x, h_, a = saved
    W, U = w["weight_ih"], w["weight_hh"]

    da = dh * chosen(phi, clip)[1](a)
    dw = {
        "weight_ih": np.outer(da, x),
        "weight_hh": np.outer(da, h_),
        "bias_ih": da,
        "bias_hh": da,
    }
    return W.T @ da, (U.T @ da,), dw
