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
    """Long short-term memory: c = f c- + i g, h = o tanh(c).

    The gates i, f and o are sigmoid(W x + b + U h- + b'), the candidate g is the tanh of such a
    sum. Variants of the cell [1]_ are options, which combine; ``LSTM.variant`` makes them by their
    names.

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
        Zoneout of h [2]_, with ``proj_size`` of r: in training, the probability with which a number
        of h keeps its value of the step before. In inference h becomes the expectation, zoneout h-
        + (1 - zoneout) h. Outputs and the final state are what comes out of it.
    bidirectional : bool, optional
        Whether a second direction reads each sequence from its end. Its outputs stand behind those
        of the first.
    proj_size : int, optional
        If above 0, r = W_hr (o tanh(c)), of so many numbers, takes the place of h [3]_.
    nonrecurrent_proj_size : int, optional
        If above 0, p = W_hp (o tanh(c)), of so many numbers, goes out beside r, but not back [3]_:
        outputs are [r; p]. It needs ``proj_size``.
    peephole : bool, optional
        Whether i and f also see c-, and o sees c, each unit its own.
    coupled_gates : bool, optional
        Whether f is 1 - i. It needs both gates.
    input_gate : bool, optional
        Whether there is an i; otherwise it is 1.
    forget_gate : bool, optional
        Whether there is an f; otherwise it is 1.
    output_gate : bool, optional
        Whether there is an o; otherwise it is 1.
    input_activation : str or tuple, optional
        The function of g, one of those in the notes.
    output_activation : str or tuple, optional
        The function of c on its way out, one of those in the notes.
    gate_activation : str or tuple, optional
        The function of i, f and o, one of those in the notes.
    cell_clip : float, optional
        A limit above 0: c is held within [-cell_clip, cell_clip]. No gradient passes where it was
        cut. None means no limit.
    activation_clip : float, optional
        A limit above 0: what goes into an activation is held within [-activation_clip,
        activation_clip]. No gradient passes where it was cut. None means no limit. What h sees of c
        is limited, too, but not the c that stays in the cell.
    gate_recurrence : bool, optional
        Whether i, f and o also see all three gates of the step before. These are then part of the
        state, whose h is [h, i, f, o], in calls, streams and gradients. It needs all three gates,
        uncoupled.
    layer_norm : bool, optional
        Layer normalisation [4]_: N(W x) + b + N(U h-) + b' takes the place of the sums above, each
        product normalised over all gates of a step, N(a) = gain (a - mean) / sqrt(variance + 1e-5);
        and h is o tanh(N(c) + b_c).
    zoneout_cell : float, optional
        Zoneout of c. As in [2]_, h is computed from c as it was before. Gates that recur are not
        touched.
    learn_initial_state : bool, optional
        Whether the initial state is learned: weights ``h0_l{k}`` and ``c0_l{k}``, which start as
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
        above 0, another dtype, or an option that has no meaning beside the others; the text names
        the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names. The weights are those of ``torch.nn.LSTM``, with
    rows in the order i, f, g, o and the suffix ``_reverse`` for the second direction; a gate that
    is not there has no rows:

    - ``weight_ih_l{k}`` (4 H, input), ``weight_hh_l{k}`` (4 H, H), ``bias_ih_l{k}`` and
      ``bias_hh_l{k}`` (4 H,);
    - ``weight_hr_l{k}`` (proj_size, H), with which ``weight_hh_l{k}`` has proj_size columns, and
      ``weight_hp_l{k}`` (nonrecurrent_proj_size, H);
    - with ``peephole`` ``weight_ci_l{k}``, ``weight_cf_l{k}`` and ``weight_co_l{k}`` (H,);
    - with ``gate_recurrence`` ``weight_rr_l{k}`` (3 H, 3 H), rows and columns in the order i, f, o;
    - with ``layer_norm`` ``gain_ih_l{k}`` and ``gain_hh_l{k}`` (4 H,), ``gain_c_l{k}`` (H,), and
      with biases ``bias_c_l{k}`` (H,).

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
    .. [1] K. Greff, R. K. Srivastava, J. Koutnik, B. R. Steunebrink and J. Schmidhuber, "LSTM: A
       Search Space Odyssey", IEEE Transactions on Neural Networks and Learning Systems 28, 2017,
       arXiv:1503.04069.
    .. [2] D. Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden
       Activations", ICLR 2017, arXiv:1606.01305.
    .. [3] H. Sak, A. Senior and F. Beaufays, "Long Short-Term Memory Based Recurrent Neural Network
       Architectures for Large Vocabulary Speech Recognition", 2014, arXiv:1402.1128.
    .. [4] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization", 2016, arXiv:1607.06450.
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
        learn_initial_state: bool = False,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            "LSTM",
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
        """Make a variant by its name in the paper by Greff et al. [1]_.

        Parameters
        ----------
        name : {"V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR"}
            ``"V"`` is the LSTM with peepholes. ``"NIG"``, ``"NFG"`` and ``"NOG"`` are V without the
            input, forget or output gate; ``"NIAF"`` and ``"NOAF"`` without the activation of the
            input or output; ``"CIFG"`` couples the gates; ``"NP"`` has no peepholes; ``"FGR"`` has
            gate recurrence.
        input_size : int
            Numbers in each x.
        hidden_size : int
            H, the numbers in each h.
        **options
            Further options of the constructor, such as ``seed``.

        Returns
        -------
        LSTM
            The layer, of the class that this was called on.

        Raises
        ------
        ValueError
            For another name, and as the constructor does.
        TypeError
            For arguments of the wrong kind.

        References
        ----------
        .. [1] K. Greff, R. K. Srivastava, J. Koutnik, B. R. Steunebrink and J. Schmidhuber, "LSTM:
           A Search Space Odyssey", IEEE Transactions on Neural Networks and Learning Systems 28,
           2017, arXiv:1503.04069.

        Examples
        --------
        >>> LSTM.variant("CIFG", 40, 128, seed=0)
        LSTM(40, 128, peephole=True, coupled_gates=True, dtype=float32)
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
