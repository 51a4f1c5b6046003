"""The LSTM's variants (Greff et al. 2017; Sak, Senior and Beaufays 2014), one step.

    z = g(W_z x + R_z y₋ + b_z)                     block input
    i = σ(W_i x + R_i y₋ + p_i c₋ + b_i)            input gate; 1 if missing
    f = σ(W_f x + R_f y₋ + p_f c₋ + b_f)            forget gate; 1 if missing; 1 - i if coupled
    c = z i + c₋ f                                  held within [-clip, clip]
    o = σ(W_o x + R_o y₋ + p_o c + b_o)             output gate; 1 if missing
    m = h(c) o
    y = m,  or with projections  y = W_rm m,  and  W_pm m  goes out beside it but not back

σ of the gates may be another function, and what goes into any of σ, g and h be held within a limit.

Rows of W and R lie in torch's order i, f, z, o, without those of missing gates. y₋ is the state
(h of torch); the names of the weights are torch's, with weight_c{i,f,o} for p, weight_hp for W_pm.
"""

from dataclasses import dataclass, fields

import numpy as np

from reference.functions import chosen


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
    gate_activation: str | tuple = "sigmoid"
    activation_clip: float | None = None

    def __str__(self):
        """What differs from the usual cell."""
        changed = [f for f in fields(self) if getattr(self, f.name) != f.default]
        return ",".join(f"{f.name}={getattr(self, f.name)}" for f in changed) or "plain"

    @property
    def gates(self):
        has = (self.input_gate, self.forget_gate and not self.coupled_gates, True, self.output_gate)
        return [gate for gate, there in zip("ifzo", has, strict=True) if there]

    @property
    def functions(self):
        """σ, g and h, each with its slope."""
        names = (self.gate_activation, self.input_activation, self.output_activation)
        return [chosen(name, self.activation_clip) for name in names]

    @property
    def peepholes(self):
        return [gate for gate in self.gates if gate != "z"] if self.peephole else []


def forward(variant, w, x, state):
    y_, c_ = state
    one = np.ones_like(c_)
    p = {gate: w.get(f"weight_c{gate}", 0.0) for gate in "ifo"}
    (sigma, _), (g, _), (h, _) = variant.functions
    sums = w["weight_ih"] @ x + w.get("bias_ih", 0.0) + w["weight_hh"] @ y_ + w.get("bias_hh", 0.0)
    a = dict(zip(variant.gates, np.split(sums, len(variant.gates)), strict=True))

    def look_at(gate, cell):
        return a[gate] + p[gate] * cell if variant.peephole else a[gate]

    z = g(a["z"])
    i = sigma(look_at("i", c_)) if "i" in a else one
    f = sigma(look_at("f", c_)) if "f" in a else one
    if variant.coupled_gates:
        f = 1 - i
    free = z * i + c_ * f
    limit = variant.cell_clip
    c = free if limit is None else np.clip(free, -limit, limit)
    o = sigma(look_at("o", c)) if "o" in a else one
    seen = {gate: a[gate] if gate == "z" else look_at(gate, c if gate == "o" else c_) for gate in a}
    m = h(c) * o

    y = w["weight_hr"] @ m if "weight_hr" in w else m
    out = np.concatenate([y, w["weight_hp"] @ m]) if "weight_hp" in w else y
    return (y, c), out, (x, y_, c_, seen, z, i, f, free, c, o, m)


def backward(variant, w, saved, dout, dstate):
    """dout is the gradient of what goes out, dstate of (y, c) from t+1."""
    x, y_, c_, a, z, i, f, free, c, o, m = saved
    dy, dc = dstate
    dw = {}
    (_, slope), (_, g_slope), (h, h_slope) = variant.functions

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
    dc = dc + dm * o * h_slope(c)
    if "o" in a:
        d["o"] = dm * h(c) * slope(a["o"])
    if "o" in variant.peepholes:
        dc = dc + w["weight_co"] * d["o"]
        dw["weight_co"] = d["o"] * c
    if variant.cell_clip is not None:  # a constant where it was cut
        dc = np.where(np.abs(free) > variant.cell_clip, 0.0, dc)
    d["z"] = dc * i * g_slope(a["z"])
    dc_ = dc * f
    if "i" in a:
        from_f = c_ if variant.coupled_gates else 0.0
        d["i"] = dc * (z - from_f) * slope(a["i"])
    if "f" in a:
        d["f"] = dc * c_ * slope(a["f"])
    for gate in variant.peepholes:
        if gate != "o":
            dc_ = dc_ + w[f"weight_c{gate}"] * d[gate]
            dw[f"weight_c{gate}"] = d[gate] * c_

    da = np.concatenate([d[gate] for gate in variant.gates])
    dw["weight_ih"] = np.outer(da, x)
    dw["weight_hh"] = np.outer(da, y_)
    dw["bias_ih"] = dw["bias_hh"] = da
    return w["weight_ih"].T @ da, (w["weight_hh"].T @ da, dc_), dw
