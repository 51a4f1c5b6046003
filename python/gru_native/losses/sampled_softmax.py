"""Sampled softmax."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..layers._options import public
from ._large_softmax import Sampling


@public
class SampledSoftmax(Sampling):
    r"""A softmax over a large vocabulary, trained on its target and some words drawn at random.

    The loss of a row is -log of the target's softmax among the target and S, the words that are
    among ``num_samples`` draws from a proposal q (for all rows of a call the same) [1]_ [2]_. The
    score of a word v there is w_v x + b_v - log Q(v), where Q(v) = 1 - (1 - q(v))^num_samples is
    the probability that v is in S: so the sum over S stands for that over all words. A target that
    was drawn, too, counts once. With as many samples as words S is all words, and the loss that of
    the full softmax.

    Parameters
    ----------
    input_size : int
        Numbers in each x.
    vocab_size : int
        Words, at least 2.
    num_samples : int
        Draws, 1 to vocab_size.
    proposal : {"log_uniform", "uniform"} or array_like, default "log_uniform"
        The distribution q: in proportion to log((v + 2) / (v + 1)), for words in the order of
        their frequency; the same for all; or in proportion to counts (vocab_size,), above 0.
    bias : bool, default True
        Whether there is a b.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.
    seed : int, optional
        What the weights are drawn from, and samples of calls without a seed; None draws them at
        random.

    Raises
    ------
    ValueError
        For sizes, samples or counts out of range; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    ``weight`` (vocab_size, input_size) and ``bias`` (vocab_size,) start uniform in
    +-1/sqrt(input_size). An edit of them, such as a step of ``gru_native.optim``, copies and packs
    nothing: it costs what it changes. ``log_probability``, ``top_k`` and calls of the layer pack
    all words when they come first after an edit.

    References
    ----------
    .. [1] Y. Bengio and J.-S. Senecal, "Adaptive Importance Sampling to Accelerate Training of a
       Neural Probabilistic Language Model", IEEE Transactions on Neural Networks 19, 2008.
    .. [2] S. Jean, K. Cho, R. Memisevic and Y. Bengio, "On Using Very Large Target Vocabulary for
       Neural Machine Translation", ACL 2015, arXiv:1412.2007.
    """

    _make = "sampled"

    def __init__(
        self,
        input_size: int,
        vocab_size: int,
        num_samples: int,
        *,
        proposal: str | ArrayLike = "log_uniform",
        bias: bool = True,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self._set_up_sampling(input_size, vocab_size, num_samples, proposal, bias, dtype, seed)
