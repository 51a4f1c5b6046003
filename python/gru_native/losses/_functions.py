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
