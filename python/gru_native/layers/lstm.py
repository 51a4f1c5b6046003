"""Long short-term memory and its variants."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ._arguments import Function, flag, function, limit, number, size, text
from ._options import public
from ._recurrent import Recurrent
from ._weights import Array


@public
class LSTM(Recurrent[tuple[Array, Array]]):
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
