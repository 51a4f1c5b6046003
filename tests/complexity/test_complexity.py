"""Counts: of the layers' own weights, in symbols, in bytes, in least times; and errors."""

import json

import numpy as np
import pytest

import gru_native
from gru_native import complexity

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
