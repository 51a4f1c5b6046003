"""What decoders return."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray


class Hypothesis(NamedTuple):
    """What a sequence may be taken for.

    Attributes
    ----------
    ids : ndarray
        The labels, (number of labels,) of int64.
    score : float
        Log-probability, in nats.
    """

    ids: NDArray[np.int64]
    score: float


# Of one sequence, the best first; with a batch, a list of these for each sequence.
Hypotheses: TypeAlias = list[Hypothesis]


def hypotheses(found: Iterable[Any], batched: bool) -> list[Any]:
    """The core's tuples as Hypotheses, or with a batch as a list of them."""
    if batched:
        return [hypotheses(of_sequence, False) for of_sequence in found]
    return [Hypothesis(ids, score) for ids, score in found]
