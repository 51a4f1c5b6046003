"""The gated recurrent unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ._arguments import Function, flag, function, limit, number
from ._options import public
from ._recurrent import Recurrent
from ._weights import Array


@public
class GRU(Recurrent[Array]):
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
