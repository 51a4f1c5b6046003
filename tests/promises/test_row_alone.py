"""A row by itself, whose steps have kernels of their own, has the bits that it has in a batch."""

import numpy as np
import pytest

import gru_native
from helpers import Case, assert_same_bits, each, make_layer, random_case
from reference import Spec

LONG = 600  # steps of the smallest layer: more than a stream's window


def case_of(cell, input_size, hidden_size, seq_len=9, **options) -> Case:
    spec = Spec(cell, input_size, hidden_size, **options)
    return random_case(spec, np.random.default_rng(7), seq_len=seq_len, batch=3)


def row_of(state, row):
    """The state of one row of the batch."""
    return each(lambda part: np.ascontiguousarray(part[:, [row]]), state)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden_size", [1, 3, 8, 15, 16, 17, 20, 40, 64, 101])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_layers_and_streams(cell, hidden_size, dtype):
    case = case_of(cell, 1, hidden_size, LONG if hidden_size == 1 else 9).cast(dtype)
    layer = make_layer(case.spec, case.weights, dtype=dtype)
    for state in (case.state, None):
        y, _ = layer(case.x, state)
        for row in range(3):
            x = np.ascontiguousarray(case.x[:, [row]])
            alone = None if state is None else row_of(state, row)
            assert_same_bits(layer(x, alone)[0], y[:, [row]])
            for at_once in (1, 4, len(x)):
                stream = layer.stream()
                if alone is not None:
                    stream.state = alone
                made = [stream(x[t : t + at_once]) for t in range(0, len(x), at_once)]
                assert_same_bits(np.concatenate(made), y[:, [row]])


@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize(
    ("input_size", "hidden_size"), [(30, 5), (40, 16), (3, 29), (5, 5), (40, 45), (17, 33)]
)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_few_bits(cell, input_size, hidden_size, precision):
    """Small matrices may be floats in a layer whose others are not."""
    case = case_of(cell, input_size, hidden_size).cast(np.float32)
    layer = make_layer(case.spec, case.weights, dtype=np.float32)
    few = gru_native.Chain([layer.quantize(precision), gru_native.Dense(hidden_size, 3, seed=1)])
    exact = gru_native.Chain([layer, few.blocks[1]])
    for row in range(3):
        x = np.ascontiguousarray(case.x[:, [row]])
        y = few(x)[0]
        np.testing.assert_allclose(y, exact(x)[0], atol=0.05)
        assert_same_bits(few(case.x)[0][:, [row]], y)
        stream = few.stream()
        assert_same_bits(np.concatenate([stream(step[None]) for step in x]), y)


@pytest.mark.parametrize("input_size", [1, 16, 17])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_stacks_of_two_directions(cell, input_size):
    case = case_of(cell, input_size, 12, num_layers=2, bidirectional=True).cast(np.float32)
    layer = make_layer(case.spec, case.weights, dtype=np.float32)
    y, _ = layer(case.x, case.state)
    x, state = np.ascontiguousarray(case.x[:, [1]]), row_of(case.state, 1)
    assert_same_bits(layer(x, state)[0], y[:, [1]])
    mask = np.ones((len(x), 1), bool)
    mask[[2, 5]] = False
    lengths = np.array([len(x) - 2])
    kept = np.delete(x, [2, 5], axis=0)
    y_kept = layer(kept, state)[0]
    assert_same_bits(layer(x, state, mask=mask)[0][mask[:, 0]], y_kept)
    shorter = layer(x, state, lengths=lengths)[0]
    assert_same_bits(shorter[:-2], layer(x[:-2], state)[0])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_chains_with_dense_heads(cell):
    case = case_of(cell, 1, 20, LONG, num_layers=2).cast(np.float32)
    layer = make_layer(case.spec, case.weights, dtype=np.float32)
    rng = np.random.default_rng(3)
    head = gru_native.Dense(20, 3, activation="tanh", seed=int(rng.integers(100)))
    chain = gru_native.Chain([layer, head, gru_native.Dense(3, 1, seed=5)])
    y, _ = chain(case.x)
    x = np.ascontiguousarray(case.x[:, [2]])
    for at_once in (1, 64, LONG):
        stream = chain.stream()
        made = [stream(x[t : t + at_once]) for t in range(0, LONG, at_once)]
        assert_same_bits(np.concatenate(made), y[:, [2]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("outputs", [1, 2, 16, 17])
@pytest.mark.parametrize("hidden_size", [1, 2, 3, 8, 13, 16, 40])
def test_heads_of_few_outputs(hidden_size, outputs, dtype):
    """Their sums have an order of their own, in streams, batches, training and by themselves."""
    case = case_of("lstm", 1, hidden_size).cast(dtype)
    layer = make_layer(case.spec, case.weights, dtype=dtype)
    head = gru_native.Dense(hidden_size, outputs, activation="relu", dtype=dtype, seed=2)
    chain = gru_native.Chain([layer, head])
    y, _ = chain(case.x)
    h, _ = layer(case.x)
    w, b = head.weights["weight"], head.weights["bias"]
    expected = np.maximum(h.astype(np.float64) @ w.T.astype(np.float64) + b, 0)
    np.testing.assert_allclose(y, expected, atol=2e-6 if dtype == np.float32 else 1e-14)
    assert_same_bits(head(h), y)
    assert_same_bits(head.forward(h)[0], y)
    assert_same_bits(chain.stream(3)(case.x), y)
    for row in range(3):
        x = np.ascontiguousarray(case.x[:, [row]])
        for at_once in (1, 4, len(x)):
            stream = chain.stream()
            made = [stream(x[t : t + at_once]) for t in range(0, len(x), at_once)]
            assert_same_bits(np.concatenate(made), y[:, [row]])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_weights_that_are_not_finite_show_at_the_first_step(cell):
    case = case_of(cell, 1, 20).cast(np.float32)
    layer = make_layer(case.spec, case.weights, dtype=np.float32)
    weights = layer.state_dict()
    weights["weight_hh_l0"][3, 4] = np.inf
    layer.load_state_dict(weights)
    assert np.isnan(layer(case.x[:, :1])[0][0]).any()
