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
    """The gated recurrent unit: h = (1 - z) n + z h-.

    The gates r and z are sigmoid(W x + b + U h- + b'). The candidate n is tanh(W x + b + r (U h- +
    b')) in PyTorch and cuDNN, and tanh(W x + b + U (r h-) + b') in the papers [1]_.

    Parameters
    ----------
    input_size : int
        Numbers in each x.
    hidden_size : int
        H, the numbers in each h.
    num_layers : int, optional
        Layers on top of one another; each reads the outputs of the one below it.
    bias : bool, optional
        Whether there are biases.
    batch_first : bool, optional
        Whether x and y are (batch, seq, size) instead of (seq, batch, size). A state is (num_layers
        * directions, batch, size) in either case.
    dropout : float, optional
        The probability with which, in training, an output of a layer is dropped on its way to the
        layer above it.
    zoneout : float, optional
        Zoneout of h [2]_: in training, the probability with which a number of h keeps its value of
        the step before. In inference h becomes the expectation, zoneout h- + (1 - zoneout) h.
        Outputs and the final state are what comes out of it.
    bidirectional : bool, optional
        Whether a second direction reads each sequence from its end. Its outputs stand behind those
        of the first.
    reset_after : bool, optional
        Whether n is the first of the forms above, in which r acts after the product with U.
    candidate_activation : str or tuple, optional
        The function of n, one of those in the notes.
    gate_activation : str or tuple, optional
        The function of r and z, one of those in the notes.
    activation_clip : float, optional
        A limit above 0: what goes into an activation is held within [-activation_clip,
        activation_clip]. No gradient passes where it was cut. None means no limit.
    layer_norm : bool, optional
        Layer normalisation [3]_: N(W x) and N(U h-) take the place of the products above, each
        normalised over all three gates of a step, N(a) = gain (a - mean) / sqrt(variance + 1e-5).
        It needs ``reset_after``, with which U h- is one product.
    learn_initial_state : bool, optional
        Whether the initial state is learned: weights ``h0_l{k}``, which start as
        zeros, with the suffix ``_reverse`` for the second direction. Calls, streams and sessions
        begin with them where no state is given.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.
    seed : int, optional
        What weights, dropout and zoneout are drawn from; None draws them at random.

    Raises
    ------
    ValueError
        For sizes below 1, a probability outside [0, 1], an unknown activation, a clip that is not
        above 0, another dtype, or ``layer_norm`` without ``reset_after``; the text names the
        argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names. The weights are those of ``torch.nn.GRU``, with
    rows in the order r, z, n and the suffix ``_reverse`` for the second direction:
    ``weight_ih_l{k}`` (3 H, input), ``weight_hh_l{k}`` (3 H, H), ``bias_ih_l{k}`` and
    ``bias_hh_l{k}`` (3 H,), with ``layer_norm`` also ``gain_ih_l{k}`` and ``gain_hh_l{k}`` (3 H,).
    They start uniform in +-1/sqrt(H), gains at 1.

    The activation functions of a are

    - ``"identity"``, ``"tanh"``, ``"relu"``, ``"sigmoid"`` 1 / (1 + e^-a), ``"softsign"``
      a / (1 + abs(a)) and ``"softplus"`` log(1 + e^a);
    - ``"leaky_relu"`` alpha a below 0, else a; ``"elu"`` alpha (e^a - 1) below 0, else a;
      ``"thresholded_relu"`` 0 up to alpha, else a; with alpha 0.01, 1 and 1 if not given;
    - ``"affine"`` alpha a + beta, with 1 and 0 if not given; ``"hard_sigmoid"``, the same within
      [0, 1], with 0.2 and 0.5; ``"scaled_tanh"`` alpha tanh(beta a), for which both must be given.

    Numbers are given in a tuple behind the name, such as ``("leaky_relu", 0.02)``.

    ``forward``, but not calling the layer, refuses ``"leaky_relu"`` and ``"elu"`` with a negative
    alpha: gradients are computed from outputs, and these functions then have two inputs for one
    output.

    References
    ----------
    .. [1] K. Cho, B. van Merrienboer, C. Gulcehre, D. Bahdanau, F. Bougares, H. Schwenk and Y.
       Bengio, "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
       Translation", EMNLP 2014, arXiv:1406.1078.
    .. [2] D. Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden
       Activations", ICLR 2017, arXiv:1606.01305.
    .. [3] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization", 2016, arXiv:1607.06450.
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
        learn_initial_state: bool = False,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            "GRU",
            input_size,
            hidden_size,
            num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            zoneout=number("zoneout", zoneout),
            bidirectional=bidirectional,
            learn_initial_state=flag("learn_initial_state", learn_initial_state),
            dtype=dtype,
            seed=seed,
            reset_after=flag("reset_after", reset_after),
            candidate_activation=function("candidate_activation", candidate_activation),
            gate_activation=function("gate_activation", gate_activation),
            activation_clip=limit("activation_clip", activation_clip),
            layer_norm=flag("layer_norm", layer_norm),
        )
