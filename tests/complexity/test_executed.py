"""gru_native.complexity against what the core executes, which an instrumented build counts.

cmake --preset count && cmake --build --preset count && ctest --preset count
"""

import importlib.util
import os
import sys

import numpy as np
import pytest

CORE = os.environ.get("GRU_NATIVE_COUNTING_CORE")
if CORE is None:
    pytest.skip("needs the instrumented build: ctest --preset count", allow_module_level=True)
assert "gru_native" not in sys.modules, "the instrumented core must be loaded before any other"
_spec = importlib.util.spec_from_file_location("gru_native._core", CORE)
_core = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _core
_spec.loader.exec_module(_core)

from test_graphs import adjacency_of, random_graph  # noqa: E402
from test_variants import random_network, random_variant  # noqa: E402

import gru_native  # noqa: E402
from gru_native import complexity  # noqa: E402
from helpers import (  # noqa: E402
    ACTIVATION_NAMES,
    CELLS,
    DENSE_ACTIVATION_NAMES,
    EVERY_GATE_SET,
    FUNCTIONS,
    make_layer,
    parts,
    random_state,
    regroup,
)
from reference import Spec  # noqa: E402
from trees import random_parents  # noqa: E402


def executed(call, *arguments, **options):
    """What the call returns, and what it has executed, by kind."""
    _core.executed()
    result = call(*arguments, **options)
    return result, {kind: n for kind, n in _core.executed().items() if n}


def counted(passes):
    """What gru_native.complexity says of the call and of its backward, in the same form."""

    def of(work, **macs):
        return {kind: n for kind, n in {**macs, **work.elementwise}.items() if n}

    inputs, weights = passes.to_inputs.macs, passes.to_weights.macs
    return (
        of(passes.forward, mac_forward=passes.forward.macs),
        of(passes.backward, mac_inputs=inputs, mac_weights=weights),
    )


def pick(rng, *values):
    return values[rng.integers(len(values))]


def numbers(rng, dtype, *shape):
    return rng.standard_normal(shape).astype(dtype)


def any_lengths(rng, seq_len, batch):
    return rng.integers(0, seq_len + 1, batch)


def check(layer, forward, count, *gradients, inference=None):
    """forward() -> (.., tape) and backward with these gradients against the count of both."""
    first, second = counted(count.passes)
    if inference is not None:
        assert executed(inference)[1] == first, layer
    result, work = executed(forward)
    assert work == first, layer
    _, work = executed(layer.backward, result[-1], *gradients)
    assert work == second, layer


# --- sequences


def recurrent(rng, dtype):
    """Any layer, with any options."""
    kind = rng.integers(4)
    clip = pick(rng, None, 0.75)
    if kind == 0:
        spec = random_network(rng, cell=pick(rng, *CELLS))
    elif kind == 1:
        spec = random_network(
            rng,
            cell=pick(rng, "gru", "gru_reset_before"),
            candidate_activation=pick(rng, *FUNCTIONS),
            gate_activation=pick(rng, "sigmoid", *FUNCTIONS),
            activation_clip=clip,
        )
    elif kind == 2:
        options = {"nonlinearity": pick(rng, *FUNCTIONS), "activation_clip": clip}
        spec = random_network(rng, cell="rnn", **options)
    else:
        spec = random_network(rng, random_variant(pick(rng, *EVERY_GATE_SET), rng), cell="lstm")
    return spec, make_layer(spec, dtype=dtype, dropout=pick(rng, 0.0, 0.5), seed=1)


@pytest.mark.parametrize("seed", range(300))
def test_recurrent(seed):
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float32, np.float64)
    spec, layer = recurrent(rng, dtype)
    seq_len, batch = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    x = numbers(rng, dtype, seq_len, batch, spec.input_size)

    def state():
        given = random_state(spec, batch, rng)
        return regroup(given, [part.astype(dtype) for part in parts(given)])

    initial = state() if rng.integers(2) else None
    lengths = any_lengths(rng, seq_len, batch) if rng.integers(2) else None
    options = {"lengths": lengths, "training": bool(rng.integers(2))}
    dy, dstate = pick(rng, (True, None), (None, state()), (True, state()))
    call = {**options, "state": initial is not None, "dy": dy is not None}
    width = layer(x)[0].shape[-1]
    check(
        layer,
        lambda: layer.forward(x, initial, **options),
        complexity.count(layer, seq_len, batch, **call),
        numbers(rng, dtype, seq_len, batch, width) if dy else None,
        dstate,
    )
    inference = complexity.count(layer, seq_len, batch, **{**call, "training": False})
    work = executed(layer, x, initial, lengths=lengths)[1]
    assert work == counted(inference.passes)[0], layer


@pytest.mark.parametrize("seed", range(20))
def test_masked_steps_cost_nothing(seed):
    rng = np.random.default_rng(seed)
    spec, layer = recurrent(rng, np.float32)
    mask = rng.integers(0, 2, (6, 4)).astype(bool)
    mask[rng.integers(6), rng.integers(4)] = True
    steps = mask.sum(axis=0)
    x = numbers(rng, np.float32, 6, 4, spec.input_size)
    check(
        layer,
        lambda: layer.forward(x, mask=mask),
        complexity.count(layer, int(steps.max()), 4, steps),
        numbers(rng, np.float32, *layer(x)[0].shape),
    )


@pytest.mark.parametrize("seed", range(40))
def test_output_recurrence(seed):
    rng = np.random.default_rng(seed)
    inputs, hidden, outputs, seq_len, batch = (int(n) for n in rng.integers(1, [9, 30, 9, 6, 5]))
    layer = gru_native.OutputRNN(
        inputs,
        hidden,
        outputs,
        bias=bool(rng.integers(2)),
        activation=pick(rng, *ACTIVATION_NAMES),
        output_activation=pick(rng, *ACTIVATION_NAMES),
        seed=1,
    )
    x = numbers(rng, np.float32, seq_len, batch, inputs)
    targets = numbers(rng, np.float32, seq_len, batch, outputs) if rng.integers(2) else None
    lengths = any_lengths(rng, seq_len, batch) if rng.integers(2) else None
    check(
        layer,
        lambda: layer.forward(x, targets=targets, lengths=lengths),
        complexity.count(layer, seq_len, batch, lengths, taught=targets is not None),
        numbers(rng, np.float32, seq_len, batch, outputs),
    )


@pytest.mark.parametrize("seed", range(100))
def test_gates_that_recur_layer_norm_and_zoneout(seed):
    rng = np.random.default_rng(seed)
    inputs, hidden, layers, seq_len, batch = (int(n) for n in rng.integers(1, [20, 40, 3, 6, 5]))
    options = {"layer_norm": bool(rng.integers(2)), "zoneout": pick(rng, 0.0, 0.3, 1.0)}
    if rng.integers(2):
        kind, options["peephole"] = gru_native.LSTM, bool(rng.integers(2))
        options["zoneout_cell"] = pick(rng, 0.0, 0.3)
        gates = pick(rng, *EVERY_GATE_SET)
        options |= {name: value for name, value in vars(gates).items() if name != "peephole"}
        options["peephole"] &= gates.peephole
        options["proj_size"] = int(rng.integers(hidden)) * int(rng.integers(2))
        if options["proj_size"]:
            options["nonrecurrent_proj_size"] = int(rng.integers(3))
    else:
        kind = gru_native.GRU
        options["reset_after"] = options["layer_norm"] or bool(rng.integers(2))
    options["bidirectional"] = bool(rng.integers(2))
    layer = kind(inputs, hidden, layers, bias=bool(rng.integers(2)), seed=1, **options)
    x = numbers(rng, np.float32, seq_len, batch, inputs)
    training = bool(rng.integers(2))
    check(
        layer,
        lambda: layer.forward(x, training=training),
        complexity.count(layer, seq_len, batch, training=training),
        numbers(rng, np.float32, *layer(x)[0].shape),
    )


def test_by_hand():
    """x of 3, h of 5, 2 steps without an initial state: U h- once, backward twice."""
    layer = gru_native.RNN(3, 5, seed=0)
    x = np.ones((2, 1, 3), np.float32)
    (y, _, tape), work = executed(layer.forward, x)
    assert work == {"mac_forward": 2 * 15 + 25, "tanh": 10}
    _, work = executed(layer.backward, tape, y)
    assert work == {
        "mac_inputs": 2 * 15 + 2 * 25,
        "mac_weights": 2 * 15 + 2 * 25,
        "multiply": 2 * 10,  # dh (1 - y y)
        "add": 10 + 10 + 2 * 10,  # dh + dy, the slope, two biases
    }


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_threads_share_the_work(name, bidirectional, threads):
    """And no work is done by two of them."""
    spec = Spec(name, 40, 150, 2, bidirectional)
    layer = make_layer(spec, dtype=np.float32, seed=1)
    x = np.ones((4, 20, 40), np.float32)
    width = layer(x)[0].shape[-1]
    for n in (1, 2, 3):
        threads(n)
        check(
            layer,
            lambda: layer.forward(x),
            complexity.count(layer, 4, 20),
            np.ones((4, 20, width), np.float32),
        )


@pytest.mark.parametrize("name", CELLS)
def test_large(name, threads):
    """More rows, columns and steps than go into one block of a product, or of sums over rows."""
    threads(1)
    layer = make_layer(Spec(name, 700, 90), dtype=np.float32, seed=1)
    x = np.ones((9, 70, 700), np.float32)
    check(
        layer,
        lambda: layer.forward(x),
        complexity.count(layer, 9, 70),
        np.ones((9, 70, 90), np.float32),
        inference=lambda: layer(x),
    )


@pytest.mark.parametrize("seed", range(20))
def test_streams(seed):
    """Chunk after chunk; only the first one has no state."""
    rng = np.random.default_rng(seed)
    spec, layer = recurrent(rng, np.float32)
    while spec.bidirectional:
        spec, layer = recurrent(rng, np.float32)
    stream = layer.stream(batch_size=2)
    for i in range(3):
        steps = int(rng.integers(1, 5))
        work = executed(stream, numbers(rng, np.float32, steps, 2, spec.input_size))[1]
        count = complexity.count(layer, steps, 2, state=i > 0, training=False)
        assert work == counted(count.passes)[0], layer


@pytest.mark.parametrize("seed", range(60))
def test_dense(seed):
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float32, np.float64)
    inputs, outputs, seq_len, batch = (int(n) for n in rng.integers(1, 40, 4))
    layer = gru_native.Dense(
        inputs,
        outputs,
        bias=bool(rng.integers(2)),
        activation=str(rng.choice(DENSE_ACTIVATION_NAMES)),
        dtype=dtype,
        seed=1,
    )
    lengths = any_lengths(rng, seq_len, batch) if rng.integers(2) else None
    x = numbers(rng, dtype, seq_len, batch, inputs)
    check(
        layer,
        lambda: layer.forward(x, lengths=lengths),
        complexity.count(layer, seq_len, batch, lengths),
        numbers(rng, dtype, seq_len, batch, outputs),
        inference=lambda: layer(x, lengths=lengths),
    )


@pytest.mark.parametrize("seed", range(10))
def test_chain(seed):
    rng = np.random.default_rng(seed)
    lengths = any_lengths(rng, 4, 3)
    chain = gru_native.Chain(
        [
            gru_native.Dense(3, 7, activation="relu", seed=1),
            gru_native.GRU(7, 9, seed=2),
            gru_native.LSTM(9, 6, bidirectional=True, seed=3),
            gru_native.Dense(12, int(rng.integers(1, 20)), seed=4),
        ]
    )
    x = numbers(rng, np.float32, 4, 3, 3)
    check(
        chain,
        lambda: chain.forward(x, lengths=lengths),
        complexity.count(chain, 4, 3, lengths),
        numbers(rng, np.float32, 4, 3, chain.output_size),
        inference=lambda: chain(x, lengths=lengths),
    )


@pytest.mark.parametrize("seed", range(60))
def test_pyramid(seed):
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float32, np.float64)
    inputs, hidden, seq_len, batch = (int(n) for n in rng.integers(1, [20, 40, 9, 5]))
    layer = gru_native.GatedRecursiveConv(
        inputs, hidden, activation=str(rng.choice(ACTIVATION_NAMES)), dtype=dtype, seed=1
    )
    lengths = any_lengths(rng, seq_len, batch) if rng.integers(2) else None
    x = numbers(rng, dtype, seq_len, batch, inputs)
    check(
        layer,
        lambda: layer.forward(x, lengths),
        complexity.count(layer, seq_len, batch, lengths),
        numbers(rng, dtype, batch, hidden),
        inference=lambda: layer(x, lengths),
    )


# --- trees and graphs


@pytest.mark.parametrize("seed", range(80))
def test_tree(seed):
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float32, np.float64)
    inputs, hidden, nodes = (int(n) for n in rng.integers(1, [20, 40, 30]))
    arity = pick(rng, None, 1, 2, 3)
    trees = int(rng.integers(1, nodes + 1))
    parents, slots = random_parents(nodes, rng, trees=trees, most=arity)
    options = {"bias": bool(rng.integers(2)), "dtype": dtype, "seed": 1}
    if arity is None:
        layer, slots = gru_native.ChildSumTreeLSTM(inputs, hidden, **options), None
    else:
        layer = gru_native.NaryTreeLSTM(inputs, hidden, arity, **options)
    forest = (parents,) if arity is None else (parents, slots)
    x = numbers(rng, dtype, nodes, inputs)
    given = pick(rng, (True, False), (False, True), (True, True))
    check(
        layer,
        lambda: layer.forward(x, *forest),
        complexity.count_tree(layer, parents, slots, dh=given[0], dc=given[1]),
        *(numbers(rng, dtype, nodes, hidden) if there else None for there in given),
        inference=lambda: layer(x, *forest),
    )


@pytest.mark.parametrize("arity", [None, 2])
def test_threads_share_a_forest(arity, threads):
    """By nodes where a height has many of them, by units where it has few."""
    rng = np.random.default_rng(1)
    parents, slots = random_parents(120, rng, trees=4, most=2)
    x = numbers(rng, np.float32, 120, 30)
    if arity is None:
        layer, forest = gru_native.ChildSumTreeLSTM(30, 150, seed=1), (parents,)
    else:
        layer, forest = gru_native.NaryTreeLSTM(30, 150, 2, seed=1), (parents, slots)
    threads(2)
    check(
        layer,
        lambda: layer.forward(x, *forest),
        complexity.count_tree(layer, *forest, dc=False),
        numbers(rng, np.float32, 120, 150),
    )


@pytest.mark.parametrize("seed", range(60))
def test_graph(seed):
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float32, np.float64)
    hidden, steps, types, nodes, edges = (int(n) for n in rng.integers(1, [40, 4, 4, 12, 30]))
    size = int(rng.integers(1, hidden + 1))
    layer = gru_native.GatedGraph(
        hidden,
        steps,
        types,
        aggregate=pick(rng, "concat", "sum"),
        bias=pick(rng, "edge", "node", None),
        reset_after=bool(rng.integers(2)),
        dtype=dtype,
        seed=1,
    )
    graph = random_graph(rng, nodes, edges, types, size, dtype)
    dh = numbers(rng, dtype, nodes, hidden)
    check(
        layer,
        lambda: layer.forward(*graph),
        complexity.count_graph(layer, nodes, edges, annotation_size=size),
        dh,
        inference=lambda: layer(*graph),
    )

    graphs = int(rng.integers(1, 4))
    matrix = np.stack([adjacency_of(*graph[1:], nodes, types)] * graphs).astype(dtype)
    annotations = np.stack([graph[0]] * graphs)
    check(
        layer,
        lambda: layer.forward(annotations, adjacency=matrix),
        complexity.count_graph(layer, nodes, graphs=graphs, annotation_size=size),
        np.stack([dh] * graphs),
        inference=lambda: layer(annotations, adjacency=matrix),
    )


@pytest.mark.parametrize("seed", range(40))
def test_readout(seed):
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float32, np.float64)
    hidden, size, outputs, nodes, graphs = (int(n) for n in rng.integers(1, [40, 9, 20, 30, 5]))
    kind = pick(rng, gru_native.NodeScores, gru_native.GraphSum)
    layer = kind(hidden, size, outputs, dtype=dtype, seed=1)
    arrays = numbers(rng, dtype, nodes, hidden), numbers(rng, dtype, nodes, size)
    if kind is gru_native.NodeScores:
        graphs, rows, options = 1, nodes, {}
    else:
        rows, options = graphs, {"graph": rng.integers(0, graphs, nodes), "num_graphs": graphs}
    check(
        layer,
        lambda: layer.forward(*arrays, **options),
        complexity.count_readout(layer, nodes, graphs),
        numbers(rng, dtype, rows, outputs),
    )
