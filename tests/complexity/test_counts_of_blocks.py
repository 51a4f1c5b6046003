"""Counts of the blocks without a state, by hand."""

import numpy as np
import pytest

import gru_native
from gru_native import complexity


def test_a_convolution():
    # 3 groups of 2 channels to 4, 5 taps; (10 + 2 * 1 - 2 * 4 - 1) // 2 + 1 = 2 steps of y
    conv = complexity.Conv1d(6, 12, 5, stride=2, dilation=2, groups=3, padding=1, activation="tanh")
    c = complexity.count(conv, 10, batch=2)
    macs = 2 * 2 * 3 * (2 * 5) * 4
    assert c.parameters == conv.num_parameters == 12 * 2 * 5 + 12
    assert c.forward.macs == macs
    assert c.passes.to_weights.macs == macs
    # of x[t], whose zeros come before: t even has no tap, t odd all 5 (of 2 sequences, 5 places)
    assert c.passes.to_inputs.macs == 2 * 5 * 3 * 2 * (5 * 4)
    assert c.passes.forward.elementwise == {"tanh": 2 * 2 * 12}
    ragged = complexity.count(conv, 10, batch=2, lengths=[10, 7])  # 7 steps give one of y
    assert ragged.forward.macs == macs // 4 * 2 + macs // 4


@pytest.mark.parametrize(("padding", "steps"), [("causal", 10), ("same", 10), ("valid", 6)])
def test_what_is_behind_a_convolution_has_its_steps(padding, steps):
    chain = complexity.Chain(
        [complexity.Conv1d(3, 4, 5, padding=padding), complexity.Dense(4, 2, bias=False)]
    )
    assert complexity.count(chain, 10).forward.macs == steps * (3 * 5 * 4 + 4 * 2)


def test_rows():
    norm = complexity.count(complexity.LayerNorm(8), 3, batch=2)
    assert norm.parameters == 16
    assert norm.passes.forward.elementwise["sqrt"] == 3 * 2
    assert norm.passes.forward.elementwise["multiply"] == 3 * 2 * 8 * 3
    table = complexity.Embedding(100, 8)
    assert complexity.count(table, 3, batch=2).passes.to_weights.elementwise == {"add": 48}
    chain = complexity.Chain([table, complexity.Activation("relu"), complexity.GRU(8, 5)])
    c = complexity.count(chain, 3, batch=2)
    assert c.passes.forward.elementwise["relu"] == 3 * 2 * 8
    assert c.parameters == chain.num_parameters == 800 + 3 * 5 * (8 + 5 + 2)


def test_few_bits_leave_them_as_they_are():
    chain = gru_native.Chain([gru_native.Conv1d(2, 4, 3, seed=0), gru_native.GRU(4, 3, seed=0)])
    c = complexity.count(chain, 4, precision="int8")
    few = complexity.count(chain.quantize("int8"), 4)
    assert c.passes.forward == few.passes.forward
    with pytest.raises(ValueError, match="a Conv1d has no form of precision 'int8'"):
        complexity.count(chain.blocks[0], 4, precision="int8")
    assert np.isfinite(chain.quantize("int8")(np.ones((4, 1, 2), np.float32))[0]).all()
