"""The gated recurrent unit (Cho 2014), one step, in its two forms.

    r = σ(W_r x + b_r + U_r h₋ + b_hr)                  reset gate
    z = σ(W_z x + b_z + U_z h₋ + b_hz)                  update gate
    n = tanh(W_n x + b_n + r (U_n h₋ + b_hn))           reset after the product: torch, cuDNN
    n = tanh(W_n x + b_n + U_n (r h₋) + b_hn)           reset before the product: the paper
    h = (1 - z) n + z h₋

phi is the activation of n: tanh, or the logistic function in the book.

With layer normalisation (reference/layer_norm.py), and reset after: N(W x) and N(U h₋) in place
of W x and U h₋.

The three blocks lie in the rows of W and U in the order r, z, n, as in torch.
"""

import numpy as np

from reference import layer_norm
from reference.functions import ACTIVATIONS
from reference.sigmoid import sigmoid


def forward(w, x, state, reset_after, phi="tanh"):
    (h_,) = state
    W, U = w["weight_ih"], w["weight_hh"]
    H = len(h_)
    b, b_h = w.get("bias_ih", np.zeros(3 * H)), w.get("bias_hh", np.zeros(3 * H))

    Wx, norm_x = layer_norm.forward(w.get("gain_ih"), W @ x)
    Uh, norm_h = layer_norm.forward(w.get("gain_hh"), U @ h_)
    p_r, p_z, p_n = np.split(Wx + b, 3)
    r = sigmoid(p_r + Uh[:H] + b_h[:H])
    z = sigmoid(p_z + Uh[H : 2 * H] + b_h[H : 2 * H])
    if reset_after:
        q_n = Uh[2 * H :] + b_h[2 * H :]
        a_n = p_n + r * q_n
    else:
        q_n = U[2 * H :] @ (r * h_) + b_h[2 * H :]
        a_n = p_n + q_n
    n = ACTIVATIONS[phi][0](a_n)
    h = (1 - z) * n + z * h_
    return (h,), (x, h_, r, z, a_n, n, q_n, norm_x, norm_h)


def backward(w, saved, dstate, reset_after, phi="tanh"):
    (dh,) = dstate
    x, h_, r, z, a_n, n, q_n, norm_x, norm_h = saved
    W, U = w["weight_ih"], w["weight_hh"]
    U_n = U[2 * len(h_) :]

    dz = dh * (h_ - n)
    dn = dh * (1 - z)
    dh_ = dh * z
    da_n = dn * ACTIVATIONS[phi][1](a_n)
    if reset_after:
        dr = da_n * q_n
        dq_n = da_n * r  # the gradient of U_n h₋ + b_hn, which r has scaled
    else:
        ds = U_n.T @ da_n  # s = r h₋
        dr = ds * h_
        dq_n = da_n
        dh_ = dh_ + ds * r
        dU_n = np.outer(da_n, r * h_)
    da_r, da_z = dr * r * (1 - r), dz * z * (1 - z)

    dp, dq = np.concatenate([da_r, da_z, da_n]), np.concatenate([da_r, da_z, dq_n])
    dw = {"bias_ih": dp, "bias_hh": dq}
    dWx, dgain_x = layer_norm.backward(norm_x, dp)
    dUh, dgain_h = layer_norm.backward(norm_h, dq)
    if "gain_ih" in w:
        dw |= {"gain_ih": dgain_x, "gain_hh": dgain_h}
    dw["weight_ih"] = np.outer(dWx, x)
    if reset_after:
        dh_ = dh_ + U.T @ dUh
        dw["weight_hh"] = np.outer(dUh, h_)
    else:
        dh_ = dh_ + U[: 2 * len(h_)].T @ dUh[: 2 * len(h_)]
        dw["weight_hh"] = np.concatenate([np.outer(da_r, h_), np.outer(da_z, h_), dU_n])
    return W.T @ dWx, (dh_,), dw
