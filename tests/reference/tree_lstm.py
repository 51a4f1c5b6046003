"""Tree-LSTM (Tai, Socher and Manning 2015), node by node: the oracle of its tests.

Child-sum, with children C of a node and s = Σ h_k:

    i = σ(W_i x + U_i s + b_i)       o = σ(W_o x + U_o s + b_o)
    f_k = σ(W_f x + U_f h_k + b_f)   for each child
    u = tanh(W_u x + U_u s + b_u)
    c = i u + Σ f_k c_k              h = o tanh(c)

N-ary, with child l in slot l, a missing one being zeros:

    i = σ(W_i x + Σ_l U_il h_l + b_i)       o, u likewise
    f_k = σ(W_f x + Σ_l U_fkl h_l + b_f)    for each slot
    c = i u + Σ f_l c_l                     h = o tanh(c)

Weights are a dictionary by the layers' names: weight_ih and bias hold i, f, u, o in this order;
child-sum's weight_hh likewise; weight_hh_iog holds i, o, u, its columns slot after slot, and row
block k of weight_hh_f belongs to f_k.
"""

import numpy as np

from reference.sigmoid import sigmoid


def weight_shapes(input_size, hidden_size, arity=None, bias=True):
    H = hidden_size
    shapes = {"weight_ih": (4 * H, input_size)}
    if arity is None:
        shapes["weight_hh"] = (4 * H, H)
    else:
        shapes["weight_hh_iog"] = (3 * H, arity * H)
        shapes["weight_hh_f"] = (arity * H, arity * H)
    if bias:
        shapes["bias"] = (4 * H,)
    return shapes


def child_sum_node(w, x, children):
    """children: a list of (h, c)."""
    W_i, W_f, W_u, W_o = np.split(w["weight_ih"], 4)
    U_i, U_f, U_u, U_o = np.split(w["weight_hh"], 4)
    b_i, b_f, b_u, b_o = np.split(w["bias"], 4) if "bias" in w else (0.0,) * 4
    s = sum((h for h, _ in children), np.zeros(U_i.shape[1]))
    i = sigmoid(W_i @ x + U_i @ s + b_i)
    o = sigmoid(W_o @ x + U_o @ s + b_o)
    u = np.tanh(W_u @ x + U_u @ s + b_u)
    c = i * u
    for h_k, c_k in children:
        c = c + sigmoid(W_f @ x + U_f @ h_k + b_f) * c_k
    return o * np.tanh(c), c


def nary_node(w, x, slots):
    """slots: for each slot (h, c) or None."""
    W_i, W_f, W_u, W_o = np.split(w["weight_ih"], 4)
    U_i, U_o, U_u = np.split(w["weight_hh_iog"], 3)
    U_f = np.split(w["weight_hh_f"], len(slots))
    b_i, b_f, b_u, b_o = np.split(w["bias"], 4) if "bias" in w else (0.0,) * 4
    H = W_i.shape[0]
    nothing = (np.zeros(H), np.zeros(H))
    children = [child or nothing for child in slots]
    i, o, u = W_i @ x + b_i, W_o @ x + b_o, W_u @ x + b_u
    f = [W_f @ x + b_f for _ in children]
    for j, (h_j, _) in enumerate(children):
        columns = slice(j * H, (j + 1) * H)
        i = i + U_i[:, columns] @ h_j
        o = o + U_o[:, columns] @ h_j
        u = u + U_u[:, columns] @ h_j
        f = [f_k + U_fk[:, columns] @ h_j for f_k, U_fk in zip(f, U_f, strict=True)]
    c = sigmoid(i) * np.tanh(u)
    for f_k, (_, c_k) in zip(f, children, strict=True):
        c = c + sigmoid(f_k) * c_k
    return sigmoid(o) * np.tanh(c), c


def forward(w, x, parents, slots=None):
    """h, c of shape (nodes, hidden); N-ary if there are slots."""
    nodes = len(parents)
    H = w["weight_ih"].shape[0] // 4
    h, c = np.full((nodes, H), np.nan), np.full((nodes, H), np.nan)

    def children_of(node):
        return [k for k in range(nodes) if parents[k] == node]

    def visit(node):
        children = children_of(node)
        for k in children:
            visit(k)
        if slots is None:
            h[node], c[node] = child_sum_node(w, x[node], [(h[k], c[k]) for k in children])
        else:
            places = [None] * (w["weight_hh_f"].shape[0] // H)
            for k in children:
                places[slots[k]] = h[k], c[k]
            h[node], c[node] = nary_node(w, x[node], places)

    for root in children_of(-1):
        visit(root)
    return h, c
