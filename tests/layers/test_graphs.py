"""GatedGraph against the equations node by node, torch, finite differences, and the papers."""

import numpy as np
import pytest
from hypothesis import given

from helpers import assert_all_close, assert_close, assert_same_bits, assert_slopes, make_layer
from random_graphs import (
    OPTIONS,
    adjacency_of,
    all_gradients,
    calls,
    expected_of,
    graph_settings,
    make,
    random_graph,
    triples,
)
from reference import Spec, gated_graph, gru
from reference.sigmoid import sigmoid


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
