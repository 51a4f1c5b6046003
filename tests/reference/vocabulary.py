"""Large softmaxes written out in float64, a row at a time, from the papers' formulas."""

from __future__ import annotations

import heapq
import itertools

import numpy as np

MASK = 2**64 - 1


def mix(x: int) -> int:
    """splitmix64."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def proposal_of(proposal, words):
    """q as an array."""
    if isinstance(proposal, str):
        v = np.arange(words)
        q = np.ones(words) if proposal == "uniform" else np.log((v + 2) / (v + 1))
    else:
        q = np.asarray(proposal, float)
    return q / q.sum()


def draws(proposal, words, samples, seed):
    """Draw i is where the sum of q passes a number that follows from the seed and i."""
    ends = np.cumsum(proposal_of(proposal, words))
    u = [(mix((mix(seed) + i) & MASK) >> 11) / 2**53 for i in range(samples)]
    return np.minimum(np.searchsorted(ends, u, side="right"), words - 1)


def log_softmax(a):
    a = a - a.max(-1, keepdims=True)
    return a - np.log(np.exp(a).sum(-1, keepdims=True))


def sampled(w, b, x, targets, proposal, samples, seed):
    """The losses of all rows, and their gradients by all scores w x + b."""
    q = proposal_of(proposal, len(w))
    drawn = set(draws(proposal, len(w), samples, seed).tolist())
    expected = 1 - (1 - q) ** samples
    losses, dscores = [], np.zeros((len(x), len(w)))
    for r, target in enumerate(targets):
        seen = [target, *sorted(drawn - {target})]
        log_p = log_softmax(w[seen] @ x[r] + b[seen] - np.log(expected[seen]))
        losses.append(-log_p[0])
        dscores[r, seen] = np.exp(log_p)
        dscores[r, target] -= 1
    return np.array(losses), dscores


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def contrastive(w, b, x, targets, proposal, samples, seed):
    q = proposal_of(proposal, len(w))
    losses, dscores = [], np.zeros((len(x), len(w)))
    for r, target in enumerate(targets):

        def probability(word, r=r):
            return sigmoid(w[word] @ x[r] + b[word] - np.log(samples * q[word]))

        loss = -np.log(probability(target))
        dscores[r, target] -= 1 - probability(target)
        for word in draws(proposal, len(w), samples, seed):
            loss -= np.log(1 - probability(word))
            dscores[r, word] += probability(word)
        losses.append(loss)
    return np.array(losses), dscores


def two_levels(w, b, class_w, class_b, classes, x):
    """log p of all words."""
    log_p = np.empty((len(x), len(w)))
    head = log_softmax(x @ class_w.T + class_b)
    for c in np.unique(classes):
        members = np.flatnonzero(classes == c)
        log_p[:, members] = head[:, c, None] + log_softmax(x @ w[members].T + b[members])
    return log_p


def huffman_cost(counts):
    """The least possible sum of count times depth."""
    order = itertools.count()
    heap = [(c, next(order)) for c in counts]
    heapq.heapify(heap)
    cost = 0.0
    while len(heap) > 1:
        joined = heapq.heappop(heap)[0] + heapq.heappop(heap)[0]
        cost += joined
        heapq.heappush(heap, (joined, next(order)))
    return cost
