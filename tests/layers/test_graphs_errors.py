"""GatedGraph: arguments that are refused, and how errors call them."""

import numpy as np
import pytest

import gru_native
from random_graphs import make

X = np.zeros((4, 3))
EDGES = [[0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, [[0, 1], [1, 4]]), r"edge_index\[1, 1\] is 4; expected 0 to 3 \(nodes=4\)"),
        ((X, [[0, -1], [1, 2]]), r"edge_index\[0, 1\] is -1; expected 0 to 3"),
        ((X, EDGES, [0, 2]), r"edge_type\[1\] is 2; expected 0 to 1 \(num_edge_types=2\)"),
        ((X, EDGES, [-1, 0]), r"edge_type\[0\] is -1"),
        ((X, EDGES, [0]), r"edge_type has shape \(1,\); expected \(edges=2,\)"),
        ((X, [0, 1]), r"edge_index has shape \(2,\); expected \(source and target=2, edges\)"),
        ((X, np.zeros((3, 2), int)), r"edge_index has shape \(3, 2\)"),
        ((X[0], EDGES), r"annotations has shape \(3,\); expected \(nodes, A\)"),
        ((np.zeros((4, 6)), EDGES), r"annotations has shape \(4, 6\); .* hidden_size=5 columns"),
        ((np.zeros((4, 0)), EDGES), r"annotations has shape \(4, 0\)"),
        ((np.zeros((0, 3)), [[], []]), r"annotations has shape \(0, 3\); expected at least one"),
    ],
)
def test_values_are_refused(arguments, message):
    layer = make(5, 2, 2)
    for function in (layer, layer.forward):
        with pytest.raises(ValueError, match=message):
            function(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X.astype(np.float32), EDGES), "annotations has dtype float32; expected float64"),
        ((X, np.zeros((2, 1))), "edge_index is of dtype float64; expected whole numbers"),
        ((X, EDGES, [0.5, 1.0]), "edge_type is of dtype float64; expected whole numbers"),
        ((X, None), "edge_index"),
        (("no", EDGES), "annotations"),
    ],
)
def test_kinds_are_refused(arguments, message):
    with pytest.raises(TypeError, match=message):
        make(5, 2, 2)(*arguments)


def test_dense_arguments_are_refused():
    layer = make(5, 2, 2)
    x = X[None]
    with pytest.raises(ValueError, match=r"adjacency has shape \(1, 4, 8\); expected \(batch=1, n"):
        layer(x, adjacency=np.zeros((1, 4, 8)))
    with pytest.raises(ValueError, match=r"annotations has shape \(4, 3\); expected \(batch, node"):
        layer(X, adjacency=np.zeros((1, 4, 16)))
    with pytest.raises(TypeError, match="adjacency has dtype float32"):
        layer(x, adjacency=np.zeros((1, 4, 16), np.float32))
    with pytest.raises(TypeError, match="edge_index and adjacency are both None"):
        layer(x)


@pytest.mark.parametrize("edges", [{"edge_index": EDGES}, {"edge_type": [0, 1]}], ids=str)
def test_lists_of_edges_beside_matrices_are_refused(edges):
    layer = make(5, 2, 2)
    for function in (layer, layer.forward):
        with pytest.raises(TypeError, match=f"{next(iter(edges))} was given with adjacency"):
            function(X[None], **edges, adjacency=np.zeros((1, 4, 16)))


def test_backward_arguments_are_refused():
    layer = make(5, 2, 2)
    tape = layer.forward(X, EDGES)[1]
    with pytest.raises(ValueError, match=r"dh has shape \(4, 3\); expected \(nodes=4, hidden_size"):
        layer.backward(tape, X)
    with pytest.raises(ValueError, match="tape was made by another layer"):
        make(5, 2, 2).backward(tape, np.zeros((4, 5)))
    with pytest.raises(ValueError, match="tape was made by a layer of another dtype"):
        make(5, 2, 2, np.float32).backward(tape, np.zeros((4, 5), np.float32))
    with pytest.raises(TypeError, match="tape is a str"):
        layer.backward("tape", np.zeros((4, 5)))


@pytest.mark.parametrize(
    ("error", "message", "arguments", "options"),
    [
        (ValueError, "hidden_size is 0", (0, 1), {}),
        (ValueError, "num_steps is 0", (3, 0), {}),
        (ValueError, "num_edge_types is -1", (3, 1, -1), {}),
        (
            ValueError,
            'aggregate is "mean"; expected "concat" or "sum"',
            (3, 1),
            {"aggregate": "mean"},
        ),
        (ValueError, 'bias is "both"; expected "edge", "node" or None', (3, 1), {"bias": "both"}),
        (TypeError, "bias is an int", (3, 1), {"bias": 1}),
        (TypeError, "aggregate is a NoneType", (3, 1), {"aggregate": None}),
        (ValueError, "larger than memory", (2**40, 1), {}),
        (ValueError, "dtype is int64", (3, 1), {"dtype": np.int64}),
    ],
)
def test_construction_is_refused(error, message, arguments, options):
    with pytest.raises(error, match=message):
        gru_native.GatedGraph(*arguments, **options)


def test_more_steps_than_memory_are_refused():
    with pytest.raises(ValueError, match="larger than memory"):
        make(3, 2**60)(X, EDGES)
