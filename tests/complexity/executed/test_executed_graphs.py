"""Executed work of trees, graphs and readouts, against gru_native.complexity."""

import numpy as np
import pytest

import gru_native
from executed_work import check, numbers, pick
from groves import random_parents
from gru_native import complexity
from random_graphs import adjacency_of, random_graph


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
