"""Random graphs, GatedGraph layers over them, and what the reference makes of both."""

import itertools

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

import gru_native
from reference import gated_graph

OPTIONS = list(itertools.product(("concat", "sum"), ("edge", "node", None), (False, True)))
graph_settings = settings(max_examples=60, deadline=None)


def make(hidden, steps, types=1, dtype=np.float64, seed=1, **options):
    return gru_native.GatedGraph(hidden, steps, types, dtype=dtype, seed=seed, **options)


def random_graph(rng, nodes, edges, types=1, size=3, dtype=np.float64):
    """Annotations, edge_index and edge_type; self loops and repeated edges are likely."""
    return (
        rng.standard_normal((nodes, size)).astype(dtype),
        rng.integers(0, nodes, (2, edges)),
        rng.integers(0, types, edges),
    )


def triples(edge_index, edge_type):
    return list(zip(*edge_index, edge_type, strict=True))


def adjacency_of(edge_index, edge_type, nodes, types):
    a = np.zeros((nodes, 2 * types * nodes))
    for u, v, e in triples(edge_index, edge_type):
        a[v, e * nodes + u] += 1
        a[u, (types + e) * nodes + v] += 1
    return a


def all_gradients(grads):
    return {"annotations": grads.annotations, **grads.weights}


def expected_of(layer, graph, dh):
    weights = {name: w.astype(np.float64) for name, w in layer.weights.items()}
    x, edges = graph[0].astype(np.float64), triples(*graph[1:])
    h, tape = gated_graph.forward(
        weights, x, edges, layer.num_steps, layer.aggregate, layer.reset_after
    )
    dx, dw = gated_graph.backward(
        weights, tape, edges, dh.astype(np.float64), x.shape[1], layer.reset_after
    )
    return h, {"annotations": dx, **{name: dw[name] for name in weights}}


@st.composite
def calls(draw):
    """A layer and a graph; nodes without edges and graphs without any are among them."""
    hidden, types = draw(st.sampled_from([1, 2, 5, 8, 16, 31])), draw(st.integers(1, 3))
    aggregate, bias, reset_after = draw(st.sampled_from(OPTIONS))
    options = {"aggregate": aggregate, "bias": bias, "reset_after": reset_after}
    layer = make(hidden, draw(st.integers(1, 4)), types, seed=draw(st.integers(0, 99)), **options)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    graph = random_graph(
        rng, draw(st.integers(1, 12)), draw(st.integers(0, 30)), types, draw(st.integers(1, hidden))
    )
    return layer, graph, rng
