"""What is read off the nodes of trees: a class of each, or how related two trees are [1]_.

.. [1] K. S. Tai, R. Socher and C. D. Manning, "Improved Semantic Representations From
   Tree-Structured Long Short-Term Memory Networks", ACL 2015.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from gru_native import Dense, DenseGradients, losses

Floats: TypeAlias = NDArray[Any]


class NodeClasses:
    """A class of each node, such as the sentiment of a phrase: p(y | node) = softmax(W h + b).

    The loss is the mean of -log p(y | node) over the nodes that have a label.
    """

    def __init__(
        self,
        hidden_size: int,
        classes: int,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.dense = Dense(hidden_size, classes, dtype=dtype, seed=seed)
        self.layers = [self.dense]

    def __call__(self, h: Floats) -> NDArray[np.int64]:
        """The likeliest class of each node; h is (nodes, hidden_size)."""
        return np.asarray(self.dense(h).argmax(-1))

    def learn(self, h: Floats, labels: ArrayLike) -> tuple[float, Floats, list[DenseGradients]]:
        """The loss, its gradient of h, and those of ``layers``. A label of -1 stands for none."""
        logits, tape = self.dense.forward(h)
        loss, dlogits = losses.cross_entropy(logits, labels, ignore=-1)
        grads = self.dense.backward(tape, dlogits)
        return float(loss), grads.x, [grads]


class Relatedness:
    """How related the roots of two trees are, from 1 to so many scores::

        h_s = sigmoid(W [h_left * h_right; |h_left - h_right|] + b)
        p = softmax(W_p h_s + b_p)          score = 1 p_1 + 2 p_2 + ..

    The loss is the mean Kullback-Leibler divergence KL(p* || p), where p* has the wanted score as
    its mean, and is 0 but at the whole numbers beside it.
    """

    def __init__(
        self,
        hidden_size: int,
        units: int = 50,
        scores: int = 5,
        *,
        dtype: DTypeLike = np.float32,
        seed: int = 0,
    ) -> None:
        self.compare = Dense(2 * hidden_size, units, activation="sigmoid", dtype=dtype, seed=seed)
        self.say = Dense(units, scores, activation="log_softmax", dtype=dtype, seed=seed + 1)
        self.layers = [self.compare, self.say]
        self.scores = np.arange(1, scores + 1)

    def __call__(self, left: Floats, right: Floats) -> Floats:
        """The score of each pair; left and right are (pairs, hidden_size)."""
        log_p = self.say(self.compare(_pair(left, right)))
        return np.asarray(np.exp(log_p) @ self.scores)

    def wanted(self, scores: ArrayLike) -> Floats:
        """p* of each pair, (pairs, scores)."""
        distances = np.abs(np.asarray(scores)[:, None] - self.scores)
        return np.asarray(np.maximum(0, 1 - distances))

    def learn(
        self, left: Floats, right: Floats, scores: ArrayLike
    ) -> tuple[float, Floats, Floats, list[DenseGradients]]:
        """The loss, its gradients of left and right, and those of ``layers``."""
        h_s, compared = self.compare.forward(_pair(left, right))
        log_p, said = self.say.forward(h_s)
        p = self.wanted(scores)
        entropy = -(p * np.log(np.where(p > 0, p, 1))).sum()
        loss = (-(p * log_p).sum() - entropy) / len(p)
        of_say = self.say.backward(said, (-p / len(p)).astype(log_p.dtype))
        of_compare = self.compare.backward(compared, of_say.x)
        dproduct, ddistance = np.split(of_compare.x, 2, axis=1)
        sign = np.sign(left - right)
        dleft, dright = dproduct * right + ddistance * sign, dproduct * left - ddistance * sign
        return float(loss), dleft, dright, [of_compare, of_say]


def _pair(left: Floats, right: Floats) -> Floats:
    return np.concatenate([left * right, np.abs(left - right)], axis=1)
