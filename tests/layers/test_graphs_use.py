"""GatedGraph: the same results for any order, company and number of threads; tapes and weights."""

import numpy as np
import pytest
from hypothesis import given

from helpers import assert_same_bits
from random_graphs import adjacency_of, all_gradients, calls, graph_settings, make, random_graph


@given(case=calls())
@graph_settings
def test_permuted_nodes(case):
    """To the bit: a node sums over its edges by their index, whatever the nodes are called."""
    layer, (x, edge_index, edge_type), rng = case
    order = rng.permutation(len(x))
    place = np.argsort(order)
    h, tape = layer.forward(x, edge_index, edge_type)
    permuted, permuted_tape = layer.forward(x[order], place[edge_index], edge_type)
    assert_same_bits(permuted, h[order])
    dh = rng.standard_normal(h.shape)
    grads, permuted_grads = layer.backward(tape, dh), layer.backward(permuted_tape, dh[order])
    assert_same_bits(permuted_grads.annotations, grads.annotations[order])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden", [7, 33])
def test_many_graphs_are_one(hidden, dtype):
    """The bits of each graph alone, forward and backward."""
    rng = np.random.default_rng(13)
    layer = make(hidden, 4, 2, dtype)
    sizes = [(5, 9), (1, 0), (17, 40), (2, 1), (30, 11)]
    graphs = [random_graph(rng, n, e, 2, 4, dtype) for n, e in sizes]
    first = np.cumsum([0, *(n for n, _ in sizes)])
    whole = (
        np.concatenate([g[0] for g in graphs]),
        np.concatenate([g[1] + at for g, at in zip(graphs, first[:-1], strict=True)], axis=1),
        np.concatenate([g[2] for g in graphs]),
    )
    h, tape = layer.forward(*whole)
    dh = rng.standard_normal(h.shape).astype(dtype)
    dx = layer.backward(tape, dh).annotations
    for graph, begin, end in zip(graphs, first[:-1], first[1:], strict=True):
        alone, tape = layer.forward(*graph)
        assert_same_bits(h[begin:end], alone)
        assert_same_bits(dx[begin:end], layer.backward(tape, dh[begin:end]).annotations)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reset_after", [False, True])
def test_any_number_of_threads(reset_after, dtype, threads):
    rng = np.random.default_rng(14)
    layer = make(100, 3, 2, dtype, reset_after=reset_after)
    graph = random_graph(rng, 150, 400, 2, 20, dtype)
    x = rng.standard_normal((3, 50, 20)).astype(dtype)
    adjacency = (rng.random((3, 50, 200)) < 0.05).astype(dtype)
    dh = rng.standard_normal((150, 100)).astype(dtype)
    results = []
    for count in (1, 2, 3, 5):
        threads(count)
        h, tape = layer.forward(*graph)
        dense, dense_tape = layer.forward(x, adjacency=adjacency)
        results.append(
            {"h": h, "call": layer(*graph), "dense": dense}
            | all_gradients(layer.backward(tape, dh))
            | {
                f"dense {n}": g
                for n, g in all_gradients(
                    layer.backward(dense_tape, dh.reshape(3, 50, 100))
                ).items()
            }
        )
    for result in results[1:]:
        for name, array in result.items():
            assert_same_bits(array, results[0][name], name)


def test_nan_stays_in_its_graph():
    rng = np.random.default_rng(16)
    layer = make(7, 3)
    x, adjacency = rng.standard_normal((3, 4, 5)), rng.standard_normal((3, 4, 8))
    edges = np.concatenate([rng.integers(0, 4, (2, 6)) + 4 * graph for graph in range(3)], axis=1)
    spoiled, dh = x.copy(), rng.standard_normal((3, 4, 7))
    spoiled[1, 2, 0] = np.nan
    results = []
    for given_x in (x, spoiled):
        h, tape = layer.forward(given_x.reshape(12, 5), edges)
        dense, dense_tape = layer.forward(given_x, adjacency=adjacency)
        dx = layer.backward(tape, dh.reshape(12, 7)).annotations
        dense_dx = layer.backward(dense_tape, dh).annotations
        results.append([h.reshape(3, 4, 7), dx.reshape(3, 4, 5), dense, dense_dx])
    for clean, other in zip(*results, strict=True):
        assert np.isnan(other[1]).any()
        assert_same_bits(other[[0, 2]], clean[[0, 2]])


def test_a_tape_keeps_its_own():
    rng = np.random.default_rng(15)
    layer = make(6, 3)
    x, edge_index, _ = random_graph(rng, 5, 8)
    a = adjacency_of(edge_index, np.zeros(8, int), 5, 1)
    dh = rng.standard_normal((5, 6))
    tapes = [layer.forward(x, edge_index)[1], layer.forward(x[None], adjacency=a[None])[1]]
    before = [layer.backward(tapes[0], dh), layer.backward(tapes[1], dh[None])]
    x[...], edge_index[...], a[...] = 7, 0, 3
    with layer.editing() as w:
        w["weight_edge"] *= 3
    for tape, grads, d in zip(tapes, before, (dh, dh[None]), strict=True):
        again = layer.backward(tape, d)
        for name, gradient in all_gradients(again).items():
            assert_same_bits(gradient, all_gradients(grads)[name], name)


def test_weights():
    layer = make(5, 2, 3, bias="node")
    shapes = {name: w.shape for name, w in layer.weights.items()}
    assert shapes == {
        "weight_edge": (6, 5, 5),
        "bias_node": (10,),
        "weight_ih": (15, 10),
        "weight_hh": (15, 5),
        "bias_ih": (15,),
        "bias_hh": (15,),
    }
    assert layer.num_parameters == 150 + 10 + 150 + 75 + 30
    assert make(5, 2, 3, bias="edge", aggregate="sum").weights["bias_edge"].shape == (6, 5)
    assert make(5, 2, bias="node", aggregate="sum").weights["bias_node"].shape == (5,)
    assert list(make(5, 2, bias=None).weights)[:2] == ["weight_edge", "weight_ih"]
    copy = make(5, 2, 3, bias="node", seed=2)
    copy.load_state_dict(layer.state_dict())
    x = np.random.default_rng(0).standard_normal((3, 4))
    assert_same_bits(copy(x, [[0], [1]], [2]), layer(x, [[0], [1]], [2]))
