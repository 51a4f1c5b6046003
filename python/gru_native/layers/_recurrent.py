"""The layers: argument names, weights by name, documentation. The mathematics is in cpp/."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from ._arguments import (
    Function,
    check_tape,
    flag,
    float_dtype,
    function,
    limit,
    number,
    of_dtype,
    size,
    text,
)
from ._weights import Array, Weighted

State: TypeAlias = Array | tuple[Array, Array]
StateLike: TypeAlias = ArrayLike | tuple[ArrayLike, ArrayLike]
Tape: TypeAlias = _core.Tape32 | _core.Tape64
Stream: TypeAlias = _core.Stream32 | _core.Stream64
S = TypeVar("S")  # the state of one kind of layer


class Gradients(NamedTuple):
    """What ``backward`` returns: gradients of a loss, each in the shape of what it belongs to."""

    x: Array
    state: State
    weights: dict[str, Array]


# Options of single cells, and their usual values.
_USUAL: dict[str, bool | int | float | Function | None] = {
    "nonlinearity": "tanh",
    "zoneout": 0.0,
    "zoneout_cell": 0.0,
    "proj_size": 0,
    "nonrecurrent_proj_size": 0,
    "peephole": False,
    "coupled_gates": False,
    "input_gate": True,
    "forget_gate": True,
    "output_gate": True,
    "input_activation": "tanh",
    "output_activation": "tanh",
    "cell_clip": None,
    "gate_recurrence": False,
    "layer_norm": False,
    "reset_after": True,
    "candidate_activation": "tanh",
    "gate_activation": "sigmoid",
    "activation_clip": None,
}


class _Recurrent(Weighted, Generic[S]):
    """What RNN, LSTM and GRU have in common.

    Options of single cells are attributes, too: here they are set, in their classes declared.
    """

    zoneout: float
    activation_clip: float | None

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        *,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        dtype: DTypeLike,
        seed: int | None,
        **cell_options: bool | int | float | Function | None,
    ) -> None:
        self.dtype = float_dtype(dtype)
        layer_type = self._core_type(_core.Layer32, _core.Layer64)
        self.input_size = size("input_size", input_size)
        self.hidden_size = size("hidden_size", hidden_size)
        self.num_layers = size("num_layers", num_layers)
        self.bias = flag("bias", bias)
        self.batch_first = flag("batch_first", batch_first)
        self.dropout = number("dropout", dropout)
        self.bidirectional = flag("bidirectional", bidirectional)
        given = {name: value for name, value in cell_options.items() if value is not None}
        self._core: _core._Layer[Any] = layer_type(
            cell=cell,
            input_size=self.input_size,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            bias=self.bias,
            batch_first=self.batch_first,
            dropout=self.dropout,
            bidirectional=self.bidirectional,
            **given,  # type: ignore[arg-type]  # checked where they are named
        )
        vars(self).update(cell_options)
        super().__init__(seed, self.hidden_size**-0.5)

    @property
    def _cell_options(self) -> dict[str, bool | int | float | Function | None]:
        return {name: getattr(self, name) for name in _USUAL if name in vars(self)}

    # --- computing

    def __call__(
        self,
        x: ArrayLike,
        state: StateLike | None = None,
        *,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        masked_output: str = "zero",
    ) -> tuple[Array, S]:
        """Inference: ``y, state = layer(x, state=None, lengths=None)``.

        x is (seq, batch, input_size), with ``batch_first`` (batch, seq, input_size), or unbatched
        (seq, input_size), of the layer's dtype; lists, integers and float16 are converted. state is
        h, or (h, c) for the LSTM, each (num_layers * directions, batch, size), without batch when x
        has none; None means zeros. lengths is (batch,), each 0 to seq, in any order: outputs past a
        sequence's end are 0, its final state is that of its own end, the reverse direction begins
        there, and length 0 hands the state through.

        mask is bool, one for each step as x has them: (seq, batch), with ``batch_first`` (batch,
        seq), unbatched (seq,). Where it is False the step is masked: its x is not read, the state
        stays as it is, and all layers and directions compute the other steps as if these were the
        whole sequence, bit for bit. What comes out at a masked step is 0, or with
        ``masked_output="hold"`` the last output once more, in the order in which that direction
        goes (0 before its first). With lengths too, steps past the end count as masked, but their
        output is 0 always.

        Returns y, shaped as x with directions * (proj_size or hidden_size) columns, and the final
        state. Raises ValueError for wrong shapes or values and TypeError for wrong dtypes or kinds,
        naming the argument.
        """
        return self._core(x, state, lengths, mask, text("masked_output", masked_output))

    def forward(
        self,
        x: ArrayLike,
        state: StateLike | None = None,
        *,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        masked_output: str = "zero",
        training: bool = True,
    ) -> tuple[Array, S, Tape]:
        """As calling the layer, and also a tape for ``backward``: ``y, state, tape = ...``.

        Dropout acts between layers, and zoneout at random, if ``training``; what dropout drops does
        not depend on how many masked steps lie between the others. The tape keeps its own copies:
        the arrays and the weights may change before ``backward``. Any number of tapes may be alive
        at once.
        """
        random = self.dropout > 0 or self.zoneout > 0 or getattr(self, "zoneout_cell", 0) > 0
        seed = int(self._random.integers(2**63)) if training and random else 0
        result: tuple[Array, S, Any] = self._core.forward(
            x,
            state,
            lengths,
            flag("training", training),
            seed,
            mask,
            text("masked_output", masked_output),
        )
        return result

    def backward(
        self, tape: Tape, dy: ArrayLike | None = None, dstate: StateLike | None = None
    ) -> Gradients:
        """Gradients of a loss from dy, its gradient of y, and/or dstate, of the final state.

        dy has y's shape, dstate the state's; None means zeros, but not both may be None. With a
        mask and "zero", dy of masked steps is not read; with "hold" it belongs to the step held.
        Returns
        ``x``, ``state`` (of the initial state) and ``weights`` by name. A tape may be used again.
        Raises ValueError for a tape of another layer or a wrong shape, TypeError for wrong kinds.
        """
        check_tape(tape, self.dtype, _core.Tape32, _core.Tape64)
        return Gradients(*self._core.backward(tape, dy, dstate))

    def stream(self, batch_size: int = 1) -> Stream:
        """A stream over this layer: one step or one chunk after the other, the state kept.

        ``s = layer.stream(); y_t = s(x_t)``; see the stream's own documentation. A stream needs no
        mask: a masked step is one that it is not given. Raises ValueError
        for a bidirectional layer, which needs the end of the sequence.
        """
        stream_type = of_dtype(self.dtype, _core.Stream32, _core.Stream64)
        return stream_type(self._core, size("batch_size", batch_size))

    def __repr__(self) -> str:
        options = {
            "num_layers": (self.num_layers, 1),
            "bias": (self.bias, True),
            "batch_first": (self.batch_first, False),
            "dropout": (self.dropout, 0.0),
            "bidirectional": (self.bidirectional, False),
            **{name: (value, _USUAL[name]) for name, value in self._cell_options.items()},
        }
        changed = [
            f", {name}={value!r}" for name, (value, usual) in options.items() if value != usual
        ]
        return (
            f"{type(self).__name__}({self.input_size}, {self.hidden_size}{''.join(changed)}"
            f", dtype={self.dtype})"
        )


class RNN(_Recurrent[Array]):
    """The Elman network: h = f(W x + b + U h-).

    nonlinearity is f: "tanh", "relu", or another function of a that ONNX's operators have, those
    with numbers alpha and beta alone or as a tuple such as ("leaky_relu", 0.02): "identity",
    "sigmoid", "softsign" (a / (1 + |a|)), "softplus" (log(1 + e^a)), "leaky_relu" (alpha a below 0;
    alpha is 0.01 if not given), "thresholded_relu" (0 below alpha; 1), "elu" (alpha (e^a - 1) below
    0; 1), "affine" (alpha a + beta; 1, 0), "hard_sigmoid" (that within [0, 1]; 0.2, 0.5) and
    "scaled_tanh" (alpha tanh(beta a), both to be given).

    activation_clip: what goes into f is held within [-activation_clip, activation_clip]; no
    gradient passes where it was cut.

    Weights as torch.nn.RNN: weight_ih_l{k} (hidden_size, input), weight_hh_l{k}, bias_ih_l{k},
    bias_hh_l{k}, with suffix _reverse for the second direction. They start uniform in
    +-1/sqrt(hidden_size), drawn from ``seed``.

    zoneout (Krueger et al. 2017; all cells): in training each number of h keeps its value of the
    step before with this probability, drawn from ``seed`` as dropout is; in inference h becomes the
    expectation, zoneout h- + (1 - zoneout) h. Outputs and the final state are what comes out of it.

    Raises ValueError or TypeError, naming the argument, for sizes below 1, a dropout or zoneout
    outside [0, 1], an unknown nonlinearity or a dtype other than float32 and float64. Gradients are
    made from outputs, so ``forward`` (not calling the layer) refuses a "leaky_relu" or "elu" with a
    negative alpha, which has two inputs for one output.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        nonlinearity: Function = "tanh",
        activation_clip: float | None = None,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        zoneout: float = 0.0,
        bidirectional: bool = False,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.nonlinearity = function("nonlinearity", nonlinearity)
        super().__init__(
            "rnn",
            input_size,
            hidden_size,
            num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            zoneout=number("zoneout", zoneout),
            bidirectional=bidirectional,
            dtype=dtype,
            seed=seed,
            nonlinearity=self.nonlinearity,
            activation_clip=limit("activation_clip", activation_clip),
        )


class LSTM(_Recurrent[tuple[Array, Array]]):
    """Long short-term memory; c = f c- + i g, h = o tanh(c).

    Weights as torch.nn.LSTM: weight_ih_l{k} (4 hidden_size, input), weight_hh_l{k}, bias_ih_l{k},
    bias_hh_l{k}, rows in the order i, f, g, o; with proj_size also weight_hr_l{k} (proj_size,
    hidden_size), and h = W_hr (o tanh(c)) (Sak, Senior and Beaufays 2014). Otherwise as RNN.

    Variants (Greff et al. 2017; ``LSTM.variant`` makes them by their names), which combine:

    - peephole: i and f also see c-, and o sees c, each unit its own: weights weight_ci_l{k},
      weight_cf_l{k}, weight_co_l{k} (hidden_size,).
    - coupled_gates: f = 1 - i. input_gate, forget_gate, output_gate: False makes the gate 1. A gate
      that is not there has no rows in the weights.
    - input_activation (of g), output_activation (of c on its way out), gate_activation (of i, f and
      o): "tanh", "sigmoid" or another function that RNN has, with its numbers if it has any.
    - nonrecurrent_proj_size: besides the recurrent projection r of proj_size, p = W_hp (o tanh(c)),
      weight_hp_l{k}, goes out and up but not back: outputs are [r; p].
    - cell_clip: c is held within [-cell_clip, cell_clip]; no gradient passes where it was cut.
    - activation_clip: what goes into an activation is, likewise; c too on its way out, but not
      the c that stays in the cell.
    - gate_recurrence: i, f and o also see all gates of the step before: weight_rr_l{k} (3
      hidden_size, 3 hidden_size), rows and columns in the order i, f, o. These gates are part of
      the state: its h is [h, i, f, o], with 4 hidden_size columns (or proj_size + 3 hidden_size),
      in calls, streams and gradients.
    - layer_norm (Ba, Kiros and Hinton 2016): N(W x) + b + N(U h-) + b' in place of the two
      products and their biases, each normalised over all gates of a step, N(a) = gain (a - mean) /
      sqrt(variance + 1e-5), with gains gain_ih_l{k} and gain_hh_l{k} (4 hidden_size,), fewer
      where gates are missing; and h = o tanh(N(c) + b_c) with gain_c_l{k}, bias_c_l{k}
      (hidden_size,), the latter only with bias. Gains start at 1.

    zoneout is that of h (with proj_size of r, which is what recurs), zoneout_cell the same for c;
    h is made of the c from before it, as in the paper. Gates that recur are no state to it.

    Raises ValueError, naming the argument, for an option that has no meaning beside the others:
    coupled_gates without both gates, peephole without any, gate_recurrence without all three (or
    with coupled_gates), nonrecurrent_proj_size without proj_size; for a cell_clip that is not above
    0 and finite; for unknown activations.
    """

    proj_size: int
    nonrecurrent_proj_size: int
    peephole: bool
    coupled_gates: bool
    input_gate: bool
    forget_gate: bool
    output_gate: bool
    input_activation: Function
    output_activation: Function
    gate_activation: Function
    cell_clip: float | None
    gate_recurrence: bool
    layer_norm: bool
    zoneout_cell: float

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        zoneout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        nonrecurrent_proj_size: int = 0,
        peephole: bool = False,
        coupled_gates: bool = False,
        input_gate: bool = True,
        forget_gate: bool = True,
        output_gate: bool = True,
        input_activation: Function = "tanh",
        output_activation: Function = "tanh",
        gate_activation: Function = "sigmoid",
        cell_clip: float | None = None,
        activation_clip: float | None = None,
        gate_recurrence: bool = False,
        layer_norm: bool = False,
        zoneout_cell: float = 0.0,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            "lstm",
            input_size,
            hidden_size,
            num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            zoneout=number("zoneout", zoneout),
            bidirectional=bidirectional,
            dtype=dtype,
            seed=seed,
            proj_size=size("proj_size", proj_size),
            nonrecurrent_proj_size=size("nonrecurrent_proj_size", nonrecurrent_proj_size),
            peephole=flag("peephole", peephole),
            coupled_gates=flag("coupled_gates", coupled_gates),
            input_gate=flag("input_gate", input_gate),
            forget_gate=flag("forget_gate", forget_gate),
            output_gate=flag("output_gate", output_gate),
            input_activation=function("input_activation", input_activation),
            output_activation=function("output_activation", output_activation),
            gate_activation=function("gate_activation", gate_activation),
            cell_clip=limit("cell_clip", cell_clip),
            activation_clip=limit("activation_clip", activation_clip),
            gate_recurrence=flag("gate_recurrence", gate_recurrence),
            layer_norm=flag("layer_norm", layer_norm),
            zoneout_cell=number("zoneout_cell", zoneout_cell),
        )

    @classmethod
    def variant(cls, name: str, input_size: int, hidden_size: int, **options: Any) -> LSTM:
        """An LSTM by the names of Greff et al. 2017: ``LSTM.variant("CIFG", 40, 128, seed=0)``.

        V is theirs with peepholes; NIG, NFG, NOG lack the input, forget or output gate, NIAF and
        NOAF the activation of the input or of the output, CIFG couples the gates, NP has no
        peepholes, FGR has gate recurrence. options: those of the constructor. Raises ValueError for
        another name, TypeError for what is no name.
        """
        if text("name", name) not in _VARIANTS:
            raise ValueError(f"name is {name!r}; expected one of {', '.join(_VARIANTS)}")
        return cls(input_size, hidden_size, **{**_VARIANTS[name], **options})


_VARIANTS: dict[str, dict[str, Any]] = {
    "V": {"peephole": True},
    "NIG": {"peephole": True, "input_gate": False},
    "NFG": {"peephole": True, "forget_gate": False},
    "NOG": {"peephole": True, "output_gate": False},
    "NIAF": {"peephole": True, "input_activation": "identity"},
    "NOAF": {"peephole": True, "output_activation": "identity"},
    "CIFG": {"peephole": True, "coupled_gates": True},
    "NP": {},
    "FGR": {"peephole": True, "gate_recurrence": True},
}


class GRU(_Recurrent[Array]):
    """Gated recurrent unit; h = (1 - z) n + z h-.

    ``reset_after=True`` is PyTorch's and cuDNN's form, n = tanh(W x + b + r (U h- + b')); False is
    the papers' (Cho et al. 2014), n = tanh(W x + b + U (r h-) + b'). Weights as torch.nn.GRU, rows
    in the order r, z, n. candidate_activation is n's, "tanh" or "sigmoid" (the book's), and
    gate_activation that of r and z; both may be any function that RNN has. activation_clip is as
    RNN's. layer_norm normalises W x and U h-, each over all three gates, before its biases, as in
    the LSTM: gains gain_ih_l{k}, gain_hh_l{k} (3 hidden_size,); it needs reset_after, since U h- is
    one product only there (else a ValueError). Otherwise as RNN.
    """

    reset_after: bool
    candidate_activation: Function
    gate_activation: Function
    layer_norm: bool

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        zoneout: float = 0.0,
        bidirectional: bool = False,
        reset_after: bool = True,
        candidate_activation: Function = "tanh",
        gate_activation: Function = "sigmoid",
        activation_clip: float | None = None,
        layer_norm: bool = False,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            "gru",
            input_size,
            hidden_size,
            num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            zoneout=number("zoneout", zoneout),
            bidirectional=bidirectional,
            dtype=dtype,
            seed=seed,
            reset_after=flag("reset_after", reset_after),
            candidate_activation=function("candidate_activation", candidate_activation),
            gate_activation=function("gate_activation", gate_activation),
            activation_clip=limit("activation_clip", activation_clip),
            layer_norm=flag("layer_norm", layer_norm),
        )
