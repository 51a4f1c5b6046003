"""What RNN, LSTM and GRU have in common. The mathematics is in cpp/."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from ._arguments import (
    Function,
    check_tape,
    flag,
    float_dtype,
    memory_for,
    number,
    of_dtype,
    size,
)
from ._weights import Array, Weighted
from .quantized import Quantizable
from .sessions import SessionPool

State: TypeAlias = Array | tuple[Array, Array]
StateLike: TypeAlias = ArrayLike | tuple[ArrayLike, ArrayLike]
Tape: TypeAlias = _core.Tape32 | _core.Tape64
Stream: TypeAlias = _core.Stream32 | _core.Stream64
S = TypeVar("S")  # the state of one kind of layer


class Gradients(NamedTuple):
    """What ``backward`` returns, each in the shape of what it belongs to.

    Attributes
    ----------
    x : ndarray or None
        The gradient of x, in its shape; 0 at steps that are masked or past the end. None where it
        was not wanted.
    state : ndarray or tuple of two
        The gradient of the initial state: h, or for the LSTM (h, c).
    weights : dict of str to ndarray
        The gradient of each weight, by its name.
    """

    x: Any
    state: State
    weights: dict[str, Array]


# Options of single cells, and their usual values.
USUAL: dict[str, bool | int | float | Function | None] = {
    "nonlinearity": "tanh",
    "zoneout": 0.0,
    "zoneout_cell": 0.0,
    "learn_initial_state": False,
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


class Recurrent(Quantizable, Weighted, Generic[S]):
    """What RNN, LSTM and GRU have in common.

    Options of single cells are attributes, too: here they are set, in their classes declared.
    """

    zoneout: float
    learn_initial_state: bool
    activation_clip: float | None

    def __init__(
        self,
        kind: str,
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
            type=kind,
            input_size=self.input_size,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            bias=self.bias,
            batch_first=self.batch_first,
            dropout=self.dropout,
            bidirectional=self.bidirectional,
            **given,
        )
        vars(self).update(cell_options)
        super().__init__(seed, self.hidden_size**-0.5)

    def _fill(self, name: str, w: Array, bound: float) -> None:
        if name.startswith(("h0_", "c0_")):
            w[...] = 0.0
        else:
            super()._fill(name, w, bound)

    @property
    def _cell_options(self) -> dict[str, bool | int | float | Function | None]:
        return {name: getattr(self, name) for name in USUAL if name in vars(self)}

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
        """Compute the outputs and the final state.

        Parameters
        ----------
        x : array_like
            (seq, batch, input_size), with ``batch_first`` (batch, seq, input_size), or without a
            batch (seq, input_size); of the layer's dtype. Lists, integers and float16 are
            converted.
        state : array_like or tuple of two, optional
            The initial h, or for the LSTM (h, c), each (num_layers * directions, batch, size),
            without batch if x has none. None means zeros, or what was learned.
        lengths : array_like of int, optional
            (batch,), each from 0 to seq, in any order. The final state of a sequence is that of its
            own end, and the reverse direction begins there; a length of 0 hands the state through.
        mask : array_like of bool, optional
            One for each step: (seq, batch), with ``batch_first`` (batch, seq), or (seq,). Where it
            is False the step is masked: its x is not read and the state stays as it is. All layers
            and directions compute the other steps as if these were the whole sequence, bit for bit.
        masked_output : {"zero", "hold"}, optional
            What y is at a masked step: 0, or the last output once more, in the order in which its
            direction goes (0 before the first one).

        Returns
        -------
        y : ndarray
            Shaped as x, with directions * H columns, where H is hidden_size, or for an LSTM with
            projections their sizes together. It is 0 past the end of a sequence.
        state : ndarray or tuple of two
            The final state, in the shape of the initial one.

        Raises
        ------
        ValueError
            For wrong shapes or values; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        return self._core(x, state, lengths, mask, masked_output)

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
        """Compute the outputs and the final state, and a tape for ``backward``.

        Parameters
        ----------
        x : array_like
            (seq, batch, input_size), with ``batch_first`` (batch, seq, input_size), or without a
            batch (seq, input_size); of the layer's dtype. Lists, integers and float16 are
            converted.
        state : array_like or tuple of two, optional
            The initial h, or for the LSTM (h, c), each (num_layers * directions, batch, size),
            without batch if x has none. None means zeros, or what was learned.
        lengths : array_like of int, optional
            (batch,), each from 0 to seq, in any order. The final state of a sequence is that of its
            own end, and the reverse direction begins there; a length of 0 hands the state through.
        mask : array_like of bool, optional
            One for each step: (seq, batch), with ``batch_first`` (batch, seq), or (seq,). Where it
            is False the step is masked: its x is not read and the state stays as it is. All layers
            and directions compute the other steps as if these were the whole sequence, bit for bit.
        masked_output : {"zero", "hold"}, optional
            What y is at a masked step: 0, or the last output once more, in the order in which its
            direction goes (0 before the first one).
        training : bool, optional
            Whether dropout acts between the layers, and zoneout at random. What dropout drops does
            not depend on how many masked steps lie between the others.

        Returns
        -------
        y : ndarray
            Shaped as x, with directions * H columns, where H is hidden_size, or for an LSTM with
            projections their sizes together. It is 0 past the end of a sequence.
        state : ndarray or tuple of two
            The final state, in the shape of the initial one.
        tape : Tape
            What ``backward`` needs. It has copies of its own: the arrays and the weights may change
            before ``backward``. Any number of tapes may be alive at once.

        Raises
        ------
        ValueError
            For wrong shapes or values; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        random = self.dropout > 0 or self.zoneout > 0 or getattr(self, "zoneout_cell", 0) > 0
        seed = int(self._random.integers(2**63)) if flag("training", training) and random else 0
        result: tuple[Array, S, Any] = self._core.forward(
            x,
            state,
            lengths,
            mask,
            masked_output,
            training=bool(training),
            seed=seed,
        )
        return result

    def backward(
        self,
        tape: Tape,
        dy: ArrayLike | None = None,
        dstate: StateLike | None = None,
        *,
        input_gradient: bool = True,
    ) -> Gradients:
        """Compute the gradients of a loss from those of the outputs and of the final state.

        Parameters
        ----------
        tape : Tape
            What ``forward`` returned. It may be used again.
        dy : array_like, optional
            The gradient of y, in its shape; None means zeros. Of masked steps it is not read if
            their output is zero, and belongs to the step that is held otherwise.
        dstate : array_like or tuple of two, optional
            The gradient of the final state, in its shape; None means zeros. Not both may be None.
        input_gradient : bool, optional
            Whether the gradient of x is wanted. It is None otherwise, and takes no time.

        Returns
        -------
        Gradients
            ``x``, ``state`` (the initial one's) and ``weights``.

        Raises
        ------
        ValueError
            For the tape of another layer or a wrong shape.
        TypeError
            For another dtype or kind.
        """
        check_tape(tape, self.dtype, _core.Tape32, _core.Tape64)
        wanted = flag("input_gradient", input_gradient)
        return Gradients(*self._core.backward(tape, dy, dstate, wanted))

    def stream(self, batch_size: int = 1) -> Stream:
        """Make a stream over this layer: one step or one chunk at a time, the state kept.

        Parameters
        ----------
        batch_size : int, optional
            Sequences side by side.

        Returns
        -------
        Stream
            It begins in the initial state and keeps the weights of this moment. It needs no masks:
            a masked step is one that it is not given.

        Raises
        ------
        ValueError
            For a batch_size below 1, and for a bidirectional layer, which needs the end of the
            sequence.
        TypeError
            For a batch_size that is no whole number.
        """
        stream_type = of_dtype(self.dtype, _core.Stream32, _core.Stream64)
        batch = size("batch_size", batch_size)
        with memory_for("the stream", batch_size=batch):
            return stream_type(self._core, batch)

    def sessions(self, capacity: int) -> SessionPool:
        """Make a pool of sessions over this layer: many streams, of which any go forward at once.

        Parameters
        ----------
        capacity : int
            Sessions that may be open at once; ``reserve`` makes it more.

        Returns
        -------
        SessionPool
            It keeps the weights of this moment.

        Raises
        ------
        ValueError
            For a capacity below 1, and for a bidirectional layer, which needs the end of the
            sequence.
        TypeError
            For a capacity that is no whole number.
        """
        return SessionPool(self._core, self.dtype, capacity)

    def __repr__(self) -> str:
        options = {
            "num_layers": (self.num_layers, 1),
            "bias": (self.bias, True),
            "batch_first": (self.batch_first, False),
            "dropout": (self.dropout, 0.0),
            "bidirectional": (self.bidirectional, False),
            **{name: (value, USUAL[name]) for name, value in self._cell_options.items()},
        }
        changed = [
            f", {name}={value!r}" for name, (value, usual) in options.items() if value != usual
        ]
        return (
            f"{type(self).__name__}({self.input_size}, {self.hidden_size}{''.join(changed)}"
            f", dtype={self.dtype})"
        )
