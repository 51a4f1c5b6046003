"""Losses of logits in float64 NumPy, by definition: nothing is shared between their parts."""

from itertools import combinations, groupby, product

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


def ctc(logits, labels, blank=0):
    """Every path of one sequence (seq, classes), one by one: loss and gradient."""
    log_p = log_softmax(logits)
    paths = [
        path
        for path in product(range(logits.shape[1]), repeat=len(logits))
        if [k for k, _ in groupby(path) if k != blank] == list(labels)
    ]
    if not paths:
        return np.inf, np.zeros_like(logits)
    scores = np.array([sum(log_p[t, k] for t, k in enumerate(path)) for path in paths])
    loss = -np.logaddexp.reduce(scores)
    gradient = softmax(logits)
    for path, score in zip(paths, scores, strict=True):
        gradient[np.arange(len(path)), path] -= np.exp(score + loss)
    return loss, gradient


def transducer(logits, labels, blank=0):
    """Every way through (seq, labels + 1, classes): of its moves but the last some are labels."""
    log_p = log_softmax(logits)
    steps, moves = len(logits), len(logits) + len(labels)
    total, ways = -np.inf, []
    for said in combinations(range(moves - 1), len(labels)) if steps else ():
        t = u = score = 0
        way = []
        for move in range(moves):
            k = labels[u] if move in said else blank
            way.append((t, u, k))
            score += log_p[t, u, k]
            t, u = (t, u + 1) if move in said else (t + 1, u)
        total = np.logaddexp(total, score)
        ways.append((score, way))
    gradient = np.zeros_like(logits)
    for score, way in ways:
        for t, u, k in way:
            gradient[t, u] += np.exp(score - total) * softmax(logits[t, u])
            gradient[t, u, k] -= np.exp(score - total)
    return 0.0 if moves == 0 else -total, gradient
