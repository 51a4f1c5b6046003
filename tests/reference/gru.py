"""The gated recurrent unit (Cho 2014), one step, in its two forms.

    r = σ(W_r x + b_r + U_r h₋ + b_hr)                  reset gate
    z = σ(W_z x + b_z + U_z h₋ + b_hz)                  update gate
    n = tanh(W_n x + b_n + r (U_n h₋ + b_hn))           reset after the product: torch, cuDNN
    n = tanh(W_n x + b_n + U_n (r h₋) + b_hn)           reset before the product: the paper
    h = (1 - z) n + z h₋

phi is the activation of n: tanh, or the logistic function in the book; gate is that of r and z in
place of σ; what goes into either may be held within [-clip, clip].

The three blocks lie in the rows of W and U in the order r, z, n, as in torch.
"""

import numpy as np

from reference.functions import chosen


def forward(w, x, state, reset_after, phi="tanh", gate="sigmoid", clip=None):
    (h_,) = state
    W, U = w["weight_ih"], w["weight_hh"]
    H = len(h_)
    b, b_h = w.get("bias_ih", np.zeros(3 * H)), w.get("bias_hh", np.zeros(3 * H))

    p_r, p_z, p_n = np.split(W @ x + b, 3)
    a_r = p_r + U[:H] @ h_ + b_h[:H]
    a_z = p_z + U[H : 2 * H] @ h_ + b_h[H : 2 * H]
    r, z = (chosen(gate, clip)[0](a) for a in (a_r, a_z))
    if reset_after:
        q_n = U[2 * H :] @ h_ + b_h[2 * H :]
        a_n = p_n + r * q_n
    else:
        q_n = U[2 * H :] @ (r * h_) + b_h[2 * H :]
        a_n = p_n + q_n
    n = chosen(phi, clip)[0](a_n)
    h = (1 - z) * n + z * h_
    return (h,), (x, h_, r, z, a_n, n, q_n, a_r, a_z)


def backward(w, saved, dstate, reset_after, phi="tanh", gate="sigmoid", clip=None):
    (dh,) = dstate
    x, h_, r, z, a_n, n, q_n, a_r, a_z = saved
    W, U = w["weight_ih"], w["weight_hh"]
    U_n = U[2 * len(h_) :]

    dz = dh * (h_ - n)
    dn = dh * (1 - z)
    dh_ = dh * z
    da_n = dn * chosen(phi, clip)[1](a_n)
    if reset_after:
        dr = da_n * q_n
        dq_n = da_n * r  # the gradient of U_n h₋ + b_hn, which r has scaled
        dh_ = dh_ + U_n.T @ dq_n
        dU_n = np.outer(dq_n, h_)
    else:
        ds = U_n.T @ da_n  # s = r h₋
        dr = ds * h_
        dq_n = da_n
        dh_ = dh_ + ds * r
        dU_n = np.outer(da_n, r * h_)
    slope = chosen(gate, clip)[1]
    da_r, da_z = dr * slope(a_r), dz * slope(a_z)
    dh_ = dh_ + U[: len(h_)].T @ da_r + U[len(h_) : 2 * len(h_)].T @ da_z

    dp = np.concatenate([da_r, da_z, da_n])
    dw = {
        "weight_ih": np.outer(dp, x),
        "weight_hh": np.concatenate([np.outer(da_r, h_), np.outer(da_z, h_), dU_n]),
        "bias_ih": dp,
        "bias_hh": np.concatenate([da_r, da_z, dq_n]),
    }
    return W.T @ dp, (dh_,), dw
