"""Losses of logits in float64 NumPy, by definition: nothing is shared between their parts."""

import numpy as np

from reference.functions import log_softmax, softmax


def cross_entropy(logits, targets, ignore=None, label_smoothing=0.0):
    """The mean over rows of -sum_k q_k log p_k, and its gradient: rows (n, classes)."""
    rows, classes = logits.shape
    counted = np.array([t != ignore for t in targets])
    q = np.full((rows, classes), label_smoothing / classes)
    q[counted, np.asarray(targets)[counted]] += 1 - label_smoothing
    terms = np.where(q > 0, -q * log_softmax(logits), 0.0).sum(-1)
    n = max(counted.sum(), 1)
    loss = terms[counted].sum() / n
    return loss, np.where(counted[:, None], softmax(logits) - q, 0.0) / n
