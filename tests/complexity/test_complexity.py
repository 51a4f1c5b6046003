"""Counts: of the layers' own weights, by hand, in symbols, as papers print them."""

import json
from collections import Counter

import numpy as np
import pytest

import gru_native
from gru_native import complexity
from gru_native.layers import _recurrent

VARIANTS = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP")


def each_layer(of):
    """Layers of every kind, of gru_native or of complexity."""
    for bias in (True, False):
        for bidirectional in (True, False):
            options = {"bias": bias, "bidirectional": bidirectional}
            yield of.RNN(3, 5, 2, nonlinearity="relu", **options)
            yield of.GRU(3, 5, 2, **options)
            yield of.GRU(4, 3, reset_after=False, **options)
            for name in VARIANTS:
                projection = {"proj_size": 2, "nonrecurrent_proj_size": 4} if bias else {}
                yield of.LSTM.variant(name, 3, 5, num_layers=3, **projection, **options)
            yield of.LSTM.variant("FGR", 3, 5, num_layers=2, zoneout=0.0, **options)
            yield of.LSTM(3, 5, 2, layer_norm=True, coupled_gates=bias, zoneout=0.1, **options)
            yield of.GRU(3, 5, layer_norm=True, zoneout=0.1, **options)
        yield of.Dense(3, 5, bias=bias)
        yield of.Dense(3, 5, bias=bias, activation="log_softmax")
        yield of.OutputRNN(3, 5, 2, bias=bias, output_activation="sigmoid")
        yield of.ChildSumTreeLSTM(3, 5, bias=bias)
        yield of.NaryTreeLSTM(3, 5, 3, bias=bias)
    for bias in ("edge", "node", None):
        yield of.GatedGraph(5, 2, 3, bias=bias)
        yield of.GatedGraph(5, 2, 3, bias=bias, aggregate="sum")
    yield of.NodeScores(5, 3, 2)
    yield of.GraphSum(5, 3, 2)
    yield of.GatedRecursiveConv(3, 5)


def counted(layer):
    if isinstance(layer, (gru_native.ChildSumTreeLSTM, gru_native.NaryTreeLSTM)):
        return complexity.count_tree(layer, [2, 2, -1], [0, 1, 0])
    if isinstance(layer, gru_native.GatedGraph):
        return complexity.count_graph(layer, nodes=4, edges=3)
    if isinstance(layer, (gru_native.NodeScores, gru_native.GraphSum)):
        return complexity.count_readout(layer, nodes=4)
    return complexity.count(layer, 4, 3)


def test_tensors_are_the_layers_own():
    for layer, description in zip(each_layer(gru_native), each_layer(complexity), strict=True):
        count = counted(layer)
        own = [(name, w.shape) for name, w in layer.weights.items()]
        assert [(t.name, t.shape) for t in count.tensors] == own, layer
        assert count.parameters == layer.num_parameters == description.num_parameters
        biases = sum(w.size for name, w in layer.weights.items() if "bias" in name)
        assert count.parameters_without_biases == layer.num_parameters - biases
        assert count.bytes("float64").weights == 8 * layer.num_parameters
        assert repr(description) == repr(layer)
        assert counted(description) == count


def test_parameters_are_those_of_torch():
    torch = pytest.importorskip("torch")
    for options in ({}, {"bias": False}, {"bidirectional": True}, {"num_layers": 3}):
        for name in ("RNN", "LSTM", "GRU"):
            other = getattr(torch.nn, name)(7, 9, **options)
            own = complexity.count(getattr(complexity, name)(7, 9, **options))
            assert own.parameters == sum(p.numel() for p in other.parameters()), (name, options)
    other = torch.nn.LSTM(7, 9, 2, proj_size=4, bidirectional=True)
    own = complexity.count(complexity.LSTM(7, 9, 2, proj_size=4, bidirectional=True))
    assert own.parameters == sum(p.numel() for p in other.parameters())


def test_a_description_costs_no_memory():
    huge = complexity.LSTM(10**6, 10**6)
    assert huge.num_parameters == 4 * (2 * 10**12 + 2 * 10**6)
    assert complexity.Chain([huge, complexity.Dense(10**6, 5)]).num_parameters > 8 * 10**12
    for use in (lambda: huge.weights, lambda: huge([[1.0]]), lambda: huge.state_dict()):
        with pytest.raises(TypeError, match="description has no weights"):
            use()
    with pytest.raises(TypeError, match="description has no weights"):
        _ = gru_native.Chain([complexity.LSTM(2, 3)]).num_parameters


# --- arithmetic, by hand


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


def test_pyramid_by_hand():
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


# --- formulas, bytes, least times


def evaluated(formula, sizes):
    """A printed sum of products of symbols."""
    total = 0
    for term in formula.split(" + "):
        product = 1
        for factor in term.split():
            base, _, power = factor.partition("^")
            product *= (sizes[base] if base in sizes else int(base)) ** int(power or 1)
        total += product
    return total


def test_formulas_have_the_counts_values():
    for layer in each_layer(complexity):
        s = complexity.statement(layer)
        assert evaluated(s.parameters, s.sizes) == counted(layer).parameters, layer
    layer = complexity.LSTM(40, 2048, proj_size=512, bidirectional=True, peephole=True)
    s = complexity.statement(layer, 99)
    c = complexity.count(layer, outputs=99)
    assert evaluated(s.parameters, s.sizes) == c.parameters
    assert evaluated(s.macs_per_step, s.sizes) == c.step.forward.macs


def test_formulas_of_the_paper():
    s = complexity.statement(complexity.LSTM(40, 2048, bias=False, peephole=True), 8000)
    assert s.parameters == "4 n_c^2 + 4 n_c n_i + n_c n_o + 3 n_c + n_o"
    assert s.dominating == "n_c (4 n_c + n_o)"
    s = complexity.statement(complexity.LSTM(40, 2048, proj_size=512), 8000)
    assert s.dominating == "n_r (4 n_c + n_o)"
    assert "0.25" in s.reduction


def test_bytes():
    c = complexity.count(complexity.LSTM(4, 3, 2, proj_size=2), 5, 6)
    b = c.bytes()
    assert b.weights == 4 * c.parameters
    assert b.state == 4 * 6 * 2 * (2 + 3)
    # For each of 30 rows: inputs of 4 and of 2; and twice 12 activations, h of 2, c of 3, o tanh(c)
    assert b.tape == 4 * 30 * (4 + 2 + 2 * (12 + 2 + 3 + 3))
    assert b.traffic == b.weights + 4 * 6 * (4 + 2) + 2 * b.state
    assert b.intensity == pytest.approx(6 * c.step.forward.flops / b.traffic)
    double = c.bytes(np.float64)
    assert (double.weights, double.tape) == (2 * b.weights, 2 * b.tape)


LIMITS = {
    "isa": "avx2",
    "cores": 2,
    "flops_one": 100.0,
    "flops_all": 150.0,
    "levels": [
        {"name": "L2", "capacity": 1000, "one": 50.0, "all": 100.0},
        {"name": "memory", "capacity": 0, "one": 10.0, "all": 15.0},
    ],
}


def test_least_time(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"limits": LIMITS, "rows": []}))
    limits = complexity.Limits.load(path)
    assert complexity.Limits.of(limits.to_dict()) == limits
    c = complexity.count(complexity.RNN(2, 4), 10, 1, state=True)
    time = c.roofline(limits)
    assert time.arithmetic == pytest.approx(2 * 10 * (8 + 16) / 100)
    assert time.weights == pytest.approx(4 * (8 + 10 * 16) / 50)  # 64 bytes are read at every step
    assert (time.seconds, time.bound) == (time.weights, "L2")
    large = complexity.count(complexity.RNN(20, 40), 10, 1, state=True).roofline(limits, 2)
    assert large.weights == pytest.approx(4 * (800 + 10 * 1600) / 2 / 7.5)
    assert large.bound == "memory"
    both = complexity.RNN(1, 12, bidirectional=True)  # 576 bytes at each step and direction
    assert complexity.count(both, 10, 1, state=True).roofline(limits).level == "L2"
    for bad in ("[]", "{", '{"limits": null}', '{"limits": {"isa": 1}}'):
        path.write_text(bad)
        with pytest.raises(ValueError, match=r"limits|JSON"):
            complexity.Limits.load(path)
    with pytest.raises(ValueError, match="threads is 0; expected at least 1"):
        c.roofline(limits, 0)


# --- errors


@pytest.mark.parametrize(
    "make",
    [
        lambda of: of.LSTM(4, 8, proj_size=9),
        lambda of: of.LSTM(-1, 8),
        lambda of: of.LSTM("a", 8),
        lambda of: of.LSTM(4, 8, nonrecurrent_proj_size=1),
        lambda of: of.LSTM(4, 8, coupled_gates=True, input_gate=False),
        lambda of: of.LSTM(4, 8, cell_clip=-1),
        lambda of: of.LSTM(4, 8, input_activation="x"),
        lambda of: of.LSTM(4, 8, dtype=np.int32),
        lambda of: of.LSTM(2**40, 2**40),
        lambda of: of.LSTM.variant("X", 4, 8),
        lambda of: of.GRU(4, 8, 0),
        lambda of: of.GRU(4, 8, candidate_activation="x"),
        lambda of: of.RNN(4, 8, dropout=3),
        lambda of: of.RNN(4, 8, nonlinearity="x"),
        lambda of: of.Dense(4, 0),
        lambda of: of.Dense(4, 1, activation="x"),
        lambda of: of.NaryTreeLSTM(4, 8, 0),
        lambda of: of.ChildSumTreeLSTM(4, -8),
        lambda of: of.GatedGraph(4, 0),
        lambda of: of.GatedGraph(4, 1, aggregate="x"),
        lambda of: of.GatedGraph(4, 1, bias="x"),
        lambda of: of.GatedRecursiveConv(0, 1),
        lambda of: of.GatedRecursiveConv(1, 1, activation="x"),
        lambda of: of.NodeScores(4, 0),
        lambda of: of.OutputRNN(4, 1, 0),
        lambda of: of.OutputRNN(4, 1, 1, output_activation="x"),
        lambda of: of.Chain([of.LSTM(2, 3), of.Dense(4, 1)]),
    ],
)
def test_descriptions_refuse_what_layers_refuse(make):
    with pytest.raises((TypeError, ValueError)) as expected:
        make(gru_native)
    with pytest.raises(type(expected.value)) as found:
        make(complexity)
    assert str(found.value) == str(expected.value)


def message(call):
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    return str(error.value)


def test_calls_refuse_what_layers_refuse():
    layer, x = gru_native.LSTM(3, 4), np.zeros((5, 2, 3), np.float32)
    for lengths in ([6, 1], [-1, 2], [1], [0.5, 1.0], [[1, 2]], "x"):
        own = message(lambda lengths=lengths: complexity.count(layer, 5, 2, lengths))
        assert own == message(lambda lengths=lengths: layer(x, lengths=lengths))
    tree, nodes = gru_native.NaryTreeLSTM(3, 4, 2), np.zeros((3, 3), np.float32)
    for parents, slots in (([1, 0, -1], [0, 0, 0]), ([2, 2, -1], [0, 0, 0]), ([0, 0], [0, 0])):
        own = message(lambda p=parents, s=slots: complexity.count_tree(tree, p, s))
        assert own == message(lambda p=parents, s=slots: tree(nodes[: len(p)], p, s))
    for bad in (
        lambda: complexity.count(layer, 0),
        lambda: complexity.count(layer, 5, -1),
        lambda: complexity.count(layer, 5.0),
        lambda: complexity.count(tree),
        lambda: complexity.count(layer, 5, state=1),
        lambda: complexity.count(layer, 5, outputs=0),
        lambda: complexity.count(layer, 5, vocabulary=0),
        lambda: complexity.count_graph(complexity.GatedGraph(4, 1), 5),
        lambda: complexity.count_graph(complexity.GatedGraph(4, 1), 5, 5, annotation_size=5),
        lambda: complexity.count_graph(complexity.GatedGraph(4, 1), 0, 5),
        lambda: complexity.count_readout(complexity.GraphSum(4, 1, 1), 0),
        lambda: complexity.statement(3),
    ):
        assert message(bad)


def test_to_dict_and_repr():
    for layer in each_layer(complexity):
        count = counted(layer)
        values = json.loads(json.dumps(count.to_dict()))
        assert values["parameters"] == count.parameters
        assert values["forward"]["macs"] == count.forward.macs
        assert f"{count.parameters:,} parameters" in repr(count)
        assert f"{count.forward.macs:,}" in count.table()
