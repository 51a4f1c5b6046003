"""NodeScores and GraphSum against their equations, finite differences, and themselves."""

import numpy as np
import pytest

import gru_native
from helpers import assert_close, assert_same_bits, assert_slopes
from reference.sigmoid import sigmoid

SIZES = [(1, 1, 1), (7, 3, 5), (17, 2, 33)]  # hidden, annotation, output


def make(kind, hidden, annotation, output, dtype=np.float64):
    return kind(hidden, annotation, output, dtype=dtype, seed=1)


def nodes(rng, count, hidden, annotation, dtype=np.float64):
    shapes = ((count, hidden), (count, annotation))
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def both(readout, h, x):
    z = np.concatenate([h, x], axis=1).astype(np.float64)
    w = readout.weights
    return [z @ w[f"weight_{k}"].T.astype(np.float64) + w[f"bias_{k}"] for k in "fg"]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("sizes", SIZES)
def test_equations(sizes, dtype, tolerance):
    rng = np.random.default_rng(sizes[0])
    h, x = nodes(rng, 9, *sizes[:2], dtype)
    scores = make(gru_native.NodeScores, *sizes, dtype)
    f, g = both(scores, h, x)
    assert_close(scores(h, x), f * sigmoid(g), tolerance)

    total = make(gru_native.GraphSum, *sizes, dtype)
    f, g = both(total, h, x)
    p = sigmoid(g) * np.tanh(f)
    graph = np.array([2, 0, 0, 3, 2, 2, 0, 3, 0])
    expected = np.tanh([p[graph == k].sum(axis=0) for k in range(5)])
    y = total(h, x, graph, 5)
    assert y.dtype == dtype
    assert_close(y, expected, tolerance)
    assert not y[[1, 4]].any()
    assert_same_bits(total(h, x, graph), y[:4])
    assert_close(total(h, x), np.tanh(p.sum(axis=0, keepdims=True)), tolerance)
    # The bits of a graph alone.
    assert_same_bits(total(h[graph == 2], x[graph == 2])[0], y[2])


@pytest.mark.parametrize("kind", [gru_native.NodeScores, gru_native.GraphSum])
@pytest.mark.parametrize("sizes", SIZES)
def test_slopes(kind, sizes):
    rng = np.random.default_rng(2)
    readout = make(kind, *sizes)
    h, x = nodes(rng, 8, *sizes[:2])
    options = ([0, 2, 2, 1, 0, 1, 1, 2],) if kind is gru_native.GraphSum else ()
    weights = readout.state_dict()
    y, tape = readout.forward(h, x, *options)
    dy = rng.standard_normal(y.shape)
    grads = readout.backward(tape, dy)
    gradients = {"h": grads.h, "annotations": grads.annotations, **grads.weights}

    def loss():
        readout.load_state_dict(weights)
        return np.sum(readout(h, x, *options) * dy)

    assert_slopes(loss, {"h": h, "annotations": x, **weights}, gradients, rng)
    assert_same_bits(readout.backward(tape, dy).h, grads.h)  # once more


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [gru_native.NodeScores, gru_native.GraphSum])
def test_any_number_of_threads(kind, dtype, threads):
    rng = np.random.default_rng(3)
    readout = make(kind, 60, 10, 70, dtype)
    h, x = nodes(rng, 300, 60, 10, dtype)
    options = (rng.integers(0, 9, 300), 9) if kind is gru_native.GraphSum else ()
    results = []
    for count in (1, 2, 3, 5):
        threads(count)
        y, tape = readout.forward(h, x, *options)
        grads = readout.backward(tape, (y + 1).astype(dtype))
        results.append({"y": y, "h": grads.h, "x": grads.annotations, **grads.weights})
    for result in results[1:]:
        for name, array in result.items():
            assert_same_bits(array, results[0][name], name)


def test_errors():
    scores = make(gru_native.NodeScores, 4, 2, 1)
    total = make(gru_native.GraphSum, 4, 2, 3)
    h, x = np.zeros((5, 4)), np.zeros((5, 2))
    with pytest.raises(
        ValueError, match=r"h has shape \(5, 2\); expected \(nodes, hidden_size=4\)"
    ):
        scores(x, x)
    with pytest.raises(
        ValueError, match=r"annotations has shape \(4, 2\); expected \(nodes=5, ann"
    ):
        scores(h, x[:4])
    with pytest.raises(ValueError, match="h has 0 nodes"):
        scores(h[:0], x[:0])
    with pytest.raises(ValueError, match=r"graph\[1\] is 2; expected 0 to 1 \(num_graphs=2\)"):
        total(h, x, [0, 2, 0, 0, 0], 2)
    with pytest.raises(ValueError, match=r"graph\[4\] is -1"):
        total(h, x, [0, 2, 0, 0, -1])
    with pytest.raises(ValueError, match="num_graphs is 0"):
        total(h, x, None, 0)
    with pytest.raises(ValueError, match=r"graph has shape \(2,\); expected \(nodes=5,\)"):
        total(h, x, [0, 1])
    with pytest.raises(TypeError, match="graph is of dtype float64"):
        total(h, x, np.zeros(5))
    with pytest.raises(TypeError, match="h has dtype float32"):
        total(h.astype(np.float32), x)
    tape = total.forward(h, x)[1]
    with pytest.raises(
        ValueError, match=r"dy has shape \(5, 3\); expected \(num_graphs=1, output_s"
    ):
        total.backward(tape, np.zeros((5, 3)))
    with pytest.raises(ValueError, match="tape was made by another layer"):
        scores.backward(tape, np.zeros((5, 1)))
    with pytest.raises(TypeError, match="tape is an int"):
        total.backward(3, np.zeros((1, 3)))
    for sizes, name in (((0, 1, 1), "hidden"), ((1, 0, 1), "annotation"), ((1, 1, 0), "output")):
        with pytest.raises(ValueError, match=f"{name}_size is 0"):
            gru_native.GraphSum(*sizes)
    assert total.num_parameters == 2 * (3 * 6 + 3)
