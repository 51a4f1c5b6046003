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
USUAL: dict[str, bool | int | float | Function | None] = {
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


class Recurrent(Weighted, Generic[S]):
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
            **{name: (value, USUAL[name]) for name, value in self._cell_options.items()},
        }
        changed = [
            f", {name}={value!r}" for name, (value, usual) in options.items() if value != usual
        ]
        return (
            f"{type(self).__name__}({self.input_size}, {self.hidden_size}{''.join(changed)}"
            f", dtype={self.dtype})"
        )
