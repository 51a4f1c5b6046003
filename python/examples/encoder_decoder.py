"""What the programs share that read one sequence and write another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gru_native import AttentionDecoder, DecoderGradients, losses

END = START = 0  # among what is written; nobody writes START, so they may share a number

Read = TypeVar("Read", bound=Sequence[Any])


def padded(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """(longest, rows), zeros past the ends."""
    array = np.zeros((max(map(len, rows)), len(rows)), np.int64)
    for b, row in enumerate(rows):
        array[: len(row), b] = row
    return array


def batches(
    pairs: Sequence[tuple[Read, list[int]]], size: int, rng: np.random.Generator
) -> Iterator[tuple[list[Read], list[list[int]]]]:
    """For ever: what is read, of about one length, and what is to be written."""
    while True:
        order = rng.permutation(len(pairs))
        for start in range(0, len(order), 64 * size):  # a pool of 64 batches, by length
            pool = sorted(
                (pairs[i] for i in order[start : start + 64 * size]), key=lambda p: len(p[0])
            )
            cuts = range(0, len(pool), size)
            for cut in rng.permutation(len(cuts)):
                chosen = pool[cuts[cut] : cuts[cut] + size]
                yield [read for read, _ in chosen], [written for _, written in chosen]


def teach(
    decoder: AttentionDecoder, wanted: Sequence[list[int]], memory: Any, lengths: Any = None
) -> tuple[float, DecoderGradients]:
    """The mean loss of what is to be written, in nats, each token fed the right one before it."""
    targets = padded([[*row, END] for row in wanted])
    steps = np.array([len(row) + 1 for row in wanted])
    counted = np.arange(len(targets))[:, None] < steps
    fed = np.concatenate([np.full((1, len(wanted)), START), targets[:-1]])
    logits, _, tape = decoder.forward(fed, memory, memory_lengths=lengths, lengths=steps)
    loss, dlogits = losses.cross_entropy(logits, np.where(counted, targets, -1), ignore=-1)
    return float(loss), decoder.backward(tape, dlogits)
