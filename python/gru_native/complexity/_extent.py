"""How much goes through a layer: steps, sequences, lengths."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from .. import _core
from ..layers._arguments import size


@dataclass(frozen=True)
class Extent:
    """Sequences of one call."""

    seq: int
    batch: int
    lengths: tuple[int, ...] | None = None  # None: all seq

    @classmethod
    def of(cls, seq: int, batch: int, lengths: ArrayLike | None) -> Extent:
        """Checked as by a layer: ValueError or TypeError, naming the argument."""
        seq, batch = size("seq_len", seq), size("batch", batch)
        own = _core.check_lengths(seq, batch, lengths)
        return cls(seq, batch, None if own is None else tuple(own))

    @property
    def rows(self) -> int:
        """Steps of all sequences together: what is computed."""
        return self.seq * self.batch if self.lengths is None else sum(self.lengths)

    def rows_at_first_step(self, reverse: bool) -> int:
        """Sequences that take part in the first step of a direction.

        In reverse that is the last of all steps, seq - 1, which only full lengths reach: shorter
        sequences join the others later, at their own ends.
        """
        if self.lengths is None:
            return self.batch
        return sum(n == self.seq if reverse else n > 0 for n in self.lengths)
