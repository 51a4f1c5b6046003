"""Beam search over what a transducer says."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from .._core import a_type
from ..layers._arguments import size
from ..layers.hypotheses import hypotheses
from ._transducer import TransducerJoint


def transducer_beam(
    joint: TransducerJoint,
    encoded: ArrayLike,
    lengths: ArrayLike | None = None,
    *,
    beam_size: int = 8,
    max_symbols: int = 10,
) -> list[Any]:
    """The likeliest labels of a transducer, by beam search over the steps of its encoder.

    Step after step the ``beam_size`` likeliest beginnings of the labels are followed. At a step
    each may take the blank, or a label and then the blank, and so on; the ways to the same labels
    are added up. A label is followed if it is among the ``beam_size`` best of its number at this
    step, and better than the ``beam_size`` best that have taken the blank. With a beam that holds
    them all the scores are those of ``losses.transducer``, but for ways that have more than
    ``max_symbols`` labels at a step. All sequences go side by side through the networks.

    Parameters
    ----------
    joint : TransducerJoint
        The networks beside the encoder.
    encoded : array, (seq, batch, encoded_size), or (seq, encoded_size) without a batch
        The outputs of the encoder, of the networks' dtype.
    lengths : array of integers, (batch,), optional
        Steps of each sequence, 0 to seq.
    beam_size : int, default 8
        How many beginnings are followed.
    max_symbols : int, default 10
        Labels at one step of the encoder, at most.

    Returns
    -------
    list of list of Hypothesis, or list of Hypothesis without a batch
        For each sequence up to ``beam_size``, the best first, with their log-probabilities; none
        whose probability is 0.

    Raises
    ------
    ValueError
        For a ``beam_size`` or ``max_symbols`` below 1, lengths beyond the array, shapes that do not
        fit, and logits that have no softmax (NaN, +inf, or no finite number).
    TypeError
        For arguments of other kinds. What a callable raises passes through.

    Notes
    -----
    Of equal scores those come first that took the blank with fewer labels at the last step, then
    those whose beginning came first, then the better label, then the smaller one.
    """
    if not isinstance(joint, TransducerJoint):
        raise TypeError(f"joint is {a_type(joint)}; expected a TransducerJoint")
    found = joint._core.beam(
        encoded, lengths, size("beam_size", beam_size), size("max_symbols", max_symbols)
    )
    return hypotheses(*found)
