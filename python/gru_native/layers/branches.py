"""Blocks side by side: paths that read the same x and join."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._core import a_type
from ._arguments import items, text
from ._container import Container, in_few_bits, is_block, steps_of
from ._flow import Mark, Step

JOINS = ("add", "multiply", "concat")


class Residual(Container):
    """A block and a way around it: y = x + block(x), for a ``Chain``.

    Parameters
    ----------
    block : RNN, LSTM, GRU, Dense, Chain, Residual, Parallel, or another block
        What x goes through, shared, not copied. It must give as many steps as it reads.
    join : {"add", "multiply", "concat"}, optional
        What y is: x + block(x), x times block(x), or x and block(x) side by side.

    Attributes
    ----------
    block : RNN, LSTM, GRU, Dense, Chain, Residual, Parallel, or another block
        The block.
    join : str
        How the two are joined.
    input_size : int or None
        Numbers in each x; None: any.
    output_size : int or None
        Numbers in each y; None: as many as in x.
    batch_first : bool
        Whether x and y are (batch, seq, size) instead of (seq, batch, size).
    dtype : dtype
        That of the block.

    Raises
    ------
    ValueError
        For an unknown join, and for sizes that do not match; the text names the block.
    TypeError
        For a block of another kind.

    Notes
    -----
    The names of weights have "block." in front. The state is a tuple with one entry for each
    recurrent layer. It streams within a chain if the block does.

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, "Deep Residual Learning for Image Recognition", 2016.
    """

    _options = ("block", "join", "dtype", "input_size", "output_size", "batch_first")
    _arguments = ("block", "join")

    def __init__(self, block: Any, join: str = "add") -> None:
        _check("block", block)
        self.block = block
        self.join = _join(join)
        self._set(self._steps())

    def _steps(self) -> list[Step]:
        return _branched(
            [[], steps_of("block", "block.", self.block)],
            self.join,
            self.block,
        )

    def _quantized(self, precision: str) -> dict[str, Any]:
        return self._with(block=in_few_bits("block", self.block, precision))

    def __repr__(self) -> str:
        return f"Residual({self.block!r}, {self.join!r})"


class Parallel(Container):
    """Blocks that all read the same x, and whose ys are joined, for a ``Chain``.

    Parameters
    ----------
    blocks : iterable of RNN, LSTM, GRU, Dense, Chain, Residual, Parallel, or another block
        The blocks, which are shared, not copied. They must have the same dtype and ``batch_first``
        and give as many steps as each other.
    join : {"concat", "add", "multiply"}, optional
        What y is: their ys side by side, the sum or the product of them.

    Attributes
    ----------
    blocks : tuple of RNN, LSTM, GRU, Dense, Chain, Residual, Parallel, or another block
        The blocks.
    join : str
        How their ys are joined.
    input_size : int or None
        Numbers in each x; None: any.
    output_size : int or None
        Numbers in each y; None: as many as in x.
    batch_first : bool
        Whether x and y are (batch, seq, size) instead of (seq, batch, size).
    dtype : dtype
        That of all blocks.

    Raises
    ------
    ValueError
        If there is no block, for an unknown join, and for sizes that do not match; the text names
        the block.
    TypeError
        For a block of another kind.

    Notes
    -----
    The names of weights have their block in front: "blocks.0.weight". The state is a tuple with one
    entry for each recurrent layer. It streams within a chain if all blocks do.
    """

    _options = ("blocks", "join", "dtype", "input_size", "output_size", "batch_first")
    _arguments = ("blocks", "join")

    def __init__(self, blocks: Iterable[Any], join: str = "concat") -> None:
        self.blocks = tuple(items("blocks", blocks, "a list of blocks"))
        if not self.blocks:
            raise ValueError("blocks is empty; expected at least one layer")
        for i, block in enumerate(self.blocks):
            _check(f"blocks[{i}]", block)
        self.join = _join(join)
        self._set(self._steps())

    def _steps(self) -> list[Step]:
        paths = [
            steps_of(f"blocks[{i}]", f"blocks.{i}.", block) for i, block in enumerate(self.blocks)
        ]
        return _branched(paths, self.join, self.blocks[0])

    def _quantized(self, precision: str) -> dict[str, Any]:
        blocks = (in_few_bits(f"blocks[{i}]", b, precision) for i, b in enumerate(self.blocks))
        return self._with(blocks=tuple(blocks))

    def __repr__(self) -> str:
        return f"Parallel([{', '.join(map(repr, self.blocks))}], {self.join!r})"


def _branched(paths: list[list[Step]], join: str, like: Any) -> list[Step]:
    def mark(kind: str) -> Step:
        return Step("join" if kind in JOINS else "", "", Mark(kind, like.dtype, like.batch_first))

    steps = [mark("fork"), *paths[0]]
    for path in paths[1:]:
        steps += [mark("next"), *path]
    return [*steps, mark(join)]


def _check(name: str, block: object) -> None:
    if not is_block(block) and not isinstance(block, Container):
        raise TypeError(f"{name} is {a_type(block)}; expected a layer or another block")


def _join(join: str) -> str:
    if text("join", join) not in JOINS:
        raise ValueError(f"join is {join!r}; expected one of {', '.join(map(repr, JOINS))}")
    return join
