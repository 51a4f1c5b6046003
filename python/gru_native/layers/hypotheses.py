"""What decoders return."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

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


def hypotheses(found: Iterable[Any], batched: bool) -> list[Any]:
    """The core's pairs as a list of Hypothesis; with a batch one for each sequence."""
    if batched:
        return [hypotheses(of_sequence, False) for of_sequence in found]
    return [Hypothesis(ids, score) for ids, score in found]
