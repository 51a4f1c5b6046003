"""Softmax along a binary tree."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..layers._options import public
from ._large_softmax import LargeSoftmax, listed, of_words


@public
class TreeSoftmax(LargeSoftmax):
    r"""A binary tree with the words as leaves: p(w | x) is the probability of the way to w.

    At each node n the way goes left with probability sigmoid(w_n x + b_n), else right [1]_. A row
    looks at as many nodes as its target is deep: log2(vocab_size) in a balanced tree, and on
    average about the entropy of the words, in bits, in Huffman's.

    Parameters
    ----------
    input_size : int
        Numbers in each x.
    vocab_size : int
        Words, at least 2.
    counts : array_like, optional
        (vocab_size,), how frequent each word is, 0 or more: then the tree is Huffman's. None: a
        balanced tree.
    bias : bool, default True
        Whether there is a b.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.
    seed : int, optional
        What the weights are drawn from; None draws them at random.

    Raises
    ------
    ValueError
        For sizes or counts out of range; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The weights are ``weight`` (vocab_size - 1, input_size) and ``bias`` (vocab_size - 1,), a row
    for each node, the root first, uniform in +-1/sqrt(input_size) at first. Edits are as those of
    ``SampledSoftmax``.

    References
    ----------
    .. [1] F. Morin and Y. Bengio, "Hierarchical Probabilistic Neural Network Language Model",
       AISTATS 2005.
    """

    _make = "tree"

    def __init__(
        self,
        input_size: int,
        vocab_size: int,
        *,
        counts: ArrayLike | None = None,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.counts = None if counts is None else of_words("counts", counts)
        given = listed("counts", self.counts, vocab_size)
        self._set_up(input_size, vocab_size, bias, dtype, seed, given)

    def __repr__(self) -> str:
        return self._named(*([] if self.counts is None else ["counts=..."]))
