"""The guide's table of conventions without a converter: each library's equations written out, and
its weights put in order as the table says.
"""

import numpy as np

from gru_native import GRU, LSTM
from helpers import assert_close

RNG = np.random.default_rng(131)
INPUTS, H, STEPS = 3, 4, 6
X = RNG.standard_normal((STEPS, INPUTS))


def draw(*shape):
    return RNG.uniform(-0.9, 0.9, shape)


def s(x):
    return 1 / (1 + np.exp(-x))


def close(layer, weights, expected):
    layer.load_state_dict(weights)
    assert_close(layer(X)[0], np.array(expected), 1e-13)


def test_dynet():
    """VanillaLSTMBuilder: i f o g, and 1 more in f."""
    w, u, b = draw(4 * H, INPUTS), draw(4 * H, H), draw(4 * H)
    h, c, hs = np.zeros(H), np.zeros(H), []
    for x in X:
        i, f, o, g = np.split(w @ x + u @ h + b, 4)
        c = s(f + 1) * c + s(i) * np.tanh(g)
        h = s(o) * np.tanh(c)
        hs.append(h)

    def rows(a):
        i, f, o, g = np.split(a, 4)
        return np.concatenate([i, f, g, o])

    bias = b.copy()
    bias[H : 2 * H] += 1
    weights = {"weight_ih_l0": rows(w), "weight_hh_l0": rows(u), "bias_ih_l0": rows(bias)}
    close(LSTM(INPUTS, H, dtype=np.float64), weights | {"bias_hh_l0": np.zeros(4 * H)}, hs)


def test_lasagnes_lstm():
    """An array for each gate, (inputs, units); peepholes; initial states that are learned."""
    gates = ("ingate", "forgetgate", "cell", "outgate")
    w = {gate: draw(INPUTS, H) for gate in gates}
    u = {gate: draw(H, H) for gate in gates}
    b = {gate: draw(H) for gate in gates}
    p = {gate: draw(H) for gate in ("ingate", "forgetgate", "outgate")}
    hid_init, cell_init = draw(1, H), draw(1, H)
    h, c, hs = hid_init[0], cell_init[0], []
    for x in X:
        a = {gate: x @ w[gate] + h @ u[gate] + b[gate] for gate in gates}
        i, f = (s(a[gate] + p[gate] * c) for gate in gates[:2])
        c = f * c + i * np.tanh(a["cell"])
        h = s(a["outgate"] + p["outgate"] * c) * np.tanh(c)
        hs.append(h)
    weights = {
        "weight_ih_l0": np.vstack([w[gate].T for gate in gates]),
        "weight_hh_l0": np.vstack([u[gate].T for gate in gates]),
        "bias_ih_l0": np.concatenate([b[gate] for gate in gates]),
        "bias_hh_l0": np.zeros(4 * H),
        "weight_ci_l0": p["ingate"],
        "weight_cf_l0": p["forgetgate"],
        "weight_co_l0": p["outgate"],
        "h0_l0": hid_init[0],
        "c0_l0": cell_init[0],
    }
    layer = LSTM(INPUTS, H, peephole=True, learn_initial_state=True, dtype=np.float64)
    close(layer, weights, hs)


def test_lasagnes_gru():
    """z = 1 - u, so W, U and b of updategate are negated."""
    gates = ("resetgate", "updategate", "hidden_update")
    w, u, b = ([draw(*shape) for _ in gates] for shape in ((INPUTS, H), (H, H), (H,)))
    h, hs = np.zeros(H), []
    for x in X:
        r, z = (s(x @ w[k] + h @ u[k] + b[k]) for k in (0, 1))
        n = np.tanh(x @ w[2] + b[2] + r * (h @ u[2]))
        h = (1 - z) * h + z * n
        hs.append(h)
    sign = (1, -1, 1)
    weights = {
        "weight_ih_l0": np.vstack([k * a.T for k, a in zip(sign, w, strict=True)]),
        "weight_hh_l0": np.vstack([k * a.T for k, a in zip(sign, u, strict=True)]),
        "bias_ih_l0": np.concatenate([k * a for k, a in zip(sign, b, strict=True)]),
        "bias_hh_l0": np.zeros(3 * H),
    }
    close(GRU(INPUTS, H, dtype=np.float64), weights, hs)


def test_paddles_older_gru():
    """dynamic_gru: u r c, z = 1 - u, and reset before the product (origin_mode=False)."""
    w, u, b = draw(3 * H, INPUTS), draw(3 * H, H), draw(3 * H)
    h, hs = np.zeros(H), []
    for x in X:
        a = w @ x + b
        z, r = (s(a[k * H : (k + 1) * H] + u[k * H : (k + 1) * H] @ h) for k in (0, 1))
        n = np.tanh(a[2 * H :] + u[2 * H :] @ (r * h))
        h = (1 - z) * h + z * n
        hs.append(h)

    def rows(a):
        z, r, n = np.split(a, 3)
        return np.concatenate([r, -z, n])

    weights = {"weight_ih_l0": rows(w), "weight_hh_l0": rows(u), "bias_ih_l0": rows(b)}
    layer = GRU(INPUTS, H, reset_after=False, dtype=np.float64)
    close(layer, weights | {"bias_hh_l0": np.zeros(3 * H)}, hs)


def test_paddle_is_as_pytorch():
    """LSTMCell and GRUCell: PyTorch's gates and equations."""
    w, u, b, v = draw(3 * H, INPUTS), draw(3 * H, H), draw(3 * H), draw(3 * H)
    h, hs = np.zeros(H), []
    for x in X:
        (r, z, c), (r_h, z_h, c_h) = np.split(w @ x + b, 3), np.split(u @ h + v, 3)
        c = np.tanh(c + s(r + r_h) * c_h)
        h = s(z + z_h) * h + (1 - s(z + z_h)) * c
        hs.append(h)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    close(GRU(INPUTS, H, dtype=np.float64), dict(zip(names, (w, u, b, v), strict=True)), hs)
