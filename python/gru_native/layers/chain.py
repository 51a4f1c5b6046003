"""Layers one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from .. import _core
from ._arguments import memory_for, of_dtype, size
from ._blocks import RECURRENT, Block, output_size, reads_steps
from ._operation import Operation, OperationTape
from ._parts import Parts, lengths_behind, of_block
from ._recurrent import State, StateLike, Stream, Tape
from ._weights import Array, Weighted
from .dense import Dense, DenseTape
from .embedding import Embedding
from .pooling import Pool
from .quantized import Quantizable
from .sessions import SessionPool


class ChainTape(NamedTuple):
    """What ``Chain.backward`` needs of one forward call.

    Attributes
    ----------
    tapes : tuple of Tape, DenseTape or OperationTape
        That of each block.
    """

    tapes: tuple[Tape | DenseTape | OperationTape, ...]


class ChainGradients(NamedTuple):
    """What ``Chain.backward`` returns, each in the shape of what it belongs to.

    Attributes
    ----------
    x : ndarray or None
        The gradient of x, in its shape. Ids have none.
    state : tuple
        The gradient of the initial state of each recurrent layer.
    weights : dict of str to ndarray or RowGradient
        The gradient of each weight, by its name.
    """

    x: Any
    state: tuple[State, ...]
    weights: dict[str, Any]


class Chain(Quantizable, Weighted):
    """Layers and other blocks one after the other, as in ``torch.nn.Sequential``.

    The state is a tuple with one entry for each recurrent layer. The names of weights have their
    block's number in front: "0.weight_ih_l0", "1.weight".

    Parameters
    ----------
    blocks : iterable of RNN, LSTM, GRU, Dense, Activation, LayerNorm, Embedding, Conv1d or a pool
        The blocks, which are shared, not copied. Each must read as many numbers as the one before
        it gives, and all must have the same dtype and ``batch_first``. An Embedding can only be the
        first one, and x then is its ids. Behind a Pool there are no steps left for recurrent
        layers, convolutions and other pools.

    Attributes
    ----------
    blocks : tuple of RNN, LSTM, GRU, Dense, Activation, LayerNorm, Embedding, Conv1d or a pool
        The blocks.
    input_size : int
        Numbers in each x; with an Embedding 1, the id.
    output_size : int
        Numbers in each y.
    batch_first : bool
        Whether x and y are (batch, seq, size) instead of (seq, batch, size).
    dtype : dtype
        That of all blocks.

    Raises
    ------
    ValueError
        If there is no block, or none that has a size of its own, or if sizes, dtypes or
        ``batch_first`` do not match; the text names the block.
    TypeError
        For a block of another kind.
    """

    _options = ("blocks", "dtype", "input_size", "output_size", "batch_first")
    _arguments = ("blocks",)

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.blocks = tuple(blocks)
        if not self.blocks:
            raise ValueError("blocks is empty; expected at least one layer")
        width: int | None = None
        pool: int | None = None  # behind which there are no steps
        for i, block in enumerate(self.blocks):
            if not isinstance(block, (*RECURRENT, Dense, Operation)):
                kind = type(block).__name__
                raise TypeError(f"blocks[{i}] is a {kind}; expected a layer or another block")
            if block.dtype != self.blocks[0].dtype:
                raise ValueError(
                    f"blocks[{i}] has dtype {block.dtype}; expected {self.blocks[0].dtype}, "
                    "that of the first"
                )
            if block.batch_first != self.blocks[0].batch_first:
                raise ValueError(
                    f"blocks[{i}] has batch_first={block.batch_first}; expected "
                    f"{self.blocks[0].batch_first}, as the first"
                )
            if i > 0 and isinstance(block, Embedding):
                raise ValueError(f"blocks[{i}] is an Embedding, which can only be the first block")
            if pool is not None and reads_steps(block):
                raise ValueError(
                    f"blocks[{i}] is a {type(block).__name__}, which reads steps; "
                    f"blocks[{pool}], a Pool, leaves none"
                )
            if isinstance(block, Pool):
                pool = i
            own: int | None = block.input_size
            if width is not None and own is not None and own != width:
                raise ValueError(
                    f"blocks[{i}] has input_size {own}; expected {width}, "
                    "the output size of the block before it"
                )
            width = output_size(block, width if own is None else own)
        first = next((block.input_size for block in self.blocks if block.input_size), None)
        if first is None or width is None:
            raise ValueError("blocks has no block with a size of its own; expected one")
        self.dtype = self.blocks[0].dtype
        self.input_size = first
        self.output_size = width
        self.batch_first = self.blocks[0].batch_first
        self._core: Parts = Parts(self.blocks)

    def _own_weights(self) -> dict[str, Array]:
        return {}  # the blocks have them

    def _take_weights(self, weights: dict[str, Array]) -> None:
        pass

    def _few_bits(self) -> str | None:
        return None  # the blocks know

    def __call__(
        self,
        x: ArrayLike,
        state: Sequence[StateLike | None] | None = None,
        *,
        lengths: ArrayLike | None = None,
    ) -> tuple[Array, tuple[State, ...]]:
        """Compute the outputs and the final states.

        Parameters
        ----------
        x : array_like
            (seq, batch, input_size), with ``batch_first`` (batch, seq, input_size), or without a
            batch (seq, input_size); of the chain's dtype.
        state : sequence, optional
            One entry for each recurrent layer, as that layer takes it; None means zeros.
        lengths : array_like of int, optional
            (batch,), each from 0 to seq, in any order.

        Returns
        -------
        y : ndarray
            Shaped as x, with output_size columns; 0 past the end of a sequence. With a Pool
            (batch, output_size).
        state : tuple
            The final state of each recurrent layer.

        Raises
        ------
        ValueError
            For wrong shapes or values; the text names the block and the argument.
        TypeError
            For another dtype or kind.
        """
        y: Any = x
        final: list[State] = []
        parts = self._with_states(state)
        i = 0
        with self._core.together:
            try:
                for i, (block, initial) in enumerate(parts):  # noqa: B007  errors name it
                    if isinstance(block, RECURRENT):
                        y, end = block(y, initial, lengths=lengths)
                        final.append(end)
                    else:
                        y = block(y, lengths=lengths)
                        lengths = lengths_behind(block, lengths)
            except (TypeError, ValueError) as error:
                raise of_block(i, error) from error
        return y, tuple(final)

    def forward(
        self,
        x: ArrayLike,
        state: Sequence[StateLike | None] | None = None,
        *,
        lengths: ArrayLike | None = None,
        training: bool = True,
    ) -> tuple[Array, tuple[State, ...], ChainTape]:
        """Compute the outputs and the final states, and a tape for ``backward``.

        Parameters
        ----------
        x : array_like
            (seq, batch, input_size), with ``batch_first`` (batch, seq, input_size), or without a
            batch (seq, input_size); of the chain's dtype.
        state : sequence, optional
            One entry for each recurrent layer, as that layer takes it; None means zeros.
        lengths : array_like of int, optional
            (batch,), each from 0 to seq, in any order.
        training : bool, optional
            Whether dropout acts, and zoneout at random.

        Returns
        -------
        y : ndarray
            Shaped as x, with output_size columns; 0 past the end of a sequence. With a Pool
            (batch, output_size).
        state : tuple
            The final state of each recurrent layer.
        tape : ChainTape
            What ``backward`` needs. It has copies of its own: the arrays and the weights may change
            before ``backward``.

        Raises
        ------
        ValueError
            For wrong shapes or values; the text names the block and the argument.
        TypeError
            For another dtype or kind.
        """
        y: Any = x
        final: list[State] = []
        tapes: list[Any] = []
        parts = self._with_states(state)
        i = 0
        with self._core.together:
            try:
                for i, (block, initial) in enumerate(parts):  # noqa: B007  errors name it
                    if isinstance(block, RECURRENT):
                        y, end, own = block.forward(y, initial, lengths=lengths, training=training)
                        tapes.append(own)
                        final.append(end)
                    else:
                        y, tape = block.forward(y, lengths=lengths)
                        tapes.append(tape)
                        lengths = lengths_behind(block, lengths)
            except (TypeError, ValueError) as error:
                raise of_block(i, error) from error
        return y, tuple(final), ChainTape(tuple(tapes))

    def backward(
        self,
        tape: ChainTape,
        dy: ArrayLike,
        dstate: Sequence[StateLike | None] | None = None,
    ) -> ChainGradients:
        """Compute the gradients of a loss from those of the outputs and of the final states.

        Parameters
        ----------
        tape : ChainTape
            What ``forward`` returned. It may be used again.
        dy : array_like
            The gradient of y, in its shape.
        dstate : sequence, optional
            One entry for each recurrent layer: the gradient of its final state, or None for zeros.

        Returns
        -------
        ChainGradients
            ``x``, ``state`` (the initial states') and ``weights``.

        Raises
        ------
        ValueError
            For the tape of another chain or a wrong shape; the text names the block.
        TypeError
            For another dtype or kind.
        """
        if not isinstance(tape, ChainTape) or len(tape.tapes) != len(self.blocks):
            raise TypeError(f"tape is a {type(tape).__name__}; expected a tape of this chain")
        gradient: Any = dy
        states: list[State] = []
        weights: dict[str, Any] = {}
        for i, (block, dfinal) in reversed([*enumerate(self._with_states(dstate, "dstate"))]):
            own: Any = tape.tapes[i]
            try:
                dweights: Any
                if isinstance(block, RECURRENT):
                    gradient, dinitial, dweights = block.backward(own, gradient, dfinal)
                    states.insert(0, dinitial)
                else:
                    gradient, dweights = block.backward(own, gradient)
            except (TypeError, ValueError) as error:
                raise of_block(i, error) from error
            weights = {f"{i}.{name}": dw for name, dw in dweights.items()} | weights
        return ChainGradients(gradient, tuple(states), weights)

    def stream(self, batch_size: int = 1) -> Stream:
        """Make a stream over this chain: one step or one chunk at a time, the state kept.

        Parameters
        ----------
        batch_size : int, optional
            Sequences side by side.

        Returns
        -------
        Stream
            It begins in the zero state and keeps the weights of this moment. Its state is a tuple
            as that of the chain.

        Raises
        ------
        ValueError
            For a batch_size below 1, and for a bidirectional layer, which needs the end of the
            sequence.
        TypeError
            For a batch_size that is no whole number.
        """
        stream_type = of_dtype(self.dtype, _core.Stream32, _core.Stream64)
        cores = [block._core for block in self.blocks]
        batch = size("batch_size", batch_size)
        with memory_for("the stream", batch_size=batch):
            return stream_type(cores, batch, self.batch_first)

    def sessions(self, capacity: int) -> SessionPool:
        """Make a pool of sessions over this chain: many streams, of which any go forward at once.

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
        cores = [block._core for block in self.blocks]
        return SessionPool(cores, self.dtype, capacity, self.batch_first)

    def _quantized(self, precision: str) -> dict[str, Any]:
        blocks: list[Block] = []
        for i, block in enumerate(self.blocks):
            if not isinstance(block, Quantizable):  # it has no matrix to be read at every step
                blocks.append(block)
                continue
            try:
                blocks.append(block.quantize(precision))
            except (TypeError, ValueError) as error:
                raise of_block(i, error) from error
        return {"blocks": tuple(blocks), "_core": Parts(tuple(blocks))}

    def _with_states(
        self, state: Sequence[Any] | None, name: str = "state"
    ) -> Iterable[tuple[Block, Any]]:
        """The blocks, each with its entry."""
        if state is None:
            return [(block, None) for block in self.blocks]
        if not isinstance(state, (tuple, list)):
            raise TypeError(
                f"{name} is a {type(state).__name__}; expected a tuple with one entry for each "
                "recurrent layer"
            )
        recurrent = sum(isinstance(block, RECURRENT) for block in self.blocks)
        if len(state) != recurrent:
            raise ValueError(
                f"{name} has {len(state)} entries; expected {recurrent}, one for each recurrent "
                "layer"
            )
        entries = iter(state)
        return [(b, next(entries) if isinstance(b, RECURRENT) else None) for b in self.blocks]

    def __repr__(self) -> str:
        return f"Chain([{', '.join(map(repr, self.blocks))}])"
