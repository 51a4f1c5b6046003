"""The LSTM's variants (Greff et al. 2017; Sak, Senior and Beaufays 2014), one step.

    z = g(W_z x + R_z y₋ + b_z)                     block input
    i = σ(W_i x + R_i y₋ + p_i c₋ + b_i)            input gate; 1 if missing
    f = σ(W_f x + R_f y₋ + p_f c₋ + b_f)            forget gate; 1 if missing; 1 - i if coupled
    c = z i + c₋ f                                  held within [-clip, clip]
    o = σ(W_o x + R_o y₋ + p_o c + b_o)             output gate; 1 if missing
    m = h(c) o
    y = m,  or with projections  y = W_rm m,  and  W_pm m  goes out beside it but not back

With full gate recurrence (FGR) each gate s of i, f, o also has R_si i₋ + R_sf f₋ + R_so o₋ in its
sum; y₋ is then followed by i₋, f₋, o₋ in the state, and weight_rr holds the nine matrices, s down.

With layer normalisation (reference/layer_norm.py) h sees N(c) + b_c where it sees c.

Rows of W and R lie in torch's order i, f, z, o, without those of missing gates. y₋ is the state
(h of torch); the names of the weights are torch's, with weight_c{i,f,o} for p, weight_hp for W_pm.
"""

from dataclasses import dataclass, fields

import numpy as np

from reference import layer_norm
from reference.functions import ACTIVATIONS
from reference.sigmoid import sigmoid


@dataclass(frozen=True)
class Variant:
    """Options under the names that gru_native.LSTM has for them."""

    peephole: bool = False
    coupled_gates: bool = False
    input_gate: bool = True
    forget_gate: bool = True
    output_gate: bool = True
    input_activation: str = "tanh"
    output_activation: str = "tanh"
    cell_clip: float | None = None
    gate_recurrence: bool = False

    def __str__(self):
        """What differs from the usual cell."""
        changed = [f for f in fields(self) if getattr(self, f.name) != f.default]
        return ",".join(f"{f.name}={getattr(self, f.name)}" for f in changed) or "plain"

    @property
    def gates(self):
        has = (self.input_gate, self.forget_gate and not self.coupled_gates, True, self.output_gate)
        return [gate for gate, there in zip("ifzo", has, strict=True) if there]

    @property
    def peepholes(self):
        return [gate for gate in self.gates if gate != "z"] if self.peephole else []


def forward(variant, w, x, state):
    y_, c_ = state
    y_, gates_ = split_state(w, y_)
    one = np.ones_like(c_)
    p = {gate: w.get(f"weight_c{gate}", 0.0) for gate in "ifo"}
    g, h = (ACTIVATIONS[a][0] for a in (variant.input_activation, variant.output_activation))
    Wx, norm_x = layer_norm.forward(w.get("gain_ih"), w["weight_ih"] @ x)
    Ry, norm_y = layer_norm.forward(w.get("gain_hh"), w["weight_hh"] @ y_)
    sums = Wx + w.get("bias_ih", 0.0) + Ry + w.get("bias_hh", 0.0)
    a = dict(zip(variant.gates, np.split(sums, len(variant.gates)), strict=True))
    if variant.gate_recurrence:
        for gate, R in zip("ifo", np.split(w["weight_rr"], 3), strict=True):
            R_i, R_f, R_o = np.split(R, 3, axis=1)
            i_, f_, o_ = np.split(gates_, 3)
            a[gate] = a[gate] + R_i @ i_ + R_f @ f_ + R_o @ o_

    def look_at(gate, cell):
        return a[gate] + p[gate] * cell if variant.peephole else a[gate]

    z = g(a["z"])
    i = sigmoid(look_at("i", c_)) if "i" in a else one
    f = sigmoid(look_at("f", c_)) if "f" in a else one
    if variant.coupled_gates:
        f = 1 - i
    free = z * i + c_ * f
    limit = variant.cell_clip
    c = free if limit is None else np.clip(free, -limit, limit)
    o = sigmoid(look_at("o", c)) if "o" in a else one
    n, norm_c = layer_norm.forward(w.get("gain_c"), c)
    n = n + w.get("bias_c", 0.0)
    m = h(n) * o

    y = w["weight_hr"] @ m if "weight_hr" in w else m
    out = np.concatenate([y, w["weight_hp"] @ m]) if "weight_hp" in w else y
    carried = np.concatenate([y, i, f, o]) if variant.gate_recurrence else y
    return (
        (carried, c),
        out,
        (x, y_, gates_, c_, a, z, i, f, free, c, o, m, n, norm_x, norm_y, norm_c),
    )


def split_state(w, y):
    """y alone, and the gates behind it."""
    return np.split(y, [w["weight_hh"].shape[1]])


def backward(variant, w, saved, dout, dstate):
    """dout is the gradient of what goes out, dstate of (y, c) from t+1."""
    x, y_, gates_, c_, a, z, i, f, free, c, o, m, n, norm_x, norm_y, norm_c = saved
    dy, dc = dstate
    dy, dgates = split_state(w, dy)
    from_next = dict.fromkeys("ifo", 0.0)
    if variant.gate_recurrence:
        from_next = dict(zip("ifo", np.split(dgates, 3), strict=True))
    dw = {}
    (_, g_slope), (h, h_slope) = (
        ACTIVATIONS[name] for name in (variant.input_activation, variant.output_activation)
    )

    dr = dout[: len(y_)] + dy
    dm = dr
    if "weight_hr" in w:
        dm = w["weight_hr"].T @ dr
        dw["weight_hr"] = np.outer(dr, m)
    if "weight_hp" in w:
        dp = dout[len(y_) :]
        dm = dm + w["weight_hp"].T @ dp
        dw["weight_hp"] = np.outer(dp, m)

    d = {}
    dn = dm * o * h_slope(n)
    dc_out, dgain_c = layer_norm.backward(norm_c, dn)
    dc = dc + dc_out
    if "o" in a:
        d["o"] = (dm * h(n) + from_next["o"]) * o * (1 - o)
    if "o" in variant.peepholes:
        dc = dc + w["weight_co"] * d["o"]
        dw["weight_co"] = d["o"] * c
    if variant.cell_clip is not None:  # a constant where it was cut
        dc = np.where(np.abs(free) > variant.cell_clip, 0.0, dc)
    d["z"] = dc * i * g_slope(a["z"])
    dc_ = dc * f
    if "i" in a:
        from_f = c_ if variant.coupled_gates else 0.0
        d["i"] = (dc * (z - from_f) + from_next["i"]) * i * (1 - i)
    if "f" in a:
        d["f"] = (dc * c_ + from_next["f"]) * f * (1 - f)
    for gate in variant.peepholes:
        if gate != "o":
            dc_ = dc_ + w[f"weight_c{gate}"] * d[gate]
            dw[f"weight_c{gate}"] = d[gate] * c_

    da = np.concatenate([d[gate] for gate in variant.gates])
    dWx, dgain_x = layer_norm.backward(norm_x, da)
    dRy, dgain_y = layer_norm.backward(norm_y, da)
    if "gain_c" in w:
        dw |= {"gain_ih": dgain_x, "gain_hh": dgain_y, "gain_c": dgain_c, "bias_c": dn}
    dw["weight_ih"] = np.outer(dWx, x)
    dw["weight_hh"] = np.outer(dRy, y_)
    dw["bias_ih"] = dw["bias_hh"] = da
    dy_ = w["weight_hh"].T @ dRy
    if variant.gate_recurrence:
        dgates = np.concatenate([d["i"], d["f"], d["o"]])
        dw["weight_rr"] = np.outer(dgates, gates_)
        dy_ = np.concatenate([dy_, w["weight_rr"].T @ dgates])
    return w["weight_ih"].T @ dWx, (dy_, dc_), dw
