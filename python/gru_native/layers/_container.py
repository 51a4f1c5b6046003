"""Containers: blocks one after the other and side by side, called and trained as one layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._core import a_type
from ._arguments import flag
from ._blocks import RECURRENT
from ._flow import Mark, Step, leaves, named, recurrent, sizes, walk, walk_back
from ._operation import Operation, OperationTape
from ._parts import Parts
from ._recurrent import State, StateLike, Tape
from ._weights import Array, Weighted
from .batch_norm import BatchNorm
from .dense import Dense, DenseTape
from .quantized import Quantizable


class ChainTape(NamedTuple):
    """What ``Chain.backward`` needs of one forward call.

    Attributes
    ----------
    tapes : tuple of Tape, DenseTape or OperationTape
        That of each block, also within ``Residual`` and ``Parallel``, in the order of the weights.
    joined : tuple
        What paths have made, where they join.
    """

    tapes: tuple[Tape | DenseTape | OperationTape, ...]
    joined: tuple[Any, ...] = ()


class ChainGradients(NamedTuple):
    """What ``Chain.backward`` returns, each in the shape of what it belongs to.

    Attributes
    ----------
    x : ndarray or None
        The gradient of x, in its shape. Ids have none; None also where it was not wanted.
    state : tuple
        The gradient of the initial state of each recurrent layer.
    weights : dict of str to ndarray or RowGradient
        The gradient of each weight, by its name.
    """

    x: Any
    state: tuple[State, ...]
    weights: dict[str, Any]


class Container(Quantizable, Weighted):
    """Its class gives the steps that its blocks are."""

    _core: Parts
    input_size: int | None
    output_size: int | None
    batch_first: bool

    def _set(self, steps: Sequence[Step], whole: bool = False) -> None:
        """All that follows from the blocks. Raises ValueError for what does not fit."""
        blocks = leaves(steps)
        first = blocks[0].block
        for name, _, block in blocks:
            if block.dtype != first.dtype:
                raise ValueError(
                    f"{name} has dtype {block.dtype}; expected {first.dtype}, that of the first"
                )
            if block.batch_first != first.batch_first:
                raise ValueError(
                    f"{name} has batch_first={block.batch_first}; expected "
                    f"{first.batch_first}, as the first"
                )
        self.dtype: np.dtype[Any] = first.dtype
        self.input_size, self.output_size, self._reads_images = sizes(steps, whole)
        self.batch_first = first.batch_first
        self._core = Parts(steps)

    def _steps(self) -> list[Step]:
        raise NotImplementedError  # of each class

    def _own_weights(self) -> dict[str, Array]:
        return {}  # the blocks have them

    def _take_weights(self, weights: dict[str, Array]) -> None:
        pass

    def _few_bits(self) -> str | None:
        return None  # the blocks know

    @property
    def num_parameters(self) -> int:
        """How many numbers the weights have, biases included."""
        self._core.weights()  # a description has none, and says so
        return self._counted()

    def _counted(self) -> int:
        return sum(step.block.num_parameters for step in leaves(self._core.steps))

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
            batch (seq, input_size); of the blocks' dtype.
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
        final: list[State] = []
        states = self._states(state)

        def compute(block: Any, y: Any, lengths: Any) -> Any:
            if not isinstance(block, RECURRENT):
                return block(y, lengths=lengths)
            y, end = block(y, next(states), lengths=lengths)
            final.append(end)
            return y

        with self._core.together:
            y, _ = walk(self._core.steps, x, lengths, compute, images=self._reads_images)
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
            batch (seq, input_size); of the blocks' dtype.
        state : sequence, optional
            One entry for each recurrent layer, as that layer takes it; None means zeros.
        lengths : array_like of int, optional
            (batch,), each from 0 to seq, in any order.
        training : bool, optional
            Whether dropout acts, zoneout at random, and batch normalisations take the statistics of
            the batch.

        Returns
        -------
        y : ndarray
            Shaped as x, with output_size columns; 0 past the end of a sequence. With a Pool
            (batch, output_size).
        state : tuple
            The final state of each recurrent layer.
        tape : ChainTape
            What ``backward`` needs. It has copies of its own: x and the weights may change before
            ``backward``.

        Raises
        ------
        ValueError
            For wrong shapes or values; the text names the block and the argument.
        TypeError
            For another dtype or kind.
        """
        final: list[State] = []
        tapes: list[Any] = []
        states = self._states(state)

        def compute(block: Any, y: Any, lengths: Any) -> Any:
            if isinstance(block, RECURRENT):
                y, end, tape = block.forward(y, next(states), lengths=lengths, training=training)
                final.append(end)
            else:
                y, tape = _forward(block, y, lengths, training)
            tapes.append(tape)
            return y

        with self._core.together:
            y, joined = walk(
                self._core.steps, x, lengths, compute, images=self._reads_images, copies=True
            )
        return y, tuple(final), ChainTape(tuple(tapes), tuple(joined))

    def backward(
        self,
        tape: ChainTape,
        dy: ArrayLike,
        dstate: Sequence[StateLike | None] | None = None,
        *,
        input_gradient: bool = True,
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
        input_gradient : bool, optional
            Whether the gradient of x is wanted. It is None otherwise, and the first block that has
            weights, if it stands on no path, does not compute the gradient of its x.

        Returns
        -------
        ChainGradients
            ``x``, ``state`` (the initial states') and ``weights``.

        Raises
        ------
        ValueError
            For the tape of another container or a wrong shape; the text names the block.
        TypeError
            For another dtype or kind.
        """
        self._check_tape(tape)
        steps = self._core.steps
        states: list[State] = []
        weights: dict[str, Any] = {}
        tapes: list[Any] = [*tape.tapes]
        entries = [*self._states(dstate, "dstate")]

        last = -1 if flag("input_gradient", input_gradient) else _first_with_weights(steps)

        def compute(i: int, block: Any, dy: Any) -> Any:
            nonlocal weights
            own, wanted = tapes.pop(), i > last
            if i < last:
                return None
            if isinstance(block, RECURRENT):
                gradient, dinitial, dweights = block.backward(
                    own, dy, entries.pop(), input_gradient=wanted
                )
                states.insert(0, dinitial)
            else:
                gradient, dweights = block.backward(own, dy, input_gradient=wanted)
            weights = {steps[i].prefix + name: dw for name, dw in dweights.items()} | weights
            return gradient

        gradient = walk_back(steps, dy, tape.joined, compute)
        return ChainGradients(gradient if input_gradient else None, tuple(states), weights)

    def update_statistics(self, tape: ChainTape) -> None:
        """Take the batch of a training call into the running statistics of all its norms.

        They are changed as one edit, as ``BatchNorm1d.update_statistics`` says.

        Parameters
        ----------
        tape : ChainTape
            What ``forward`` returned.

        Raises
        ------
        ValueError
            For the tape of another container, and of a call without ``training``; nothing is then
            changed.
        TypeError
            For what is no tape.
        """
        self._check_tape(tape)
        made: dict[str, Array] = {}
        for (name, prefix, block), own in zip(leaves(self._core.steps), tape.tapes, strict=True):
            if isinstance(block, BatchNorm):
                try:
                    made |= {prefix + n: w for n, w in block._statistics(own).items()}
                except (TypeError, ValueError) as error:
                    raise named(name, error) from error
        with self.editing() as w:
            for name, numbers in made.items():
                w[name] = numbers

    def _check_tape(self, tape: object) -> None:
        steps = self._core.steps
        if (
            not isinstance(tape, ChainTape)
            or len(tape.tapes) != len(leaves(steps))
            or len(tape.joined) != len(steps)
        ):
            kind = type(self).__name__.lower()
            raise TypeError(f"tape is {a_type(tape)}; expected a tape of this {kind}")

    def _states(self, state: Sequence[Any] | None, name: str = "state") -> Iterator[Any]:
        """The entry of each recurrent layer."""
        count = recurrent(self._core.steps)
        if state is None:
            return iter([None] * count)
        if not isinstance(state, (tuple, list)):
            raise TypeError(
                f"{name} is {a_type(state)}; expected a tuple with one entry for each "
                "recurrent layer"
            )
        if len(state) != count:
            raise ValueError(
                f"{name} has {len(state)} entries; expected {count}, one for each recurrent layer"
            )
        return iter(state)

    def _with(self, **attributes: Any) -> dict[str, Any]:
        """The attributes of one that has these blocks."""
        return {**attributes, "_core": Parts(self._but(attributes)._steps())}


def _first_with_weights(steps: Sequence[Step]) -> int:
    """Where that block is, before which none needs a gradient; -1 if something branches before."""
    for i, step in enumerate(steps):
        if isinstance(step.block, Mark):
            return -1
        if step.block.weights:
            return i
    return len(steps)


def _forward(block: Any, x: Any, lengths: Any, training: bool) -> tuple[Any, Any]:
    if isinstance(block, Operation):
        return block.forward(x, lengths=lengths, training=training)
    result: tuple[Any, Any] = block.forward(x, lengths=lengths)
    return result


def in_few_bits(name: str, block: Any, precision: str) -> Any:
    """What ``quantize`` makes of a block."""
    if not isinstance(block, Quantizable):  # it has no matrix to be read at every step
        return block
    try:
        return block.quantize(precision)
    except (TypeError, ValueError) as error:
        raise named(name, error) from error


def is_block(block: object) -> bool:
    """Whether it is a layer or an operation."""
    return isinstance(block, (*RECURRENT, Dense, Operation))


def steps_of(name: str, prefix: str, block: Any) -> list[Step]:
    """A block, or the steps of a container."""
    if isinstance(block, Container):
        return [step.within(name, prefix) for step in block._core.steps]
    return [Step(name, prefix, block)]
