"""GatedGraph against the equations node by node, torch, finite differences, and itself."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gru_native
from helpers import assert_all_close, assert_close, assert_same_bits, assert_slopes, make_layer
from reference import Spec, gated_graph, gru
from reference.sigmoid import sigmoid

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


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 2e-4)])
@pytest.mark.parametrize(("aggregate", "bias", "reset_after"), OPTIONS)
@pytest.mark.parametrize("hidden", [1, 7, 17, 33])
def test_node_by_node(hidden, aggregate, bias, reset_after, dtype, tolerance):
    rng = np.random.default_rng(hidden)
    options = {"aggregate": aggregate, "bias": bias, "reset_after": reset_after}
    layer = make(hidden, 3, 2, dtype, **options)
    graph = random_graph(rng, 9, 20, 2, max(1, hidden - 2), dtype)
    h, tape = layer.forward(*graph)
    dh = rng.standard_normal(h.shape).astype(dtype)
    expected, gradients = expected_of(layer, graph, dh)
    assert h.dtype == dtype
    assert_close(h, expected, tolerance)
    assert_same_bits(layer(*graph), h)
    assert_all_close(all_gradients(layer.backward(tape, dh)), gradients, tolerance)


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


@given(case=calls())
@graph_settings
def test_random_graphs(case):
    layer, graph, rng = case
    h, tape = layer.forward(*graph)
    dh = rng.standard_normal(h.shape)
    expected, gradients = expected_of(layer, graph, dh)
    np.testing.assert_allclose(h, expected, rtol=0, atol=1e-12)
    for name, gradient in all_gradients(layer.backward(tape, dh)).items():
        np.testing.assert_allclose(gradient, gradients[name], rtol=1e-10, atol=1e-10, err_msg=name)


@given(case=calls())
@graph_settings
def test_dense_equals_sparse(case):
    layer, (x, edge_index, edge_type), rng = case
    h, tape = layer.forward(x, edge_index, edge_type)
    # Two graphs of one batch: the second has other annotations and no edges.
    other = rng.standard_normal(x.shape)
    a = adjacency_of(edge_index, edge_type, len(x), layer.num_edge_types)
    batch, matrices = np.stack([x, other]), np.stack([a, np.zeros_like(a)])
    dense, dense_tape = layer.forward(batch, adjacency=matrices)
    assert_same_bits(layer(batch, adjacency=matrices), dense)
    nothing = np.zeros((2, 0), int)
    np.testing.assert_allclose(dense[0], h, rtol=0, atol=1e-12)
    np.testing.assert_allclose(dense[1], layer(other, nothing), rtol=0, atol=1e-12)

    dh = rng.standard_normal(dense.shape)
    grads = layer.backward(dense_tape, dh)
    first = layer.backward(tape, dh[0])
    second = layer.backward(layer.forward(other, nothing)[1], dh[1])
    for i, alone in enumerate((first, second)):
        np.testing.assert_allclose(grads.annotations[i], alone.annotations, rtol=1e-11, atol=1e-12)
    for name, gradient in grads.weights.items():
        both = first.weights[name] + second.weights[name]
        np.testing.assert_allclose(gradient, both, rtol=1e-10, atol=1e-11, err_msg=name)


@pytest.mark.parametrize(("aggregate", "bias", "reset_after"), OPTIONS)
def test_slopes(aggregate, bias, reset_after):
    rng = np.random.default_rng(5)
    options = {"aggregate": aggregate, "bias": bias, "reset_after": reset_after}
    layer = make(6, 3, 2, **options)
    x, *edges = random_graph(rng, 7, 12, 2, 4)
    weights = layer.state_dict()
    h, tape = layer.forward(x, *edges)
    dh = rng.standard_normal(h.shape)
    gradients = all_gradients(layer.backward(tape, dh))

    def loss():
        layer.load_state_dict(weights)
        return np.sum(layer(x, *edges) * dh)

    assert_slopes(loss, {"annotations": x, **weights}, gradients, rng)


@pytest.mark.parametrize("aggregate", ["concat", "sum"])
def test_slopes_with_real_weights_on_edges(aggregate):
    rng = np.random.default_rng(6)
    layer = make(5, 2, 2, aggregate=aggregate)
    x, adjacency = rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 4, 16))
    weights = layer.state_dict()
    h, tape = layer.forward(x, adjacency=adjacency)
    dh = rng.standard_normal(h.shape)
    gradients = all_gradients(layer.backward(tape, dh))

    def loss():
        layer.load_state_dict(weights)
        return np.sum(layer(x, adjacency=adjacency) * dh)

    assert_slopes(loss, {"annotations": x, **weights}, gradients, rng)


@pytest.mark.parametrize("aggregate", ["concat", "sum"])
def test_matrix_form(aggregate):
    """T = [A_in (H W_in), A_out (H W_out)], then the update as printed on matrices."""
    rng = np.random.default_rng(8)
    layer = make(6, 2, aggregate=aggregate, bias=None)
    a, x = rng.standard_normal((5, 10)), rng.standard_normal((5, 6))
    w = layer.weights
    h = x
    for _ in range(2):
        parts = [a[:, :5] @ (h @ w["weight_edge"][0].T), a[:, 5:] @ (h @ w["weight_edge"][1].T)]
        T = np.concatenate(parts, axis=1) if aggregate == "concat" else parts[0] + parts[1]
        Wr, Wz, Wn = (block.T for block in np.split(w["weight_ih"], 3))
        Ur, Uz, Un = (block.T for block in np.split(w["weight_hh"], 3))
        br, bz, bn = np.split(w["bias_ih"] + w["bias_hh"], 3)
        R, Z = sigmoid(T @ Wr + h @ Ur + br), sigmoid(T @ Wz + h @ Uz + bz)
        h = (1 - Z) * np.tanh(T @ Wn + (R * h) @ Un + bn) + Z * h
    assert_close(layer(x[None], adjacency=a[None])[0], h, 1e-13)


def test_torch():
    """With torch's own cell, whose reset comes after the product."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(9)
    layer = make(10, 4, 2, reset_after=True)
    x, edge_index, edge_type = random_graph(rng, 8, 15, 2, 7)
    w = {name: torch.tensor(v, requires_grad=True) for name, v in layer.state_dict().items()}
    leaf = torch.tensor(x, requires_grad=True)
    h = torch.cat([leaf, torch.zeros(8, 3, dtype=torch.float64)], 1)
    for _ in range(4):
        m = torch.einsum("vi,koi->kvo", h, w["weight_edge"]) + w["bias_edge"][:, None]
        source, target, kind = map(torch.tensor, (*edge_index, edge_type))
        into = torch.zeros_like(h).index_add(0, target, m[kind, source])
        out = torch.zeros_like(h).index_add(0, source, m[kind + 2, target])
        h = torch.gru_cell(
            torch.cat([into, out], 1),
            h,
            *(w[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
        )
    dh = rng.standard_normal(h.shape)
    h.backward(torch.tensor(dh))
    ours, tape = layer.forward(x, edge_index, edge_type)
    assert_close(ours, h.detach().numpy(), 1e-12)
    expected = {"annotations": leaf.grad.numpy(), **{n: v.grad.numpy() for n, v in w.items()}}
    assert_all_close(all_gradients(layer.backward(tape, dh)), expected, 1e-11)


def test_the_papers_z_is_one_minus_ours():
    """h = (1 - z) h- + z n with W_z, U_z, b_z negated is the layer, to the last place."""
    rng = np.random.default_rng(10)
    layer = make(8, 3)
    x, edge_index, edge_type = random_graph(rng, 6, 9, size=8)
    negated = layer.state_dict()
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        negated[name][8:16] *= -1
    edges = triples(edge_index, edge_type)
    paper, _ = gated_graph.forward(
        negated, x, edges, 3, "concat", False, step=gated_graph.paper_step
    )
    house, _ = gated_graph.forward(layer.state_dict(), x, edges, 3, "concat", False)
    np.testing.assert_allclose(paper, house, rtol=0, atol=1e-15)
    np.testing.assert_allclose(layer(x, edge_index), paper, rtol=0, atol=2e-15)


def test_the_printed_expansion_is_not_the_gru():
    """At T = H = 0 without biases the GRU gives 0 and note 000's expansion 4 · ½ · tanh(½)."""
    rng = np.random.default_rng(11)
    H = 3
    layer = make(H, 1, bias=None)
    with layer.editing() as w:
        w["bias_ih"][...] = w["bias_hh"][...] = 0
    assert not layer(np.zeros((2, H)), [[0], [1]]).any()
    names = ("za", "ha", "ra", "zh", "rh", "h")
    zero, W = np.zeros((2, H)), {name: rng.standard_normal((H, H)) for name in names}
    np.testing.assert_allclose(gated_graph.printed_expansion(zero, zero, W), 0.924234, atol=5e-7)


@pytest.mark.parametrize("reset_after", [False, True])
def test_without_edges_it_is_a_gru_with_zero_input(reset_after):
    rng = np.random.default_rng(12)
    layer = make(9, 5, reset_after=reset_after)
    x = rng.standard_normal((4, 9))
    sequential = make_layer(Spec("gru" if reset_after else "gru_reset_before", 18, 9))
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    sequential.load_state_dict({f"{name}_l0": layer.weights[name] for name in names})
    _, last = sequential(np.zeros((5, 4, 18)), x[None])
    h = layer(x, np.zeros((2, 0), int))
    assert_same_bits(h, last[0])
    # One node among others that have edges keeps its own state.
    expected = x[0]
    weights = layer.state_dict()
    for _ in range(5):
        ((expected,), _) = gru.forward(weights, np.zeros(18), (expected,), reset_after)
    assert_close(layer(x, [[1, 2], [2, 3]])[0], expected, 1e-13)


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
        (TypeError, "bias is a int", (3, 1), {"bias": 1}),
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
