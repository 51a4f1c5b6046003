"""Executed work of layers with weights of few bits, against gru_native.complexity."""

import numpy as np
import pytest

import gru_native
from executed_work import any_lengths, counted, executed, numbers, pick, recurrent
from groves import random_parents
from gru_native import complexity
from random_graphs import adjacency_of, random_graph


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("seed", range(40))
def test_recurrent(seed, precision, threads):
    rng = np.random.default_rng(seed)
    spec, layer = recurrent(rng, np.float32)
    seq_len, batch = (int(n) for n in rng.integers(1, [6, 80]))
    lengths = any_lengths(rng, seq_len, batch) if rng.integers(2) else None
    x = numbers(rng, np.float32, seq_len, batch, spec.input_size)
    fast = layer.quantize(precision)
    gru_native.set_num_threads(threads)
    try:
        work = executed(fast, x, lengths=lengths)[1]
    finally:
        gru_native.set_num_threads(1)
    count = complexity.count(fast, seq_len, batch, lengths, training=False)
    assert work == counted(count.passes)[0], layer
    asked = complexity.count(layer, seq_len, batch, lengths, training=False, precision=precision)
    assert asked.passes == count.passes


@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("seed", range(20))
def test_chain(seed, precision):
    rng = np.random.default_rng(seed)
    chain = gru_native.Chain(
        [
            gru_native.Dense(3, 7, activation=pick(rng, "relu", "softmax"), seed=1),
            gru_native.GRU(7, 300, seed=2),
            gru_native.LSTM(300, 6, bidirectional=True, seed=3),
            gru_native.Dense(12, int(rng.integers(1, 20)), seed=4),
        ]
    )
    steps, batch = (int(n) for n in rng.integers(1, [5, 40]))
    x = numbers(rng, np.float32, steps, batch, 3)
    fast = chain.quantize(precision)
    work = executed(fast, x)[1]
    assert work == counted(complexity.count(fast, steps, batch, training=False).passes)[0]


@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("seed", range(10))
def test_output_rnn(seed, precision, taught):
    rng = np.random.default_rng(seed)
    sizes = (int(n) for n in rng.integers(1, 60, 3))
    layer = gru_native.OutputRNN(*sizes, bias=bool(rng.integers(2)), activation="relu", seed=1)
    steps, batch = (int(n) for n in rng.integers(1, [6, 80]))
    x = numbers(rng, np.float32, steps, batch, layer.input_size)
    targets = numbers(rng, np.float32, steps, batch, layer.output_size) if taught else None
    fast = layer.quantize(precision)
    gru_native.set_num_threads(1 + seed % 2)
    try:
        work = executed(fast, x, targets=targets)[1]
    finally:
        gru_native.set_num_threads(1)
    count = complexity.count(fast, steps, batch, training=False, taught=taught)
    assert work == counted(count.passes)[0], layer


def agrees(layer, precision, threads, count, *sizes, call, **options):
    fast = layer.quantize(precision)
    gru_native.set_num_threads(threads)
    try:
        work = executed(fast, **call)[1]
    finally:
        gru_native.set_num_threads(1)
    asked = count(layer, *sizes, precision=precision, **options)
    assert work == counted(asked.passes)[0], layer
    assert count(fast, *sizes, **options) == asked


@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("seed", range(40))
def test_trees(seed, precision):
    rng = np.random.default_rng(seed)
    inputs, hidden, nodes = (int(n) for n in rng.integers(1, [20, 90, 60]))
    arity = pick(rng, None, 1, 2, 3)
    parents, slots = random_parents(nodes, rng, trees=int(rng.integers(1, nodes + 1)), most=arity)
    call = {"x": numbers(rng, np.float32, nodes, inputs), "parents": parents}
    if arity is None:
        layer, slots = gru_native.ChildSumTreeLSTM(inputs, hidden, seed=1), None
    else:
        layer = gru_native.NaryTreeLSTM(inputs, hidden, arity, seed=1)
        call["slots"] = slots
    agrees(layer, precision, 1 + seed % 2, complexity.count_tree, parents, slots, call=call)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("seed", range(20))
def test_graphs(seed, precision):
    rng = np.random.default_rng(seed)
    hidden, steps, types, nodes, edges = (int(n) for n in rng.integers(1, [60, 4, 4, 12, 30]))
    size = int(rng.integers(1, hidden + 1))
    layer = gru_native.GatedGraph(
        hidden,
        steps,
        types,
        aggregate=pick(rng, "concat", "sum"),
        bias=pick(rng, "edge", "node", None),
        reset_after=bool(rng.integers(2)),
        seed=1,
    )
    annotations, index, kinds = random_graph(rng, nodes, edges, types, size, np.float32)
    call = {"annotations": annotations, "edge_index": index, "edge_type": kinds}
    options = {"annotation_size": size}
    threads = 1 + seed % 2
    agrees(layer, precision, threads, complexity.count_graph, nodes, edges, call=call, **options)
    adjacency = adjacency_of(index, kinds, nodes, types).astype(np.float32)
    call = {"annotations": annotations[None], "adjacency": adjacency[None]}
    options["graphs"] = 1
    agrees(layer, precision, threads, complexity.count_graph, nodes, call=call, **options)


@pytest.mark.parametrize("sums", [False, True])
@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("seed", range(5))
def test_readouts(seed, precision, sums):
    rng = np.random.default_rng(seed)
    hidden, size, outputs, nodes = (int(n) for n in rng.integers(1, [60, 20, 50, 40]))
    kind = gru_native.GraphSum if sums else gru_native.NodeScores
    layer = kind(hidden, size, outputs, seed=1)
    call = {
        "h": numbers(rng, np.float32, nodes, hidden),
        "annotations": numbers(rng, np.float32, nodes, size),
    }
    agrees(layer, precision, 1 + seed % 2, complexity.count_readout, nodes, call=call)
