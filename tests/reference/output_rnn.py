"""Output recurrence (Jordan 1986; Goodfellow, Bengio and Courville 2016, section 10.2.1).

a = W x + R o₋ + b          h = φ(a)            o₋: the output of the step before, or its target
q = V h + c                 o = ψ(q)

One sequence at a time: x (n, input), targets (n, output) or None, o_0 (output,).
"""

import numpy as np

from reference.functions import ACTIVATIONS


def weight_shapes(inputs, hidden, outputs, bias=True):
    shapes = {"weight_ih": (hidden, inputs), "weight_oh": (hidden, outputs)}
    if bias:
        shapes["bias_h"] = (hidden,)
    shapes["weight_ho"] = (outputs, hidden)
    if bias:
        shapes["bias_o"] = (outputs,)
    return shapes


def forward(w, x, o, phi, psi, targets=None):
    """Outputs (n, output), what the next step would be fed, and what backward needs."""
    W, R, V = w["weight_ih"], w["weight_oh"], w["weight_ho"]
    b, c = w.get("bias_h", 0.0), w.get("bias_o", 0.0)
    y, saved = np.zeros((len(x), len(V))), []
    for t in range(len(x)):
        a = W @ x[t] + R @ o + b
        h = ACTIVATIONS[phi][0](a)
        q = V @ h + c
        y[t] = ACTIVATIONS[psi][0](q)
        saved.append((x[t], o, a, h, q))
        o = y[t] if targets is None else targets[t]
    return y, o, saved


def backward(w, saved, phi, psi, dy, do, forced):
    """Gradients of x, o_0, the targets and the weights; do is that of what was fed on last."""
    W, R, V = w["weight_ih"], w["weight_oh"], w["weight_ho"]
    dx, dtargets = np.zeros((len(saved), W.shape[1])), np.zeros_like(dy)
    dw = {name: np.zeros_like(value) for name, value in w.items()}
    for t in reversed(range(len(saved))):
        x, o, a, h, q = saved[t]
        if forced:
            dtargets[t], doutput = do, dy[t]
        else:
            doutput = dy[t] + do
        dq = doutput * ACTIVATIONS[psi][1](q)
        da = (V.T @ dq) * ACTIVATIONS[phi][1](a)
        parts = {
            "weight_ih": np.outer(da, x),
            "weight_oh": np.outer(da, o),
            "bias_h": da,
            "weight_ho": np.outer(dq, h),
            "bias_o": dq,
        }
        for name in dw:
            dw[name] += parts[name]
        dx[t], do = W.T @ da, R.T @ da
    return dx, do, dtargets, dw
