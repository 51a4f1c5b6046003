"""Long short-term memory with forget gates (Gers 2000) and a projection (Sak 2014), one step.

    i = σ(W_i x + b_i + U_i h₋ + b_hi)      input gate
    f = σ(W_f x + b_f + U_f h₋ + b_hf)      forget gate
    g = tanh(W_g x + b_g + U_g h₋ + b_hg)   cell input
    o = σ(W_o x + b_o + U_o h₋ + b_ho)      output gate
    c = f c₋ + i g
    m = o tanh(c)
    h = m,  or with a projection  h = W_hr m

The four blocks lie in the rows of W and U in the order i, f, g, o, as in torch.
"""

import numpy as np

from reference.sigmoid import sigmoid


def forward(w, x, state):
    h_, c_ = state
    W, U = w["weight_ih"], w["weight_hh"]
    b, b_h = w.get("bias_ih", 0.0), w.get("bias_hh", 0.0)

    a_i, a_f, a_g, a_o = np.split(W @ x + b + U @ h_ + b_h, 4)
    i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
    c = f * c_ + i * g
    m = o * np.tanh(c)
    h = w["weight_hr"] @ m if "weight_hr" in w else m
    return (h, c), (x, h_, c_, i, f, g, o, c, m)


def backward(w, saved, dstate):
    dh, dc = dstate
    x, h_, c_, i, f, g, o, c, m = saved
    W, U = w["weight_ih"], w["weight_hh"]
    dw = {}

    if "weight_hr" in w:
        dw["weight_hr"] = np.outer(dh, m)
        dm = w["weight_hr"].T @ dh
    else:
        dm = dh
    t = np.tanh(c)
    do = dm * t
    dc = dc + dm * o * (1 - t * t)
    df, di, dg, dc_ = dc * c_, dc * g, dc * i, dc * f

    da = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)])
    dw["weight_ih"] = np.outer(da, x)
    dw["weight_hh"] = np.outer(da, h_)
    dw["bias_ih"] = dw["bias_hh"] = da
    return W.T @ da, (U.T @ da, dc_), dw
