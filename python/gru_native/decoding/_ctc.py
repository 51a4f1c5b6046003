"""Connectionist temporal classification: from logits to labels."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from .. import _core
from ..layers._arguments import size
from ..layers.hypotheses import hypotheses


def ctc_greedy(logits: ArrayLike, lengths: ArrayLike | None = None, *, blank: int = 0) -> list[Any]:
    """The labels of the likeliest path of connectionist temporal classification [1]_.

    The path takes the best symbol of every step, of equals the first; then symbols that repeat are
    taken as one, and blanks are left out.

    Parameters
    ----------
    logits : array, (seq, batch, classes), or (seq, classes) without a batch, float32 or float64
        Numbers before the softmax, as for ``losses.ctc``. -inf rules a class out.
    lengths : array of integers, (batch,), optional
        Steps of each sequence, 0 to seq. What lies past them is not read.
    blank : int, default 0
        The class that stands for no label.

    Returns
    -------
    list of list of Hypothesis, or list of Hypothesis without a batch
        For each sequence one, in a list as those of ``ctc_beam``. Its score is the log-probability
        of this one path, which is no more than that of its labels.

    Raises
    ------
    ValueError
        For lengths beyond the array, a blank that is no class, shapes that do not fit, and logits
        that have no softmax (NaN, +inf, or no finite number at a step).
    TypeError
        For arrays of other kinds.

    References
    ----------
    .. [1] A. Graves, S. Fernandez, F. Gomez and J. Schmidhuber, "Connectionist Temporal
       Classification: Labelling Unsegmented Sequence Data with Recurrent Neural Networks", ICML
       2006.
    """
    return hypotheses(*_core.ctc_greedy(logits, lengths, size("blank", blank)))


def ctc_beam(
    logits: ArrayLike, lengths: ArrayLike | None = None, *, beam_size: int = 16, blank: int = 0
) -> list[Any]:
    """The likeliest labels of connectionist temporal classification, by prefix beam search [1]_.

    The ``beam_size`` likeliest beginnings are followed from step to step. The probability of a
    beginning is the sum of all paths to it through such beginnings; with a beam that holds them
    all, it is that of ``losses.ctc``. Classes that cannot enter the beam cost nothing but their
    part of the softmax, and the result is that without such shortcuts.

    Parameters
    ----------
    logits : array, (seq, batch, classes), or (seq, classes) without a batch, float32 or float64
        Numbers before the softmax, as for ``losses.ctc``. -inf rules a class out.
    lengths : array of integers, (batch,), optional
        Steps of each sequence, 0 to seq. What lies past them is not read.
    beam_size : int, default 16
        How many beginnings are followed.
    blank : int, default 0
        The class that stands for no label.

    Returns
    -------
    list of list of Hypothesis, or list of Hypothesis without a batch
        For each sequence up to ``beam_size``, the best first, with their log-probabilities;
        none whose probability is 0.

    Raises
    ------
    ValueError
        For a ``beam_size`` below 1, lengths beyond the array, a blank that is no class, shapes that
        do not fit, and logits that have no softmax (NaN, +inf, or no finite number at a step).
    TypeError
        For arrays of other kinds.

    Notes
    -----
    Of beginnings with equal scores those come first that are no longer than a step before, in the
    order of that step; then those whose beginning was better a step before; then those whose last
    label is better, or of equal labels smaller.

    References
    ----------
    .. [1] A. Graves and N. Jaitly, "Towards End-to-End Speech Recognition with Recurrent Neural
       Networks", ICML 2014.
    """
    found = _core.ctc_beam(logits, lengths, size("beam_size", beam_size), size("blank", blank))
    return hypotheses(*found)
