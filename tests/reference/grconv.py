"""Gated recursive convolution (Cho, van Merriënboer, Bahdanau and Bengio 2014), pair by pair.

h_j⁰ = U x_j
(ω_c, ω_l, ω_r) = softmax(G^l h_{j-1} + G^r h_j + b_G)
h̄ = φ(W^l h_{j-1} + W^r h_j + b)
h_j = ω_c h̄ + ω_l h_{j-1} + ω_r h_j          each level from the one below, until one is left
"""

import numpy as np

from reference.sigmoid import sigmoid

PHI = {
    "identity": (lambda a: a, np.ones_like),
    "tanh": (np.tanh, lambda n: 1 - n * n),
    "sigmoid": (sigmoid, lambda n: n * (1 - n)),
    "relu": (lambda a: np.maximum(a, 0), lambda n: np.where(n > 0, 1.0, 0.0)),
}


def forward(w, x, activation="tanh"):
    """One sequence. Returns the top, the levels (vectors) and the gates of each level from 1 on."""
    phi, _ = PHI[activation]
    levels, all_gates, all_new = [[w["weight_ih"] @ x_t for x_t in x]], [], []
    while len(levels[-1]) > 1:
        above, gates, new = [], [], []
        for left, right in zip(levels[-1][:-1], levels[-1][1:], strict=True):
            e = np.exp(w["gate_left"] @ left + w["gate_right"] @ right + w["gate_bias"])
            omega = e / e.sum()
            n = phi(w["weight_left"] @ left + w["weight_right"] @ right + w["bias"])
            above.append(omega[0] * n + omega[1] * left + omega[2] * right)
            gates.append(omega)
            new.append(n)
        levels.append(above)
        all_gates.append(gates)
        all_new.append(new)
    return levels[-1][0], (x, levels, all_gates, all_new)


def backward(w, saved, dy, activation="tanh"):
    _, slope = PHI[activation]
    x, levels, all_gates, all_new = saved
    dw = {name: np.zeros_like(value) for name, value in w.items()}
    dabove = [dy]
    for below, gates, new in zip(levels[-2::-1], all_gates[::-1], all_new[::-1], strict=True):
        dbelow = [np.zeros_like(h) for h in below]
        for j, (dh, omega, n) in enumerate(zip(dabove, gates, new, strict=True)):
            left, right = below[j], below[j + 1]
            domega = np.array([dh @ n, dh @ left, dh @ right])
            dg = (np.diag(omega) - np.outer(omega, omega)) @ domega
            da = dh * omega[0] * slope(n)
            dbelow[j] += dh * omega[1] + w["weight_left"].T @ da + w["gate_left"].T @ dg
            dbelow[j + 1] += dh * omega[2] + w["weight_right"].T @ da + w["gate_right"].T @ dg
            dw["weight_left"] += np.outer(da, left)
            dw["weight_right"] += np.outer(da, right)
            dw["bias"] += da
            dw["gate_left"] += np.outer(dg, left)
            dw["gate_right"] += np.outer(dg, right)
            dw["gate_bias"] += dg
        dabove = dbelow
    for x_t, dh in zip(x, dabove, strict=True):
        dw["weight_ih"] += np.outer(dh, x_t)
    return np.array([w["weight_ih"].T @ dh for dh in dabove]), dw
