"""ONNX's operators RNN, GRU and LSTM (opset 22) from the text of their documentation, one sequence
and one step at a time.

Tensors have the shapes of layout 0, or with layout=1 those of layout 1. Names in capitals and the
equations are the documentation's. clip bounds "the input of activations": of f, g and h, so also
what h sees of Ct, but not the Ct that stays.
"""

import numpy as np


def _sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


FUNCTIONS = {
    "Relu": lambda x, alpha, beta: np.maximum(0, x),
    "Tanh": lambda x, alpha, beta: np.tanh(x),
    "Sigmoid": lambda x, alpha, beta: _sigmoid(x),
    "Affine": lambda x, alpha, beta: alpha * x + beta,
    "LeakyRelu": lambda x, alpha, beta: np.where(x >= 0, x, alpha * x),
    "ThresholdedRelu": lambda x, alpha, beta: np.where(x >= alpha, x, 0),
    "ScaledTanh": lambda x, alpha, beta: alpha * np.tanh(beta * x),
    "HardSigmoid": lambda x, alpha, beta: np.minimum(np.maximum(alpha * x + beta, 0), 1),
    "Elu": lambda x, alpha, beta: np.where(x >= 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1)),
    "Softsign": lambda x, alpha, beta: x / (1 + np.abs(x)),
    "Softplus": lambda x, alpha, beta: np.logaddexp(0, x),
}
USUAL = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
ALPHA = {
    **{"Affine": 1.0, "LeakyRelu": 0.01, "ThresholdedRelu": 1.0, "ScaledTanh": None},
    **{"HardSigmoid": 0.2, "Elu": 1.0},
}
BETA = {"Affine": 0.0, "ScaledTanh": None, "HardSigmoid": 0.5}


def _activations(op, directions, names, alphas, betas, clip):
    """For each direction its functions of one number, alpha and beta taken in their order."""
    alphas, betas, functions = list(alphas), list(betas), []
    for name in names or USUAL[op] * directions:
        alpha = (alphas.pop(0) if alphas else ALPHA[name]) if name in ALPHA else None
        beta = (betas.pop(0) if betas else BETA[name]) if name in BETA else None

        def function(x, f=FUNCTIONS[name], alpha=alpha, beta=beta):
            return f(x if clip is None else np.minimum(np.maximum(x, -clip), clip), alpha, beta)

        functions.append(function)
    n = len(USUAL[op])
    return [functions[d * n : (d + 1) * n] for d in range(directions)]


def _rnn(fs, W, R, Wb, Rb, Xt, Ht_1, Ct_1, options):
    (f,) = fs
    return f(Xt @ W.T + Ht_1 @ R.T + Wb + Rb), Ct_1


def _gru(fs, W, R, Wb, Rb, Xt, Ht_1, Ct_1, options):
    f, g = fs
    (Wz, Wr, Wh), (Rz, Rr, Rh) = np.split(W, 3), np.split(R, 3)
    (Wbz, Wbr, Wbh), (Rbz, Rbr, Rbh) = np.split(Wb, 3), np.split(Rb, 3)
    zt = f(Xt @ Wz.T + Ht_1 @ Rz.T + Wbz + Rbz)
    rt = f(Xt @ Wr.T + Ht_1 @ Rr.T + Wbr + Rbr)
    if options.get("linear_before_reset", 0) == 0:
        ht = g(Xt @ Wh.T + (rt * Ht_1) @ Rh.T + Rbh + Wbh)
    else:
        ht = g(Xt @ Wh.T + rt * (Ht_1 @ Rh.T + Rbh) + Wbh)
    return (1 - zt) * ht + zt * Ht_1, Ct_1


def _lstm(fs, W, R, Wb, Rb, Xt, Ht_1, Ct_1, options):
    f, g, h = fs
    Pi, Po, Pf = options["P"]
    (Wi, Wo, Wf, Wc), (Ri, Ro, Rf, Rc) = np.split(W, 4), np.split(R, 4)
    (Wbi, Wbo, Wbf, Wbc), (Rbi, Rbo, Rbf, Rbc) = np.split(Wb, 4), np.split(Rb, 4)
    it = f(Xt @ Wi.T + Ht_1 @ Ri.T + Pi * Ct_1 + Wbi + Rbi)
    ft = f(Xt @ Wf.T + Ht_1 @ Rf.T + Pf * Ct_1 + Wbf + Rbf)
    if options.get("input_forget", 0):
        ft = 1 - it
    ct = g(Xt @ Wc.T + Ht_1 @ Rc.T + Wbc + Rbc)
    Ct = ft * Ct_1 + it * ct
    ot = f(Xt @ Wo.T + Ht_1 @ Ro.T + Po * Ct + Wbo + Rbo)
    return ot * h(Ct), Ct


STEPS = {"RNN": _rnn, "GRU": _gru, "LSTM": _lstm}


def run(
    op, attributes, X, W, R, B=None, sequence_lens=None, initial_h=None, initial_c=None, P=None
):
    """Y, Y_h and, for the LSTM, Y_c, in float64. attributes: as the node's, by name."""
    X, W, R, B, initial_h, initial_c, P = (
        None if a is None else np.asarray(a, np.float64)
        for a in (X, W, R, B, initial_h, initial_c, P)
    )
    layout = attributes.get("layout", 0)
    if layout:
        X, initial_h, initial_c = (
            None if a is None else a.swapaxes(0, 1) for a in (X, initial_h, initial_c)
        )
    directions, hidden = W.shape[0], R.shape[2]
    steps, batch, _ = X.shape
    fs = _activations(
        op,
        directions,
        attributes.get("activations"),
        attributes.get("activation_alpha", ()),
        attributes.get("activation_beta", ()),
        attributes.get("clip"),
    )
    zeros = np.zeros((directions, batch, hidden))
    H = (zeros if initial_h is None else initial_h).copy()
    C = (zeros if initial_c is None else initial_c).copy()
    Y = np.zeros((steps, directions, batch, hidden))
    for d in range(directions):
        Wb, Rb = np.split(np.zeros(2 * GATES[op] * hidden) if B is None else B[d], 2)
        options = {**attributes, "P": np.zeros((3, hidden)) if P is None else np.split(P[d], 3)}
        backwards = attributes.get("direction") == "reverse" or d == 1
        for b in range(batch):
            length = steps if sequence_lens is None else int(sequence_lens[b])
            for t in reversed(range(length)) if backwards else range(length):
                H[d, b], C[d, b] = STEPS[op](
                    fs[d], W[d], R[d], Wb, Rb, X[t, b], H[d, b], C[d, b], options
                )
                Y[t, d, b] = H[d, b]
    if layout:
        Y, H, C = Y.transpose(2, 0, 1, 3), H.swapaxes(0, 1), C.swapaxes(0, 1)
    return (Y, H, C) if op == "LSTM" else (Y, H)
