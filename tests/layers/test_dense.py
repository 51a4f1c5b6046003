"""gru_native.Dense against NumPy, and gru_native.Chain against its blocks and differences."""

import numpy as np
import pytest

import gru_native
from gru_native import GRU, LSTM, RNN, Chain, Dense
from helpers import assert_close, assert_same_bits, assert_same_state, assert_slopes
from reference.functions import ROW_ACTIVATIONS

FUNCTIONS = {
    "identity": lambda a: a,
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "relu": lambda a: np.maximum(a, 0),
    **ROW_ACTIVATIONS,
}


def numbers(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (3, 7), (4, 3, 7)])
def test_dense_forward(activation, bias, shape):
    dense = Dense(7, 5, bias=bias, activation=activation, dtype=np.float64, seed=1)
    x = numbers(*shape)
    a = x @ dense.weights["weight"].T + (dense.weights["bias"] if bias else 0)
    assert_close(dense(x), FUNCTIONS[activation](a), 1e-14)
    assert_same_bits(dense.forward(x)[0], dense(x))
    assert dense.num_parameters == 35 + 5 * bias


@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "log_softmax"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_dense_lengths(batch_first, activation):
    dense = Dense(3, 4, activation=activation, batch_first=batch_first, seed=1)
    x = numbers(5, 2, 3, dtype=np.float32)
    expected = dense(x)
    expected[2:, 0] = 0
    swap = (lambda a: np.ascontiguousarray(a.swapaxes(0, 1))) if batch_first else (lambda a: a)
    assert_same_bits(swap(dense(swap(x), lengths=[2, 5])), expected)
    y, tape = dense.forward(swap(x), lengths=[2, 5])
    assert_same_bits(swap(y), expected)
    dx = dense.backward(tape, swap(numbers(5, 2, 4, dtype=np.float32))).x
    assert not swap(dx)[2:, 0].any()
    assert swap(dx)[:, 1].all()


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_dense_gradients(activation):
    dense = Dense(6, 3, activation=activation, dtype=np.float64, seed=2)
    x, dy = numbers(4, 2, 6), numbers(4, 2, 3, seed=1)
    _, tape = dense.forward(x, lengths=[4, 1])
    kept = {name: w.copy() for name, w in dense.weights.items()}
    grads = dense.backward(tape, dy)
    x_before = x.copy()
    x += 1  # the tape has copies of all it needs
    with dense.editing() as w:
        w["weight"] *= 2
    again = dense.backward(tape, dy)
    for name in grads.weights:
        assert_same_bits(again.weights[name], grads.weights[name])
    assert_same_bits(again.x, grads.x)
    arrays = {"x": x_before, **kept}

    def loss():
        dense.load_state_dict(kept)
        return float((dense(x_before, lengths=[4, 1]) * dy).sum())

    assert_slopes(loss, arrays, {"x": grads.x, **grads.weights}, np.random.default_rng(5))


DTYPES = {np.float32: 1e-5, np.float64: 1e-12}


def sums_of(dense, x):
    """W x + b with the layer's own rounding."""
    plain = Dense(dense.input_size, dense.output_size, bias=dense.bias, dtype=dense.dtype)
    plain.load_state_dict(dense.state_dict())
    return plain(x)


@pytest.mark.parametrize("outputs", [1, 2, 7, 8, 9, 16, 33, 1000])
@pytest.mark.parametrize("activation", ROW_ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_of_a_row(dtype, activation, outputs):
    """Where e^a would overflow, too; gradients by the matrix of all slopes."""
    dense = Dense(5, outputs, activation=activation, dtype=dtype, seed=1)
    x, dy = numbers(3, 4, 5, dtype=dtype), numbers(3, 4, outputs, seed=3, dtype=dtype)
    for times in (1000, 1):
        y, tape = dense.forward(times * x)
        a = sums_of(dense, times * x).astype(np.float64)
        expected = ROW_ACTIVATIONS[activation](a)
        small = np.finfo(dtype).tiny if activation == "softmax" else DTYPES[dtype]
        np.testing.assert_allclose(y, expected, DTYPES[dtype], small)

    p = ROW_ACTIVATIONS["softmax"](a)
    slopes = np.eye(outputs) - p[..., None, :]  # of log y_i by a_j
    da = np.einsum("tbi,tbij->tbj", dy * p if activation == "softmax" else dy, slopes)
    gradients = dense.backward(tape, dy)
    assert_close(gradients.x, da @ dense.weights["weight"], DTYPES[dtype])
    assert_close(gradients.weights["bias"], da.sum((0, 1)), DTYPES[dtype])
    assert_close(gradients.weights["weight"], np.einsum("tbj,tbi->ji", da, x), DTYPES[dtype])


@pytest.mark.parametrize("activation", ROW_ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_of_a_row_are_those_of_torch(dtype, activation):
    """Of infinities, too: they come in by the bias, as 0 times infinity is NaN."""
    torch = pytest.importorskip("torch")
    inf, nan = np.inf, np.nan
    rows = [[-inf, 1, 2], [inf, 1, 2], [-inf] * 3, [inf, -inf, 0], [1, 2, nan], [9e4, 0, -9e4]]
    x = numbers(4, 2, dtype=dtype)
    for bias in np.array(rows, dtype):
        dense = Dense(2, 3, activation=activation, dtype=dtype, seed=1)
        with dense.editing() as w:
            w["bias"][:] = bias
        a = torch.from_numpy(sums_of(dense, x))
        expected = getattr(torch.nn.functional, activation)(a, -1).numpy()
        np.testing.assert_allclose(dense(x), expected, DTYPES[dtype], np.finfo(dtype).tiny)


@pytest.mark.parametrize("activation", ROW_ACTIVATIONS)
def test_a_nan_stays_within_its_row(activation):
    dense = Dense(3, 9, activation=activation, seed=1)
    x, dy = numbers(4, 5, 3, dtype=np.float32), numbers(4, 5, 9, seed=1, dtype=np.float32)
    expected, tape = dense.forward(x)
    dx = dense.backward(tape, dy).x
    x[2, 1, 0] = np.nan
    y, tape = dense.forward(x)
    others = np.ones((4, 5), bool)
    others[2, 1] = False
    for actual, wanted in ((y, expected), (dense.backward(tape, dy).x, dx)):
        assert np.isnan(actual[2, 1]).all()
        assert_same_bits(actual[others], wanted[others])


BAD_DENSE = [
    (lambda: Dense(0, 3), ValueError, "input_size is 0"),
    (lambda: Dense(3, 2.5), TypeError, "output_size"),
    (lambda: Dense(3, 2, activation="gelu"), ValueError, "activation is .gelu"),
    (lambda: Dense(3, 2, activation="gelu"), ValueError, 'expected .*"softmax" or "log_softmax"'),
    (lambda: Dense(3, 2, activation=1), TypeError, "activation"),
    (lambda: Dense(3, 2, bias=1), TypeError, "bias"),
    (lambda: Dense(3, 2, batch_first=1), TypeError, "batch_first"),
    (lambda: Dense(3, 2, dtype=np.int32), ValueError, "dtype"),
    (lambda: Dense(3, 2)(numbers(4, dtype=np.float32)), ValueError, r"x has shape \(4,\)"),
    (lambda: Dense(3, 2)(np.float32(1)), ValueError, "x has shape"),
    (lambda: Dense(3, 2)(numbers(3)), TypeError, "x has dtype float64"),
    (lambda: Dense(3, 2)(np.zeros((0, 3), np.float32)), ValueError, "at least one row"),
    (lambda: Dense(3, 2)(np.zeros((4, 3), np.float32), lengths=[2]), ValueError, "x has shape"),
    (lambda: Dense(3, 2)(np.zeros((4, 1, 3), np.float32), lengths=[5]), ValueError, "lengths"),
    (lambda: Dense(3, 2).backward(None, np.zeros(2)), TypeError, "tape is a NoneType"),
    (
        lambda: Dense(3, 2).backward(Dense(3, 2).forward(np.zeros(3, np.float32))[1], [0, 0]),
        ValueError,
        "another layer",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), BAD_DENSE)
def test_bad_dense(call, error, text):
    with pytest.raises(error, match=text):
        call()


def chain(dtype=np.float64, **options):
    return Chain(
        [
            Dense(3, 5, activation="tanh", dtype=dtype, seed=1, **options),
            LSTM(5, 8, 2, proj_size=4, dtype=dtype, seed=2, **options),
            GRU(4, 6, dtype=dtype, seed=3, **options),
            Dense(6, 2, activation="sigmoid", dtype=dtype, seed=4, **options),
        ]
    )


def some_state(batch, dtype=np.float64):
    h, c = numbers(2, batch, 4, seed=6, dtype=dtype), numbers(2, batch, 8, seed=7, dtype=dtype)
    return (h, c), numbers(1, batch, 6, seed=8, dtype=dtype)


def test_chain_is_its_blocks():
    model, x, state = chain(), numbers(5, 2, 3), some_state(2)
    y, final = model(x, state)
    first, lstm, gru, last = model.blocks
    between, lstm_state = lstm(first(x), state[0])
    between, gru_state = gru(between, state[1])
    assert_same_bits(y, last(between))
    assert_same_state(final[0], lstm_state)
    assert_same_state(final[1], gru_state)
    again, same, _ = model.forward(x, state)
    assert_same_bits(again, y)
    assert_same_state(same[0], lstm_state)


def test_chain_on_two_projections():
    lstm = LSTM(5, 8, proj_size=4, nonrecurrent_proj_size=3, bidirectional=True, seed=1)
    head, x = Dense(14, 2, seed=2), numbers(5, 2, 5, dtype=np.float32)
    assert_same_bits(Chain([lstm, head])(x)[0], head(lstm(x)[0]))
    with pytest.raises(ValueError, match=r"blocks\[1\] has input_size 8; expected 14"):
        Chain([lstm, Dense(8, 2)])


@pytest.mark.parametrize("batch_first", [False, True])
def test_chain_lengths(batch_first):
    model, x = chain(batch_first=batch_first), numbers(2, 5, 3)
    if not batch_first:
        x = x.swapaxes(0, 1)
    y, state = model(x, lengths=[3, 5])
    alone, alone_state = model(x[:1, :3] if batch_first else x[:3, :1])
    rows = y if batch_first else y.swapaxes(0, 1)
    assert_same_bits(np.ascontiguousarray(rows[0, :3]), alone.reshape(3, 2))
    assert not rows[0, 3:].any()
    assert rows[1, 3:].all()
    assert_same_bits(np.ascontiguousarray(state[1][:, :1]), alone_state[1])


def test_chain_gradients():
    model, x, state = chain(), numbers(5, 2, 3), some_state(2)
    dy, dstate = numbers(5, 2, 2, seed=9), (None, numbers(1, 2, 6, seed=10))
    weights = model.state_dict()
    *_, tape = model.forward(x, state, lengths=[2, 5])
    grads = model.backward(tape, dy, dstate)
    assert list(grads.weights) == list(weights)

    def loss():
        model.load_state_dict(weights)
        y, final = model(x, state, lengths=[2, 5])
        return float((y * dy).sum() + (final[1] * dstate[1]).sum())

    arrays = {"x": x, "h": state[0][0], "c": state[0][1], "gru": state[1], **weights}
    (dh, dc), dgru = grads.state
    expected = {"x": grads.x, "h": dh, "c": dc, "gru": dgru, **grads.weights}
    assert_slopes(loss, arrays, expected, np.random.default_rng(11))


@pytest.mark.parametrize("batch", [1, 3])
def test_chain_stream(batch):
    model = chain(np.float32)
    x, state = numbers(300, batch, 3, dtype=np.float32), some_state(batch, np.float32)
    y, final = model(x, state)
    stream = model.stream(batch)
    stream.state = state
    assert_same_bits(stream(x[:1]), y[:1])
    kept = stream.state
    assert_same_bits(stream(x[1:]), y[1:])
    for actual, expected in zip(stream.state, final, strict=True):
        assert_same_state(actual, expected)
    stream.state = kept
    assert_same_bits(stream(x[1:]), y[1:])
    stream.state = None
    assert_same_bits(stream(x), model(x)[0])


@pytest.mark.parametrize("batch_first", [False, True])
def test_stream_of_a_dense_layer_alone(batch_first):
    model = Chain([Dense(3, 2, batch_first=batch_first, seed=1)])
    assert model.batch_first is batch_first
    x = numbers(4, 3, dtype=np.float32)
    stream = model.stream()
    assert stream.state == ()
    assert_same_bits(stream(x), model.blocks[0](x))
    x = numbers(5, 2, 3, dtype=np.float32)  # 5 sequences of 2 steps, or 2 of 5
    assert_same_bits(model.stream(5 if batch_first else 2)(x), model(x)[0])
    with pytest.raises(ValueError, match=r"x has shape \(5, 2, 3\); expected"):
        model.stream(2 if batch_first else 5)(x)


def test_chain_weights():
    model, other = chain(), chain()
    names = list(model.weights)
    assert names[0] == "0.weight"
    assert "1.weight_hr_l1" in names
    assert model.num_parameters == sum(block.num_parameters for block in model.blocks)
    with other.editing() as w:
        w["3.bias"] += 1
    assert not np.array_equal(other.weights["3.bias"], model.weights["3.bias"])
    other.load_state_dict(model.state_dict())
    x = numbers(5, 2, 3)
    assert_same_bits(other(x)[0], model(x)[0])
    with pytest.raises(ValueError, match="read-only"):
        model.weights["0.bias"][0] = 1


BAD_CHAINS = [
    (lambda: Chain([]), ValueError, "empty"),
    (lambda: Chain([GRU(2, 3), 7]), TypeError, r"blocks\[1\] is an int"),
    (
        lambda: Chain([GRU(2, 3), GRU(2, 3)]),
        ValueError,
        r"blocks\[1\] has input_size 2; expected 3",
    ),
    (lambda: Chain([GRU(2, 3), Dense(3, 1, dtype=np.float64)]), ValueError, "dtype float64"),
    (lambda: Chain([GRU(2, 3), RNN(3, 1, batch_first=True)]), ValueError, "batch_first"),
    (
        lambda: Chain([GRU(2, 3, batch_first=True), Dense(3, 1)]),
        ValueError,
        r"blocks\[1\] has batch_first=False; expected True",
    ),
    (lambda: chain()(numbers(5, 2, 4)), ValueError, r"blocks\[0\]: x has shape"),
    (lambda: chain()(numbers(5, 2, 3), (None,)), ValueError, "state has 1 entries; expected 2"),
    (lambda: chain()(numbers(5, 2, 3), numbers(2)), TypeError, "state is an ndarray"),
    (lambda: chain()(numbers(5, 2, 3), (None, numbers(3))), ValueError, r"blocks\[2\]: state"),
    (lambda: chain().backward(None, None), TypeError, "tape is a NoneType"),
    (lambda: Chain([GRU(2, 3, bidirectional=True)]).stream(), ValueError, "bidirectional"),
    (lambda: setattr(chain().stream(), "state", (None,)), TypeError, "a tuple with 2 states"),
    (lambda: setattr(chain().stream(), "state", (None, numbers(2))), ValueError, r"state\[1\]"),
]


@pytest.mark.parametrize(("call", "error", "text"), BAD_CHAINS)
def test_bad_chains(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_bidirectional_layers_in_a_chain():
    model = Chain([GRU(2, 3, bidirectional=True, seed=1), Dense(6, 2, seed=2)])
    x = numbers(4, 2, 2, dtype=np.float32)
    y, _ = model(x)
    assert_same_bits(y, model.blocks[1](model.blocks[0](x)[0]))
    assert "Dense(6, 2, dtype=float32)" in repr(model)
    assert gru_native.Chain is Chain


def test_two_projections_in_a_chain():
    """Both go out: r and p side by side."""
    lstm = LSTM(2, 8, proj_size=3, nonrecurrent_proj_size=2, bidirectional=True, seed=1)
    model = Chain([lstm, Dense(10, 2, seed=2)])
    x = numbers(4, 2, 2, dtype=np.float32)
    assert_same_bits(model(x)[0], model.blocks[1](lstm(x)[0]))
    assert Chain([lstm]).output_size == 10
