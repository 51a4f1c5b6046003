"""Losses of logits: the loss and, in the same call, its gradient."""

from __future__ import annotations

from numpy.typing import ArrayLike

from .. import _core
from ..layers._arguments import number, size
from ..layers._weights import Array


def cross_entropy(
    logits: ArrayLike,
    targets: ArrayLike,
    *,
    ignore: int | None = None,
    label_smoothing: float = 0.0,
) -> tuple[float, Array]:
    """The cross-entropy of a softmax over ``logits``, and its gradient, in one pass.

    As torch.nn.functional.cross_entropy with ``reduction="mean"``: the mean of
    -log softmax(logits)[target] over all rows that are not ignored.

    Parameters
    ----------
    logits : array, (..., classes), float32 or float64
        Numbers before the softmax, such as the outputs (seq, batch, classes) of a ``Dense`` layer.
        -inf rules a class out.
    targets : array of integers, (...)
        The right class of each row, 0 to classes - 1.
    ignore : int, optional
        Rows with this target, such as padding, add nothing to the loss and have no gradient.
    label_smoothing : float, default 0.0
        The part of the target, 0 to 1, that is shared out evenly among all classes [1]_.

    Returns
    -------
    loss : float
        In nats; 0.0 if all rows are ignored.
    dlogits : array, (..., classes)
        Its gradient by ``logits``, of their dtype.

    Raises
    ------
    ValueError
        For a target that is no class, for shapes that do not fit, for a ``label_smoothing`` out of
        range, and for logits that have no softmax (NaN, +inf, or no finite number in a row).
    TypeError
        For arrays of other kinds.

    References
    ----------
    .. [1] C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR
       2016.
    """
    skipped = None if ignore is None else size("ignore", ignore)
    return _core.cross_entropy(logits, targets, skipped, number("label_smoothing", label_smoothing))


def ctc(
    logits: ArrayLike,
    targets: ArrayLike,
    input_lengths: ArrayLike | None,
    target_lengths: ArrayLike | None,
    *,
    blank: int = 0,
) -> tuple[Array, Array]:
    """Connectionist temporal classification [1]_: losses of whole sequences, and their gradient.

    The loss is -log of the probability that a softmax at every step, each step for itself, gives
    the labels, when symbols that repeat are taken as one and blanks are left out. It is computed in
    log space, and the softmax is part of it: ``losses`` are those of
    ``torch.nn.functional.ctc_loss(log_softmax(logits), ..., reduction="none")``.

    Parameters
    ----------
    logits : array, (seq, batch, classes), or (seq, classes) without a batch, float32 or float64
        Numbers before the softmax.
    targets : array of integers, (batch, labels), or (sum of target_lengths,)
        The labels, from 0 to classes - 1 without ``blank``; padded, or one sequence's after the
        other's.
    input_lengths : array of integers, (batch,), or None
        Steps of each sequence, 0 to seq. None: all.
    target_lengths : array of integers, (batch,), or None
        Labels of each sequence. None: as many as ``targets`` has columns.
    blank : int, default 0
        The class that stands for no label.

    Returns
    -------
    losses : array, (batch,), or () without a batch
        In nats. Infinite where no path gives the labels: they need a step each, and one more
        between two that are equal.
    dlogits : array, in the shape of ``logits``
        The gradient of the sum of ``losses``, exactly 0 past a sequence's end and for a sequence
        whose loss is infinite.

    Raises
    ------
    ValueError
        For a label that is no class or is the blank, for lengths beyond the arrays, for shapes that
        do not fit, and for logits that have no softmax (NaN, +inf, or no finite number at a step).
    TypeError
        For arrays of other kinds.

    References
    ----------
    .. [1] A. Graves, S. Fernandez, F. Gomez and J. Schmidhuber, "Connectionist Temporal
       Classification: Labelling Unsegmented Sequence Data with Recurrent Neural Networks", ICML
       2006.
    """
    return _core.ctc(logits, targets, input_lengths, target_lengths, size("blank", blank))


def transducer(
    logits: ArrayLike,
    targets: ArrayLike,
    input_lengths: ArrayLike | None,
    target_lengths: ArrayLike | None,
    *,
    blank: int = 0,
) -> tuple[Array, Array]:
    """The sequence transducer [1]_: losses of whole sequences, and their gradient.

    With u labels behind, the softmax of step t gives either the next label or the blank, which
    leads to step t + 1; a blank at the last step ends the sequence. The loss is -log of the
    probability of all ways to give the labels. It is computed in log space, and the softmax is part
    of it.

    Parameters
    ----------
    logits : array, (batch, seq, labels + 1, classes), or without batch, float32 or float64
        Numbers before the softmax, for every step and every number of labels that are behind.
    targets : array of integers, (batch, labels)
        The labels, padded, from 0 to classes - 1 without ``blank``.
    input_lengths : array of integers, (batch,), or None
        Steps of each sequence, 0 to seq. None: all.
    target_lengths : array of integers, (batch,), or None
        Labels of each sequence, 0 to labels. None: all.
    blank : int, default 0
        The class that leads to the next step.

    Returns
    -------
    losses : array, (batch,), or () without a batch
        In nats. Infinite for labels without a step, and where infinite logits leave no way.
    dlogits : array, in the shape of ``logits``
        The gradient of the sum of ``losses``, exactly 0 where lengths leave out nodes and for a
        sequence whose loss is infinite.

    Raises
    ------
    ValueError
        For a label that is no class or is the blank, for lengths beyond the arrays, for shapes that
        do not fit, and for logits that have no softmax (NaN, +inf, or no finite number).
    TypeError
        For arrays of other kinds.

    References
    ----------
    .. [1] A. Graves, "Sequence Transduction with Recurrent Neural Networks", ICML workshop on
       Representation Learning 2012.
    """
    return _core.transducer(logits, targets, input_lengths, target_lengths, size("blank", blank))
