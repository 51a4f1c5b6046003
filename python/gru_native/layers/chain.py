"""Layers one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from .. import _core
from ._arguments import items, memory_for, of_dtype, size
from ._blocks import Layer
from ._container import Container, in_few_bits, is_block, steps_of
from ._flow import Step
from ._images import OfImages
from ._recurrent import Stream
from .branches import Parallel, Residual
from .images import Image
from .sessions import SessionPool

Block: TypeAlias = Layer | Residual | Parallel


class Chain(Container):
    """Layers and other blocks one after the other, as in ``torch.nn.Sequential``.

    The state is a tuple with one entry for each recurrent layer, also those within ``Residual`` and
    ``Parallel``. The names of weights have their block's number in front: "0.weight_ih_l0",
    "1.weight", "2.block.weight", "3.blocks.0.weight".

    Parameters
    ----------
    blocks : iterable of RNN, LSTM, GRU, Dense, Residual, Parallel, or another block
        The blocks, which are shared, not copied. Each must read as many numbers as the one before
        it gives, and all must have the same dtype and ``batch_first``. An Embedding can only be the
        first one, and x then is its ids. Behind a Pool there are no steps left for recurrent
        layers, convolutions and other pools.

    Attributes
    ----------
    blocks : tuple of RNN, LSTM, GRU, Dense, Residual, Parallel, or another block
        The blocks.
    input_size : int or None
        Numbers in each x; with an Embedding 1, the id. None: x are images, or what an Image without
        ``features`` makes them.
    output_size : int or None
        Numbers in each y, of images in each column of dots. None: it follows from the x of a call.
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
    input_size: Any  # None only of images
    output_size: Any

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.blocks = tuple(items("blocks", blocks, "a list of layers"))
        if not self.blocks:
            raise ValueError("blocks is empty; expected at least one layer")
        for i, block in enumerate(self.blocks):
            if not is_block(block) and not isinstance(block, (Residual, Parallel)):
                raise TypeError(
                    f"blocks[{i}] is {_core.a_type(block)}; expected a layer or another block"
                )
        self._set(self._steps(), whole=True)
        has_images = any(isinstance(step.block, (Image, OfImages)) for step in self._core.steps)
        if self.input_size is None and not has_images:
            raise ValueError("blocks has no block with a size of its own; expected one")

    def _steps(self) -> list[Step]:
        return [
            step
            for i, block in enumerate(self.blocks)
            for step in steps_of(f"blocks[{i}]", f"{i}.", block)
        ]

    def _quantized(self, precision: str) -> dict[str, Any]:
        blocks = (in_few_bits(f"blocks[{i}]", b, precision) for i, b in enumerate(self.blocks))
        return self._with(blocks=tuple(blocks))

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
        batch = size("batch_size", batch_size)
        with memory_for("the stream", batch_size=batch):
            return stream_type(self._core.cores, batch, self.batch_first)

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
        return SessionPool(self._core.cores, self.dtype, capacity, self.batch_first)

    def __repr__(self) -> str:
        return f"Chain([{', '.join(map(repr, self.blocks))}])"
