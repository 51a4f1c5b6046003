"""The Elman network."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ._arguments import Function, function, limit, number
from ._options import public
from ._recurrent import Recurrent
from ._weights import Array


@public
class RNN(Recurrent[Array]):
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
