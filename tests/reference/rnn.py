"""The simple recurrent network (Elman 1990), one step.

a = W x + b + U h₋ + b_h
h = φ(a)                        φ = tanh or relu
"""

import numpy as np


def forward(w, x, state, phi):
    (h_,) = state
    W, U = w["weight_ih"], w["weight_hh"]
    b, b_h = w.get("bias_ih", 0.0), w.get("bias_hh", 0.0)

    a = W @ x + b + U @ h_ + b_h
    # The comparison keeps a NaN, as torch does: NaN < 0 is false.
    h = np.tanh(a) if phi == "tanh" else np.where(a < 0, 0.0, a)
    return (h,), (x, h_, h)


def backward(w, saved, dstate, phi):
    (dh,) = dstate
    x, h_, h = saved
    W, U = w["weight_ih"], w["weight_hh"]

    da = dh * (1 - h * h) if phi == "tanh" else np.where(h > 0, dh, 0.0)
    dw = {
        "weight_ih": np.outer(da, x),
        "weight_hh": np.outer(da, h_),
        "bias_ih": da,
        "bias_hh": da,
    }
    return W.T @ da, (U.T @ da,), dw
