"""Executed work of optimizers, against gru_native.complexity."""

import numpy as np
import pytest

import gru_native
from executed_work import counted, executed, numbers, pick
from gru_native import complexity, optim

KINDS = {
    "SGD": {},
    "momentum": {"momentum": 0.9, "weight_decay": 0.1},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "Adagrad": {},
    "Adam": {"weight_decay": 0.1},
    "AdamW": {},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(10))
def test_step(seed, kind, threads):
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float32, np.float64)
    rows, columns = (int(n) for n in rng.integers(1, [200, 90]))
    layer = gru_native.Dense(columns, rows, dtype=dtype, seed=1)
    optimizer = getattr(optim, kind, optim.SGD)(layer, lr=0.1, **KINDS[kind])
    threads(1 + seed % 3)
    dense = {name: numbers(rng, dtype, *w.shape) for name, w in layer.weights.items()}
    for _ in range(2):
        assert executed(optimizer.step, dense)[1] == steps_of(optimizer)
    touched = np.flatnonzero(rng.integers(0, 2, rows))
    some = gru_native.RowGradient(touched, numbers(rng, dtype, len(touched), columns))
    work = executed(optimizer.step, {"weight": some})[1]
    assert work == steps_of(optimizer, len(touched) * columns)


def steps_of(optimizer, *numbers):
    return counted(complexity.count_step(optimizer, *numbers).passes)[0]
