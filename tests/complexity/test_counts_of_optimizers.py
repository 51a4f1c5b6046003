"""Counts of optimizers' steps, by hand, and what they refuse."""

import pytest

import gru_native
from gru_native import complexity, optim


def test_by_hand():
    layer = gru_native.Dense(4, 3, seed=0)  # 15 numbers
    plain = complexity.count_step(optim.SGD(layer, 0.1))
    # g + decay w; w - lr g
    assert plain.forward.elementwise == {"multiply": 15 * 2, "add": 15 * 2}
    assert plain.bytes().traffic == 4 * 15 * 3
    adam = complexity.count_step(optim.Adam(layer), 10)
    # g + decay w; beta m + gain g; beta v + gain g g; keep w - rate m / (sqrt(v) unbias + eps)
    assert adam.forward.elementwise == {
        "multiply": 10 * (1 + 2 + 3 + 3),
        "add": 10 * (1 + 1 + 1 + 2),
        "sqrt": 10,
        "divide": 10,
    }
    assert adam.state == 2 * 10
    assert adam.bytes("float64").traffic == 8 * 10 * (3 + 2 * 2)
    assert adam.forward.macs == adam.backward.macs == 0


def test_what_cannot_be():
    optimizer = optim.SGD(gru_native.Dense(4, 3, seed=0), 0.1)
    with pytest.raises(ValueError, match="numbers is 16; expected 0 to 15"):
        complexity.count_step(optimizer, 16)
    with pytest.raises(ValueError, match="numbers is -1; expected at least 0"):
        complexity.count_step(optimizer, -1)
    with pytest.raises(TypeError, match="optimizer is a GRU; expected one of optim"):
        complexity.count_step(complexity.GRU(2, 3))
