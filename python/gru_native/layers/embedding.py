"""Rows of a table by their numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ._arguments import size
from ._operation import Operation
from ._options import public
from ._weights import Array, in_parts


@public
class Embedding(Operation):
    """A table with a row for each id: ids (seq, batch) give y (seq, batch, embedding_dim).

    Ids are integers from 0 to num_embeddings - 1, in an array of any shape. In a chain it can only
    be the first block; its streams then take ids, too, with an axis of length 1 at the end, as
    numbers of the chain's dtype.

    Parameters
    ----------
    num_embeddings : int
        Rows of the table; with float32 at most 2^24.
    embedding_dim : int
        Numbers in each row.
    padding_idx : int, optional
        A row that starts as zeros, and whose gradient is always 0. Below 0 it counts from the end.
    batch_first : bool, optional
        Whether ids are (batch, seq) instead of (seq, batch). It matters only for calls with
        ``lengths``, in a ``Chain`` and in its streams.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.
    seed : int, optional
        What the weights are drawn from; None draws them at random.

    Raises
    ------
    ValueError
        For sizes below 1, a padding_idx that is no row or another dtype; the text names the
        argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names. ``weight`` (num_embeddings, embedding_dim) is that
    of ``torch.nn.Embedding``, and starts normal with variance 1. Its gradient is a ``RowGradient``:
    that of the rows that ids have taken.
    """

    _positional = ("num_embeddings", "embedding_dim")
    _named = {"padding_idx": None, "batch_first": False}  # noqa: RUF012

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        padding_idx: int | None = None,
        batch_first: bool = False,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.num_embeddings = size("num_embeddings", num_embeddings)
        self.embedding_dim = size("embedding_dim", embedding_dim)
        row = None if padding_idx is None else size("padding_idx", padding_idx)
        if row is not None and not -self.num_embeddings <= row < self.num_embeddings:
            raise ValueError(
                f"padding_idx is {row}; expected a row of {self.num_embeddings}, or None"
            )
        self.padding_idx = None if row is None else row % self.num_embeddings
        super().__init__(seed, 1.0, batch_first, dtype)

    @property
    def input_size(self) -> int:
        """Numbers in each x of a stream: 1, an id."""
        return 1

    def _output_size(self, input_size: int | None) -> int:
        return self.embedding_dim

    def _fill(self, name: str, w: Array, bound: float) -> None:
        for part in in_parts(w):
            part[...] = self._random.standard_normal(part.size)
        if self.padding_idx is not None:
            w[self.padding_idx] = 0
