"""Noise-contrastive estimation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..layers._options import public
from ._large_softmax import Sampling


@public
class NoiseContrastive(Sampling):
    r"""A softmax over a large vocabulary, trained to tell its targets from noise.

    With k draws v from a proposal q (for all rows of a call the same), the loss of a row with
    target w is [1]_ [2]_::

        -log sigmoid(s_w - log(k q(w))) - sum over v of log(1 - sigmoid(s_v - log(k q(v))))

    where s_v = w_v x + b_v. As in the papers the noise may hold a word twice, and the target.
    Trained so, e^s comes close to p by itself; what the methods compute is the exact softmax.

    Parameters
    ----------
    input_size : int
        Numbers in each x.
    vocab_size : int
        Words, at least 2.
    num_samples : int
        The k draws, 1 to vocab_size.
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
    Weights and edits are as those of ``SampledSoftmax``. A bias that begins at -log(vocab_size)
    lets training begin near a distribution.

    References
    ----------
    .. [1] M. Gutmann and A. Hyvarinen, "Noise-Contrastive Estimation of Unnormalized Statistical
       Models", JMLR 13, 2012.
    .. [2] A. Mnih and Y. W. Teh, "A Fast and Simple Algorithm for Training Neural Probabilistic
       Language Models", ICML 2012, arXiv:1206.6426.
    """

    _make = "contrastive"

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
