"""Executed work of losses, against gru_native.complexity."""

import numpy as np
import pytest

from executed_work import counted, executed, numbers, pick
from gru_native import complexity, losses


def check_loss(count, call, *arguments, **options):
    """Loss and gradient are one call."""
    work = executed(call, *arguments, **options)[1]
    forward, backward = counted(count.passes)
    both = {kind: forward.get(kind, 0) + backward.get(kind, 0) for kind in {**forward, **backward}}
    assert work == both


@pytest.mark.parametrize("seed", range(40))
def test_cross_entropy(seed):
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float32, np.float64)
    rows, classes = (int(n) for n in rng.integers(1, [20, 40]))
    targets = rng.integers(0, classes, rows)
    ignore = pick(rng, None, 0)
    smooth = pick(rng, 0.0, 0.1, 1.0)
    ignored = 0 if ignore is None else int((targets == ignore).sum())
    count = complexity.count_cross_entropy(rows, classes, ignored=ignored, label_smoothing=smooth)
    logits = numbers(rng, dtype, rows, classes)
    check_loss(count, losses.cross_entropy, logits, targets, ignore=ignore, label_smoothing=smooth)


@pytest.mark.parametrize("seed", range(60))
def test_ctc(seed, threads):
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float32, np.float64)
    steps, labels, batch = (int(n) for n in rng.integers([1, 0, 1], [30, 12, 6]))
    classes = labels + int(rng.integers(1, 20))
    # No label repeats, so that only those are impossible that are more than the steps.
    targets = np.array([1 + rng.permutation(classes - 1)[:labels] for _ in range(batch)], int)
    lengths = [
        rng.integers(0, steps + 1, batch) if rng.integers(2) else None,
        rng.integers(0, labels + 1, batch) if rng.integers(2) else None,
    ]
    count = complexity.count_ctc(steps, labels, classes, batch, *lengths)
    threads(1 + seed % 3)
    logits = numbers(rng, dtype, steps, batch, classes)
    check_loss(count, losses.ctc, logits, targets.reshape(batch, labels), *lengths)


@pytest.mark.parametrize("seed", range(60))
def test_transducer(seed, threads):
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float32, np.float64)
    steps, labels, classes, batch = (int(n) for n in rng.integers([1, 0, 2, 1], [12, 12, 20, 6]))
    targets = rng.integers(1, classes, (batch, labels))
    lengths = [
        rng.integers(0, steps + 1, batch) if rng.integers(2) else None,
        rng.integers(0, labels + 1, batch) if rng.integers(2) else None,
    ]
    count = complexity.count_transducer(steps, labels, classes, batch, *lengths)
    threads(1 + seed % 3)
    logits = numbers(rng, dtype, batch, steps, labels + 1, classes)
    check_loss(count, losses.transducer, logits, targets, *lengths)
