"""What decoders return."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._weights import Array


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


class AttendedHypothesis(NamedTuple):
    """What a decoder may write, and where it looked meanwhile.

    Attributes
    ----------
    ids : ndarray
        The tokens, (number of tokens,) of int64.
    score : float
        Log-probability, in nats, by its length penalty.
    attention : ndarray or list of ndarray
        The attention weights of the steps that gave the tokens, (number of tokens, src_len), or
        with several memories of each; 0 past a memory's length.
    """

    ids: NDArray[np.int64]
    score: float
    attention: Array | list[Array]


def hypotheses(found: Iterable[Any], batched: bool) -> list[Any]:
    """The core's pairs as a list of Hypothesis; with a batch one for each sequence."""
    if batched:
        return [hypotheses(of_sequence, False) for of_sequence in found]
    return [Hypothesis(ids, score) for ids, score in found]
