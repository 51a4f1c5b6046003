"""Layers, directions and ragged batches over the cells.

    layer l reads the output of layer l-1:        x_t^l = [→h_t^{l-1}; ←h_t^{l-1}]
    the reverse direction starts at the last step of each sequence's own length
    the state of (layer l, direction d) is row  l * directions + d

Shapes: x (T, B, input), y (T, B, directions * output), h (layers * directions, B, output),
c (layers * directions, B, hidden), output = proj_size or hidden_size. The state is h, or (h, c).
With nonrecurrent_proj_size y has [r; p] in each direction, and h is r. With gate recurrence h is
[h; i; f; o], the gates of the last step with it.
With nonrecurrent_proj_size y has [r; p] in each direction, and h is r.

Zoneout (Krueger et al. 2017), with s̃ what the cell makes of the state s = h or c:

    s_t = m s_{t-1} + (1 - m) s̃_t         m: 0 or 1 for each unit and step; in inference its mean

In the LSTM's s̃ = h the output gate sees the new c, not the one that zoneout has mixed.
A masked step leaves the state alone. Its output is 0, or (hold) that of the step before it in the
order of the direction, which may be masked itself; 0 where there is none before it.
"""

from dataclasses import dataclass, field

import numpy as np

from reference import gru, lstm, lstm_variants, rnn
from reference.lstm_variants import Variant

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "rnn": 1, "lstm": 4, "gru": 3, "gru_reset_before": 3}


@dataclass(frozen=True)
class Spec:
    cell: str  # a key of GATES
    input_size: int
    hidden_size: int
    num_layers: int = 1
    bidirectional: bool = False
    bias: bool = True
    proj_size: int = 0
    nonrecurrent_proj_size: int = 0
    variant: Variant = field(default_factory=Variant)  # of the LSTM
    layer_norm: bool = False  # of the LSTM, and of the GRU with reset after
    zoneout: tuple = (0.0, 0.0)  # probabilities of h and c
    candidate_activation: str | tuple = "tanh"  # of the GRU
    gate_activation: str | tuple = "sigmoid"  # of the GRU
    nonlinearity: str | tuple = "tanh"  # of the cell "rnn"
    activation_clip: float | None = None  # of GRU and RNN

    @property
    def function(self):
        """The RNN's."""
        return self.cell.removeprefix("rnn_") if self.cell != "rnn" else self.nonlinearity

    @property
    def gru_options(self):
        clip = self.activation_clip
        return self.cell == "gru", self.candidate_activation, self.gate_activation, clip

    @property
    def directions(self):
        return 2 if self.bidirectional else 1

    @property
    def recurrent_size(self):
        return self.proj_size or self.hidden_size

    @property
    def recurrent_gates(self):
        return 3 * self.hidden_size if self.variant.gate_recurrence else 0

    @property
    def output_size(self):
        return self.recurrent_size + self.nonrecurrent_proj_size

    @property
    def is_variant(self):
        plain = self.variant == Variant() and not self.layer_norm
        return self.cell == "lstm" and not (plain and self.nonrecurrent_proj_size == 0)

    @property
    def state_sizes(self):
        """The widths of what one cell carries on: (h,) or (h, c)."""
        sizes = (self.recurrent_size + self.recurrent_gates, self.hidden_size)
        return sizes if self.cell == "lstm" else sizes[:1]


def suffix(layer, direction):
    return f"_l{layer}" + ("_reverse" if direction else "")


def weight_shapes(spec):
    """Name -> shape, in torch's order."""
    shapes = {}
    gates = len(spec.variant.gates) if spec.cell == "lstm" else GATES[spec.cell]
    rows = gates * spec.hidden_size
    for layer in range(spec.num_layers):
        columns = spec.input_size if layer == 0 else spec.directions * spec.output_size
        for direction in range(spec.directions):
            end = suffix(layer, direction)
            shapes["weight_ih" + end] = (rows, columns)
            shapes["weight_hh" + end] = (rows, spec.recurrent_size)
            if spec.bias:
                shapes["bias_ih" + end] = (rows,)
                shapes["bias_hh" + end] = (rows,)
            if spec.proj_size:
                shapes["weight_hr" + end] = (spec.proj_size, spec.hidden_size)
            if spec.nonrecurrent_proj_size:
                shapes["weight_hp" + end] = (spec.nonrecurrent_proj_size, spec.hidden_size)
            for gate in spec.variant.peepholes:
                shapes[f"weight_c{gate}{end}"] = (spec.hidden_size,)
            if spec.recurrent_gates:
                shapes["weight_rr" + end] = (spec.recurrent_gates, spec.recurrent_gates)
            if spec.layer_norm:
                shapes["gain_ih" + end] = shapes["gain_hh" + end] = (rows,)
                if spec.cell == "lstm":
                    shapes["gain_c" + end] = (spec.hidden_size,)
                if spec.cell == "lstm" and spec.bias:
                    shapes["bias_c" + end] = (spec.hidden_size,)
    return shapes


def cell_weights(weights, layer, direction):
    end = suffix(layer, direction)
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "weight_hp")
    kinds += ("weight_ci", "weight_cf", "weight_co", "weight_rr")
    kinds += ("gain_ih", "gain_hh", "gain_c", "bias_c")
    return {kind: weights[kind + end] for kind in kinds if kind + end in weights}


def cell_forward(spec, w, x, state):
    """One step: the state after it, what goes out, and what backward needs."""
    cell = spec.cell
    if spec.is_variant:
        return lstm_variants.forward(spec.variant, w, x, state)
    if cell == "lstm":
        after, saved = lstm.forward(w, x, state)
    elif cell.startswith("gru"):
        after, saved = gru.forward(w, x, state, *spec.gru_options)
    else:
        after, saved = rnn.forward(w, x, state, spec.function, spec.activation_clip)
    return after, after[0], saved


def cell_backward(spec, w, saved, dout, dstate):
    """The gradients of x, the state before and the weights."""
    cell = spec.cell
    if spec.is_variant:
        return lstm_variants.backward(spec.variant, w, saved, dout, dstate)
    dstate = (dstate[0] + dout, *dstate[1:])
    if cell == "lstm":
        return lstm.backward(w, saved, dstate)
    if cell.startswith("gru"):
        return gru.backward(w, saved, dstate, *spec.gru_options)
    return rnn.backward(w, saved, dstate, spec.function, spec.activation_clip)


def as_parts(state):
    return state if isinstance(state, tuple) else (state,)


def zero_state(spec, batch):
    rows = spec.num_layers * spec.directions
    return tuple(np.zeros((rows, batch, size)) for size in spec.state_sizes)


def in_time(length, reverse):
    return range(length - 1, -1, -1) if reverse else range(length)


def scan(spec, w, x, state, zones, reverse, hold=False, mask=None):
    """One cell along one sequence x (n, input): its outputs h (n, output) and its last state."""
    h = np.zeros((len(x), spec.output_size))
    saved = [None] * len(x)
    out = np.zeros(spec.output_size)
    for t in in_time(len(x), reverse):
        if mask is not None and not mask[t]:
            if hold:
                h[t] = out
            continue
        after, out, kept = cell_forward(spec, w, x[t], state)
        if spec.zoneout != (0.0, 0.0):
            m = [zone[t] for zone in zones]
            after = tuple(
                m * s + (1 - m) * s_new for m, s, s_new in zip(m, state, after, strict=True)
            )
            if spec.zoneout[0]:
                n = spec.recurrent_size
                out = np.concatenate([after[0][:n], out[n:]])
            kept = kept, m
        h[t], state, saved[t] = out, after, kept
    return h, state, saved


def scan_backward(spec, w, saved, dh, dstate, reverse, hold=False):
    """Against the order of scan: the gradients of its x, its first state and its weights."""
    dx = np.zeros((len(dh), w["weight_ih"].shape[1]))
    dw_sum = {kind: np.zeros_like(value) for kind, value in w.items()}
    dout = np.zeros(spec.output_size)  # what later, masked steps ask of the output before them
    for t in in_time(len(dh), not reverse):
        if saved[t] is None:
            dout = dout + dh[t] if hold else dout
            continue
        dout = dh[t] + dout
        if spec.zoneout == (0.0, 0.0):
            dx[t], dstate, dw = cell_backward(spec, w, saved[t], dout, dstate)
        else:
            kept, zones = saved[t]
            past = [m * d for m, d in zip(zones, dstate, strict=True)]
            if spec.zoneout[0]:
                recurs = np.zeros_like(past[0])  # what the output asks of the state that it is
                n = spec.recurrent_size
                recurs[:n] = dout[:n]
                past[0] = past[0] + zones[0] * recurs
                dout = np.concatenate([((1 - zones[0]) * recurs)[:n], dout[n:]])
            dnew = tuple((1 - m) * d for m, d in zip(zones, dstate, strict=True))
            dx[t], dstate, dw = cell_backward(spec, w, kept, dout, dnew)
            dstate = tuple(d + p for d, p in zip(dstate, past, strict=True))
        dout = np.zeros_like(dout)
        for kind in dw_sum:
            dw_sum[kind] += dw[kind]
    return dx, dstate, dw_sum


@dataclass
class Tape:
    """What backward needs; saved[sequence, layer, direction] is what each step left."""

    weights: dict
    shape: tuple
    lengths: list
    hold: bool
    saved: dict


def forward(
    spec, weights, x, state=None, lengths=None, mask=None, masked_output="zero", masks=None
):
    """Return y, the final state and the tape.

    masks: of zoneout, [layer * directions + direction] -> (of h, of c), each (T, B, size).
    mask (T, B) is false where a step is masked.
    """
    seq_len, batch, _ = x.shape
    lengths = [seq_len] * batch if lengths is None else [int(n) for n in lengths]
    initial = zero_state(spec, batch) if state is None else as_parts(state)
    final = tuple(np.zeros_like(part) for part in initial)
    y = np.zeros((seq_len, batch, spec.directions * spec.output_size))
    hold = masked_output == "hold"
    tape = Tape(weights, x.shape, lengths, hold, {})
    for b, length in enumerate(lengths):
        inputs = x[:length, b]
        for layer in range(spec.num_layers):
            outputs = []
            for direction in range(spec.directions):
                row = layer * spec.directions + direction
                w = cell_weights(weights, layer, direction)
                first = tuple(part[row, b] for part in initial)
                ones = [np.ones((length, size)) for size in spec.state_sizes]
                ones[0][:, spec.recurrent_size :] = 0  # gates that recur
                zones = [p * one for p, one in zip(spec.zoneout, ones, strict=False)]
                if masks is not None:
                    zones = [zone[:length, b] for zone in masks[row]]
                m = None if mask is None else mask[:length, b]
                h, last, saved = scan(spec, w, inputs, first, zones, direction == 1, hold, m)
                outputs.append(h)
                tape.saved[b, layer, direction] = saved
                for part, value in zip(final, last, strict=True):
                    part[row, b] = value
            inputs = np.concatenate(outputs, axis=1)
        y[:length, b] = inputs
    return y, final if spec.cell == "lstm" else final[0], tape


def backward(spec, tape, dy=None, dstate=None):
    """Return the gradients of x, of the initial state and of the weights, by name."""
    seq_len, batch, _ = tape.shape
    if dy is None:
        dy = np.zeros((seq_len, batch, spec.directions * spec.output_size))
    dfinal = zero_state(spec, batch) if dstate is None else as_parts(dstate)
    dinitial = tuple(np.zeros_like(part) for part in dfinal)
    dx = np.zeros(tape.shape)
    dweights = {name: np.zeros(shape) for name, shape in weight_shapes(spec).items()}
    for b, length in enumerate(tape.lengths):
        doutputs = dy[:length, b]
        for layer in reversed(range(spec.num_layers)):
            dinputs = 0.0  # both directions read the same inputs
            for direction, dh in enumerate(np.split(doutputs, spec.directions, axis=1)):
                row = layer * spec.directions + direction
                w = cell_weights(tape.weights, layer, direction)
                dlast = tuple(part[row, b] for part in dfinal)
                saved = tape.saved[b, layer, direction]
                dxs, dfirst, dw = scan_backward(
                    spec, w, saved, dh, dlast, direction == 1, tape.hold
                )
                dinputs = dinputs + dxs
                for part, value in zip(dinitial, dfirst, strict=True):
                    part[row, b] = value
                for kind, value in dw.items():
                    dweights[kind + suffix(layer, direction)] += value
            doutputs = dinputs
        dx[:length, b] = doutputs
    return dx, dinitial if spec.cell == "lstm" else dinitial[0], dweights
