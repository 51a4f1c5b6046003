"""Counts against sums by hand, and what decides whether work is done."""

from collections import Counter

import pytest

import gru_native
from gru_native import complexity
from gru_native.layers import _recurrent


def test_lstm_by_hand():
    # n_i = 2, n_c = 3, n_r = 2: W x is 12 by 2, U r is 12 by 2, the projection 2 by 3.
    layer = complexity.LSTM(2, 3, proj_size=2, peephole=True)
    c = complexity.count(layer, 4, 5, state=True)
    each = 12 * 2 + 12 * 2 + 2 * 3
    for work in (c.forward, c.to_inputs, c.to_weights, c.textbook.forward):
        assert work.macs == 20 * each
        assert work.flops == 2 * work.macs
    assert c.step.forward.macs == each
    assert c.forward.macs_by() == {"input": 480, "recurrent": 480, "projection": 120}
    # i, f, o: p c and a sum; c = f c- + i g; h = o tanh(c).
    own = {"sigmoid": 60 * 3, "tanh": 60 * 2, "multiply": 60 * 6, "add": 60 * 4}
    assert c.forward.elementwise == own
    clipped = complexity.LSTM(2, 3, proj_size=2, peephole=True, cell_clip=1.5)
    assert complexity.count(clipped, 4, 5).forward.elementwise == {**own, "clip": 60}
    # Two biases of 12 for each of 20 rows, and 3 sums of peepholes a unit, with a product each.
    assert c.to_weights.elementwise == {"add": 20 * 24 + 60 * 3, "multiply": 60 * 3}


def test_standard_lstm_backward_by_hand():
    c = complexity.count(complexity.LSTM(2, 3, bias=False), 1)
    # c = f c- + i g and tanh(c) again (2 *, 1 +); dc = dh o (1 - t t) + dc (3 *, 2 +);
    # do, df, di: dh t s (1 - s) and its like (3 *, 1 + each); dc- (1 *); dg = dc i (1 - g g) (3 *,
    # 1 +); and dy + dh.
    assert c.to_inputs.elementwise == {"tanh": 3, "multiply": 3 * 18, "add": 3 * 8}
    assert c.to_weights.elementwise == {}


def test_gru_by_hand():
    after = complexity.count(complexity.GRU(2, 3), 7, state=True)
    before = complexity.count(complexity.GRU(2, 3, reset_after=False), 7, state=True)
    for c in (after, before):
        assert c.forward.macs == c.to_inputs.macs == c.to_weights.macs == 7 * 3 * 3 * (2 + 3)
    per_unit = {"sigmoid": 2, "tanh": 1, "multiply": 3}
    assert after.forward.elementwise == {k: 21 * n for k, n in {**per_unit, "add": 3}.items()}
    assert before.forward.elementwise == {k: 21 * n for k, n in {**per_unit, "add": 2}.items()}


def test_first_step_without_a_state():
    options = {"num_layers": 2, "bidirectional": True}
    for kind, recurrent in (
        (complexity.RNN(4, 3, **options), 3 * 3),
        (complexity.LSTM(4, 3, **options), 12 * 3),
        (complexity.GRU(4, 3, **options), 9 * 3),
        (complexity.GRU(4, 3, reset_after=False, **options), 6 * 3),
    ):
        c, given = complexity.count(kind, 5, 6), complexity.count(kind, 5, 6, state=True)
        assert given.forward.macs == c.textbook.forward.macs
        assert given.forward.macs - c.forward.macs == 6 * 4 * recurrent  # 4: layers, directions
        assert given.backward == c.backward


def test_lengths():
    layer = complexity.LSTM(4, 3, bidirectional=True)
    ragged = complexity.count(layer, 5, 4, [5, 0, 2, 5])
    assert ragged.extent == {"seq_len": 5, "batch": 4, "rows": 12}
    full = complexity.count(layer, 12)
    assert ragged.backward.macs == full.backward.macs
    # Forward, three sequences have a first step; in reverse it is time 4, which two reach.
    assert ragged.textbook.forward.macs - ragged.forward.macs == (3 + 2) * 12 * 3
    assert complexity.count(layer, 5, 2, [0, 0]).forward.macs == 0
    assert complexity.count(layer, 5, 2, [5, 5]) == complexity.count(layer, 5, 2)


def test_tree_by_hand():
    # Two leaves below a node: 9 rows of W for each, 3 more for the node's forget gates.
    c = complexity.count_tree(complexity.ChildSumTreeLSTM(4, 3), [2, 2, -1])
    assert c.forward.macs == 3 * 9 * 4 + 1 * 3 * 4 + 1 * 9 * 3 + 2 * 3 * 3
    assert c.forward.elementwise["sigmoid"] == 3 * (2 * 3 + 2)
    nary = complexity.count_tree(complexity.NaryTreeLSTM(4, 3, 2), [2, 2, -1], [1, 0, 0])
    assert nary.forward.macs == 3 * 9 * 4 + 1 * 3 * 4 + 1 * 9 * 6 + 2 * 3 * 6
    assert nary.to_weights.macs == nary.forward.macs  # no child is missing


def test_graph_by_hand():
    layer = complexity.GatedGraph(3, 2)
    sparse = complexity.count_graph(layer, nodes=5, edges=4)
    gates = 9 * 6 + 9 * 3
    assert sparse.forward.macs == 2 * 5 * (6 * 3 + gates)
    assert sparse.forward.elementwise["add"] == 2 * (5 * 3 * 2 + 2 * 4 * 3)
    dense = complexity.count_graph(layer, nodes=5, graphs=7)
    assert dense.forward.macs == 7 * 2 * 5 * (6 * 3 + gates + 2 * 5 * 3)
    readout = complexity.count_readout(complexity.GraphSum(3, 2, 4), nodes=5, graphs=2)
    assert readout.forward.macs == 5 * 2 * 4 * 5
    assert readout.forward.elementwise["tanh"] == 5 * 4 + 2 * 4


def test_grconv_by_hand():
    layer = complexity.GatedRecursiveConv(4, 3)
    c = complexity.count(layer, 5, 3, [5, 1, 0])
    assert c.forward.macs == 6 * 3 * 4 + 10 * (3 + 3) * 6  # 5 steps have 4 + 3 + 2 + 1 pairs
    assert c.forward.elementwise["exp"] == 3 * 10


def test_softmax_by_hand():
    """Of 5 numbers a row, in 6 rows."""
    count = complexity.count(complexity.Dense(4, 5, activation="softmax"), 3, 2)
    # Maximum, a - max, exp, sum, y; sum of y dy, y (dy - sum), a bias.
    forward = {"select": 30, "add": 2 * 30, "exp": 30, "divide": 30}
    assert count.forward.elementwise == forward
    assert count.backward.elementwise == {"multiply": 2 * 30, "add": 2 * 30 + 30}
    count = complexity.count(complexity.Dense(4, 5, activation="log_softmax"), 3, 2)
    assert count.forward.elementwise == {"select": 30, "add": 3 * 30, "exp": 30, "log": 6}
    assert count.backward.elementwise == {"exp": 30, "multiply": 30, "add": 2 * 30 + 30}


def test_chain_embedding_and_outputs():
    chain = complexity.Chain([complexity.LSTM(4, 3, 2), complexity.Dense(3, 5)])
    both = complexity.count(chain, 6, 2)
    parts = [complexity.count(block, 6, 2) for block in chain.blocks]
    assert both.parameters == sum(p.parameters for p in parts)
    assert both.passes.forward.macs == sum(p.forward.macs for p in parts)
    assert [t.name for t in both.tensors] == list(
        gru_native.Chain([gru_native.LSTM(4, 3, 2), gru_native.Dense(3, 5)]).weights
    )
    around = complexity.count(chain.blocks[0], 6, 2, outputs=5, vocabulary=9)
    assert around.parameters == both.parameters + 9 * 4
    assert around.forward == complexity.count(chain.blocks[0], 6, 2, outputs=5).forward
    assert around.to_weights.elementwise["add"] == both.to_weights.elementwise["add"] + 12 * 4


def test_gate_recurrence_by_hand():
    plain = complexity.count(complexity.LSTM.variant("V", 4, 3), 6, 2)
    c = complexity.count(complexity.LSTM.variant("FGR", 4, 3), 6, 2)
    assert c.parameters - plain.parameters == 9 * 3 * 3
    assert c.forward.macs - plain.forward.macs == (12 - 2) * 81  # but for the first step
    assert c.to_inputs.macs - plain.to_inputs.macs == 12 * 81
    assert c.to_weights.macs - plain.to_weights.macs == 12 * 81
    assert c.forward.elementwise == plain.forward.elementwise
    more = c.to_inputs.elementwise["add"] - plain.to_inputs.elementwise["add"]
    assert more == 36 * 3  # from the gates of the step behind


def test_output_recurrence_by_hand():
    layer = complexity.OutputRNN(4, 3, 2)
    free = complexity.count(layer, 5, 3, [5, 0, 2])
    assert free.forward.macs == free.to_inputs.macs == free.to_weights.macs == 7 * (12 + 6 + 6)
    assert free.to_inputs.elementwise["add"] == 7 * 3 + 5 * 2  # slopes; outputs that were fed back
    taught = complexity.count(layer, 5, 3, [5, 0, 2], taught=True)
    assert taught.to_inputs.elementwise["add"] == 7 * 3
    assert taught.to_weights.elementwise == {"add": 7 * (3 + 2)}


def test_layer_norm_by_hand():
    plain = complexity.count(complexity.GRU(4, 3), 6, 2)
    c = complexity.count(complexity.GRU(4, 3, layer_norm=True), 6, 2)
    assert c.parameters - plain.parameters == 2 * 9
    assert [w.macs for w in (c.forward, c.backward)] == [
        w.macs for w in (plain.forward, plain.backward)
    ]
    # For both products of a row, 9 numbers: mean (1 +), variance (2 +, 1 *), (a - mean) s (1 +,
    # 1 *), gain and sum (1 +, 1 *); and once 2 / of the sums, 1 / sqrt(v + eps).
    more = c.forward.elementwise - plain.forward.elementwise
    assert more == {
        "add": 12 * 2 * (9 * 5 + 1), "multiply": 12 * 2 * 9 * 3, "divide": 12 * 2 * 3,
        "sqrt": 12 * 2,
    }  # fmt: skip


def test_zoneout_by_hand():
    options = {"zoneout": 0.25, "zoneout_cell": 0.5}
    plain, layer = complexity.LSTM(4, 3), complexity.LSTM(4, 3, **options)
    training = complexity.count(layer, 6, 2).forward.elementwise
    assert training == complexity.count(plain, 6, 2).forward.elementwise + Counter(zoneout=2 * 36)
    inference = complexity.count(layer, 6, 2, training=False).forward.elementwise
    more = inference - complexity.count(plain, 6, 2).forward.elementwise
    assert more == {"multiply": 2 * 2 * 36, "add": 2 * 2 * 36}  # m s- + (1 - m) s


def test_dropout_acts_in_training_between_layers():
    layer = complexity.GRU(4, 3, 3, dropout=0.5)
    c = complexity.count(layer, 6, 2)
    assert c.forward.elementwise["dropout"] == c.to_inputs.elementwise["dropout"] == 2 * 12 * 3
    assert "dropout" not in complexity.count(layer, 6, 2, training=False).forward.elementwise


def test_an_option_whose_cost_nobody_knows_is_no_silent_zero(monkeypatch):
    layer = complexity.LSTM(4, 3)
    monkeypatch.setitem(_recurrent.USUAL, "extra_gate", False)
    monkeypatch.setattr(layer, "extra_gate", True, raising=False)
    with pytest.raises(NotImplementedError, match="extra_gate=True"):
        complexity.count(layer)
