"""Element-wise operations of each cell, per unit, row and step, line by line as in cpp/cells.

Conventions: a subtraction is an "add", so is 1 - z; a multiply_add is one of each; a function's
slope is written from its output, s (1 - s) or 1 - t t. A bias is where a sum begins and costs
nothing. A gate that is missing is the number 1, and multiplying by it costs nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..layers._arguments import Function
from ._work import Operations, ops

MULTIPLY_ADD = ops(multiply=1, add=1)
SIGMOID = ops(sigmoid=1)
SIGMOID_SLOPE = ops(multiply=1, add=1)
TANH_SLOPE = ops(multiply=1, add=1)


# Made of other functions, but one operation each; so is the slope of any of them.
COMPOSED = {
    *("softsign", "softplus", "leaky_relu", "thresholded_relu"),
    *("elu", "affine", "scaled_tanh", "hard_sigmoid"),
}


@dataclass(frozen=True)
class Activation:
    """y = f(a), and da = dy f'(a) from y; with a limit a is held within it first."""

    forward: Operations
    backward: Operations


def activation(function: Function, clip: float | None = None) -> Activation:
    name = function if isinstance(function, str) else function[0]
    limit = ops(clip=1) if clip else ops()
    backward = {
        "identity": ops(),
        "tanh": ops(multiply=1) + TANH_SLOPE,
        "sigmoid": ops(multiply=1) + SIGMOID_SLOPE,
        "relu": ops(select=1),
        **{composed: ops(slope=1) for composed in COMPOSED},
    }[name]
    forward = ops() if name == "identity" else ops(**{name: 1})
    return Activation(limit + forward, backward + limit)


@dataclass(frozen=True)
class Cell:
    """What a step of a cell is made of. Products are by gates: rows of hidden_size sums each."""

    input: int  # gates that W x fills
    recurrent: int  # gates that U h- fills
    candidate: int  # gates that a second product fills, behind the first part of the step
    forward: Operations
    backward: Operations  # to the pre-activations and to the state before
    peepholes: Operations = field(default_factory=Counter)  # to the peepholes' weights
    has_c: bool = False
    slots: int = 0  # numbers that a unit's activations take on the tape

    @property
    def gates(self) -> int:
        """Row blocks of weight_ih and weight_hh."""
        return self.input


def rnn(nonlinearity: Function, activation_clip: float | None = None) -> Cell:
    f = activation(nonlinearity, activation_clip)
    return Cell(
        input=1,
        recurrent=1,
        candidate=0,
        slots=1,
        forward=f.forward,  # h = f(a)
        backward=f.backward,
    )


def gru(
    reset_after: bool,
    candidate_activation: Function = "tanh",
    gate_activation: Function = "sigmoid",
    activation_clip: float | None = None,
) -> Cell:
    n = activation(candidate_activation, activation_clip)
    gate = activation(gate_activation, activation_clip)
    h = ops(multiply=2, add=2)  # (1 - z) n + z h-
    n_gradient = ops(multiply=1, add=1) + n.backward  # dh (1 - z), through n
    z_gradient = ops(multiply=1, add=1) + gate.backward  # dh (h- - n) z'
    r_gradient = ops(multiply=1) + gate.backward  # dn s r', or q h- r'
    if reset_after:
        return Cell(
            input=3,
            recurrent=3,
            candidate=0,
            slots=4,  # n r z s
            forward=gate.forward + gate.forward + MULTIPLY_ADD + n.forward + h,  # n = f(n + r s)
            backward=n_gradient
            + z_gradient
            + r_gradient
            + ops(multiply=2),  # ds = dn r; dh- = dh z
        )
    return Cell(
        input=3,
        recurrent=2,
        candidate=1,
        slots=3,  # r z n
        forward=gate.forward + gate.forward + ops(multiply=1) + n.forward + h,  # u = r h-
        backward=n_gradient  # for the product with U_n^T, and once more behind it
        + n_gradient
        + z_gradient
        + r_gradient
        + ops(multiply=2, add=1),  # dh- = dh z + q r
    )


@dataclass(frozen=True)
class LstmOptions:
    """What may differ from LSTM to LSTM; the names are those of gru_native.LSTM."""

    peephole: bool = False
    coupled_gates: bool = False
    input_gate: bool = True
    forget_gate: bool = True
    output_gate: bool = True
    input_activation: Function = "tanh"
    output_activation: Function = "tanh"
    gate_activation: Function = "sigmoid"
    cell_clip: float | None = None
    activation_clip: float | None = None
    gate_recurrence: bool = False

    @property
    def has_f(self) -> bool:
        """Whether f has weights of its own."""
        return self.forget_gate and not self.coupled_gates


def lstm(o: LstmOptions) -> Cell:
    i, f = int(o.input_gate), int(o.has_f)
    gates = i + f + int(o.output_gate)
    coupled = ops(add=int(o.coupled_gates))  # f = 1 - i
    # A product with each gate that is not always 1.
    times_i, times_o = ops(multiply=i), ops(multiply=int(o.output_gate))
    times_f = ops(multiply=int(o.forget_gate))
    clip = ops(clip=1) if o.cell_clip else ops()
    clip_backward = ops(abs=1, select=1) if o.cell_clip else ops()
    c = times_f + times_i + ops(add=1) + coupled  # f c- + i g
    peephole = MULTIPLY_ADD if o.peephole else ops()
    look_back = ops(multiply=1) if o.peephole else ops()  # dp = da c
    gate, g, out = (
        activation(f, o.activation_clip)
        for f in (o.gate_activation, o.input_activation, o.output_activation)
    )

    forward, backward, peepholes = Counter[str](), Counter[str](), Counter[str]()
    for _ in range(gates):
        forward += peephole + gate.forward
    forward += g.forward
    forward += c + clip
    forward += times_o + out.forward  # h = o f(c)

    backward += c + clip + out.forward  # c and f(c) once more
    backward += times_o + out.backward + ops(add=1)  # dc, from dh o
    backward += clip_backward
    backward += times_f  # dc- = dc f, which c has made already
    backward += times_i + g.backward  # dg, from dc i
    for _ in range(gates):  # do = dh f(c) o', df = dc c- f', di = dc g i'
        backward += ops(multiply=1) + gate.backward + peephole
        backward += ops(add=int(o.gate_recurrence))  # from the gates of the next step
        peepholes += look_back + ops(add=int(o.peephole))  # and its sum over rows
    backward += coupled  # di = dc (g - c-) i'
    return Cell(
        input=gates + 1,
        recurrent=gates + 1,
        candidate=0,
        slots=gates + 1,
        has_c=True,
        forward=forward,
        backward=backward,
        peepholes=peepholes,
    )


# Layer normalisation, as in cpp/cells/layer_norm.h and cpp/kernels/norm.h: of each number of a row,
# and of the row. Then gain y + bias, where y goes.
NORM = ops(add=1) + ops(add=2, multiply=1) + ops(add=1, multiply=1)  # mean; variance; (a - mean) s
NORM_ROW = ops(divide=2) + ops(add=1, sqrt=1, divide=1)  # of both sums; 1 / sqrt(v + eps)
NORM_BACKWARD = (
    ops(multiply=1, add=1)  # mean of dy, dy = d gain
    + ops(multiply=2, add=1)  # mean of dy y
    + ops(multiply=3, add=2)  # s (dy - mean - y along)
)
NORM_BACKWARD_ROW = ops(divide=2)
GAIN = MULTIPLY_ADD  # and its gradient's sum


def zoneout(training: bool, rate: float) -> Operations:
    """s = m s- + (1 - m) s; in training m is 0 or 1, and that is a choice."""
    if training:
        return ops(zoneout=1)
    return ops() if rate >= 1 else ops(multiply=2, add=2)


ZONEOUT_BACKWARD = ops(multiply=2, add=1)  # m d and (1 - m) d
# m d added to what comes back through the cell. Behind a projection its product begins with it.
ZONEOUT_KEPT = ops(add=1)
