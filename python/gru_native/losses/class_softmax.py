"""Softmax in two levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..layers._options import public
from ._large_softmax import LargeSoftmax, listed, of_words


@public
class ClassSoftmax(LargeSoftmax):
    r"""A softmax in two levels: p(w | x) = p(class of w | x) p(w | class of w, x).

    Each factor is a softmax: over all classes, and over the words of one class [1]_. With about
    sqrt(vocab_size) classes of equal size a row looks at 2 sqrt(vocab_size) scores.

    Parameters
    ----------
    input_size : int
        Numbers in each x.
    vocab_size : int
        Words, at least 2.
    classes : array_like of int, optional
        (vocab_size,), the class of each word, 0 .. without a gap. None: about sqrt(vocab_size)
        classes of words that follow each other.
    bias : bool, default True
        Whether scores have a bias.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.
    seed : int, optional
        What the weights are drawn from; None draws them at random.

    Raises
    ------
    ValueError
        For sizes or classes out of range; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The weights are ``weight`` (vocab_size, input_size), ``bias`` (vocab_size,), ``class_weight``
    (classes, input_size) and ``class_bias`` (classes,), uniform in +-1/sqrt(input_size) at first.
    Edits are as those of ``SampledSoftmax``.

    References
    ----------
    .. [1] J. Goodman, "Classes for Fast Maximum Entropy Training", ICASSP 2001.
    """

    _make = "classes"

    def __init__(
        self,
        input_size: int,
        vocab_size: int,
        *,
        classes: ArrayLike | None = None,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.classes = None if classes is None else of_words("classes", classes, whole=True)
        given = listed("classes", self.classes, vocab_size)
        self._set_up(input_size, vocab_size, bias, dtype, seed, given)

    def __repr__(self) -> str:
        return self._named(*([] if self.classes is None else ["classes=..."]))
