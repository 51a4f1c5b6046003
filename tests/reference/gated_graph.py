"""Gated graph networks (Li, Tarlow, Brockschmidt and Zemel 2016), node by node and edge by edge.

    h(v) = [x(v); 0]
    a(v) = [Σ over edges u → v of (W_e h(u) + b_e);  Σ over edges v → u of (W'_e h(u) + b'_e)] + b
    h(v) = GRU(a(v), h₋(v))

b_e stands in the authors' code, b in the paper. `aggregate="sum"` adds the two halves. The GRU is
that of `reference.gru`, h = (1 - z) n + z h₋; `paper_step` is the paper's, h = (1 - z) h₋ + z n.
"""

import numpy as np

from reference import gru
from reference.sigmoid import sigmoid


def forward(w, annotations, edges, steps, aggregate, reset_after, step=None):
    """edges: (source, target, type) triples, in order. Returns h and all that backward needs."""
    H, K = w["weight_hh"].shape[1], len(w["weight_edge"])
    types = K // 2
    b_e = w.get("bias_edge", np.zeros((K, H)))
    width = 2 * H if aggregate == "concat" else H
    h = [np.concatenate([x, np.zeros(H - len(x))]) for x in annotations]
    tape = []
    for _ in range(steps):
        a = [w.get("bias_node", np.zeros(width)).copy() for _ in h]
        for u, v, e in edges:
            a[v][:H] += w["weight_edge"][e] @ h[u] + b_e[e]
            a[u][width - H :] += w["weight_edge"][types + e] @ h[v] + b_e[types + e]
        if step is not None:
            h = [step(w, a_v, h_v) for a_v, h_v in zip(a, h, strict=True)]
            continue
        done = [gru.forward(w, a_v, (h_v,), reset_after) for a_v, h_v in zip(a, h, strict=True)]
        tape.append((h, [saved for _, saved in done]))
        h = [state for (state,), _ in done]
    return np.array(h), tape


def backward(w, tape, edges, dh, annotation_size, reset_after):
    """Gradients of the annotations and of every weight."""
    H, K = w["weight_hh"].shape[1], len(w["weight_edge"])
    types = K // 2
    dw = {name: np.zeros_like(value) for name, value in w.items()}
    dh = list(dh)
    for h_, saved in reversed(tape):
        da, dh_ = [], []
        for v in range(len(dh)):
            da_v, (dh_v,), dw_v = gru.backward(w, saved[v], (dh[v],), reset_after)
            da.append(da_v)
            dh_.append(dh_v)
            for name, value in dw_v.items():
                dw[name] += value
        for u, v, e in edges:
            for node, k, dm in ((u, e, da[v][:H]), (v, types + e, da[u][len(da[u]) - H :])):
                dh_[node] = dh_[node] + w["weight_edge"][k].T @ dm
                dw["weight_edge"][k] += np.outer(dm, h_[node])
                if "bias_edge" in dw:
                    dw["bias_edge"][k] += dm
        if "bias_node" in dw:
            dw["bias_node"] += np.sum(da, axis=0)
        dh = dh_
    return np.array(dh)[:, :annotation_size], dw


def paper_step(w, a, h_):
    """The paper's update: h̃ = tanh(W a + U (r h₋)), h = (1 - z) h₋ + z h̃."""
    H = len(h_)
    W_r, W_z, W = np.split(w["weight_ih"], 3)
    U_r, U_z, U = np.split(w["weight_hh"], 3)
    b_r, b_z, b = np.split(w["bias_ih"] + w["bias_hh"], 3)
    assert W.shape[0] == H
    z = sigmoid(W_z @ a + U_z @ h_ + b_z)
    r = sigmoid(W_r @ a + U_r @ h_ + b_r)
    candidate = np.tanh(W @ a + U @ (r * h_) + b)
    return (1 - z) * h_ + z * candidate


def printed_expansion(T, H, W):
    """Note 000's multiplied-out step, term by term as printed. It is not the GRU."""
    za, ha, ra = sigmoid(T @ W["za"]), np.tanh(T @ W["ha"]), T @ W["ra"]
    zh, rh = sigmoid(H @ W["zh"]), H @ W["rh"]
    third = np.tanh(sigmoid((ra * H) @ W["h"]))
    return (
        za * ha
        + za * third
        + za * np.tanh(sigmoid(rh * H) + H)
        + ha * zh
        + third * sigmoid(H @ W["za"])
        + zh * np.tanh(sigmoid((rh * H) @ W["h"]) - H)
        + H
    )
