"""Wrong arguments of a call: the error names the argument, and the layer is as it was before."""

import re

import numpy as np
import pytest

import gru_native
from helpers import assert_same_bits, assert_same_gradients

T, B, I, H = 5, 3, 10, 6  # noqa: E741 (the field's letters)
rng = np.random.default_rng(1)
X = rng.standard_normal((T, B, I)).astype(np.float32)
H0 = rng.standard_normal((2, B, H)).astype(np.float32)
C0 = rng.standard_normal((2, B, H)).astype(np.float32)
DY = rng.standard_normal((T, B, H)).astype(np.float32)


@pytest.fixture
def gru():
    yield from unharmed(gru_native.GRU(I, H, 2, seed=1), H0)


@pytest.fixture
def lstm():
    yield from unharmed(gru_native.LSTM(I, H, 2, seed=1), (H0, C0))


def unharmed(layer, state):
    """Lend the layer to a test; afterwards it must give the bits that it gave before."""
    y, _, tape = layer.forward(X, state)
    grads = layer.backward(tape, DY)
    yield layer
    assert_same_bits(layer(X, state)[0], y)
    assert_same_gradients(layer.backward(tape, DY), grads)


def names(argument, text=""):
    """A pattern: the argument as a word, and then the text, literally."""
    return rf"(?s)\b{argument}\b.*{re.escape(text)}"


BAD_SHAPES = {
    "rank_0": np.float32(1.0),
    "rank_1": X[0, 0],
    "rank_4": X[None],
    "width": X[:, :, :8],
    "width_unbatched": X[:, 0, :8],
    "no_width": X[:, :, :0],
    "no_steps": X[:0],
    "no_batch": X[:, :0],
    "no_steps_unbatched": X[:0, 0],
    "nothing": X[:0, :0, :0],
}


@pytest.mark.parametrize("x", BAD_SHAPES.values(), ids=BAD_SHAPES)
def test_shape_of_x(gru, x):
    shown = str(np.shape(x))
    with pytest.raises(ValueError, match=names("x", shown)):
        gru(x)
    with pytest.raises(ValueError, match=names("x", shown)):
        gru.forward(x)


def test_message_says_what_would_be_right(gru):
    expected = "x has shape (5, 3, 8); expected (seq_len, batch, input_size=10)"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}"):
        gru(X[:, :, :8])
    batch_first = gru_native.GRU(I, H, batch_first=True)
    expected = "x has shape (5, 3, 8); expected (batch, seq_len, input_size=10)"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}"):
        batch_first(X[:, :, :8])


WRONG_TYPES = {
    "object": X.astype(object),
    "complex": X.astype(np.complex64),
    "strings": X.astype(str),
    "dates": X.astype("M8[s]"),
    "record": np.zeros((T, B, I), [("re", np.float32)]),
    "none": None,
    "text": "x",
    "dictionary": {"x": 1},
}


@pytest.mark.parametrize("x", WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_type_of_x(gru, x):
    with pytest.raises(TypeError, match=names("x")):
        gru(x)


def test_ragged_list(gru):
    with pytest.raises((TypeError, ValueError), match=names("x")):
        gru([[1.0, 2.0], [3.0]])


@pytest.mark.parametrize(
    ("dtype", "other"), [(np.float32, np.float64), (np.float64, np.float32)], ids=["32", "64"]
)
def test_the_other_float_type_is_told_what_to_write(dtype, other):
    layer = gru_native.GRU(I, H, 2, dtype=dtype, seed=1)
    own = np.dtype(dtype).name
    advice = names("{}", "astype").format
    for call in (layer, layer.forward, layer.stream(batch_size=B)):
        with pytest.raises(TypeError, match=advice("x") + f".*{own}"):
            call(X.astype(other))
    x = X.astype(dtype)
    with pytest.raises(TypeError, match=advice("state") + f".*{own}"):
        layer(x, H0.astype(other))
    _, _, tape = layer.forward(x)
    with pytest.raises(TypeError, match=advice("dy") + f".*{own}"):
        layer.backward(tape, DY.astype(other))
    with pytest.raises(TypeError, match=advice("dstate") + f".*{own}"):
        layer.backward(tape, dstate=H0.astype(other))
    weights = {name: array.astype(other) for name, array in layer.state_dict().items()}
    with pytest.raises(TypeError, match=advice("weight_ih_l0") + f".*{own}"):
        layer.load_state_dict(weights)


CONVERTED = {
    "lists": X.tolist(),
    "float16": X.astype(np.float16),
    "integers": np.arange(T * B * I).reshape(T, B, I) - 40,
    "small_integers": np.arange(T * B * I, dtype=np.uint8).reshape(T, B, I),
    "integer_lists": [[[row] * I for row in range(B)]] * T,
    "float16_below_normal": np.full((T, B, I), 6e-8, np.float16),
}


@pytest.mark.parametrize("x", CONVERTED.values(), ids=CONVERTED)
def test_lists_integers_and_float16_are_converted(gru, x):
    expected, _ = gru(np.asarray(x).astype(np.float32))
    assert_same_bits(gru(x)[0], expected)


def test_every_array_argument_is_converted(gru):
    halves = [array.astype(np.float16) for array in (X, H0, DY, C0)]
    x, h0, dy, dstate = (array.astype(np.float32) for array in halves)
    _, _, tape = gru.forward(x, h0, lengths=np.array([5, 2, 3]))
    expected = gru.backward(tape, dy, dstate)
    for x, h0, dy, dstate in (halves, [array.tolist() for array in halves]):
        _, _, tape = gru.forward(x, h0, lengths=[5, 2, 3])
        assert_same_gradients(gru.backward(tape, dy, dstate), expected)


def test_the_other_byte_order(gru):
    """Converted or refused, but never misread."""
    expected, _ = gru(X)
    swapped = X.astype(X.dtype.newbyteorder())
    try:
        y, _ = gru(swapped)
    except TypeError as error:
        assert re.search(names("x"), str(error))  # noqa: PT017 (either is right)
    else:
        assert_same_bits(y, expected)


BAD_LENGTHS = {
    "negative": ([5, -1, 2], ValueError),
    "too_large": ([5, 6, 2], ValueError),
    "huge": (np.array([5, 2**63, 2], np.uint64), ValueError),
    "most_negative": (np.array([5, -(2**63), 2]), ValueError),
    "too_few": ([5, 2], ValueError),
    "too_many": ([5, 2, 2, 2], ValueError),
    "none_at_all": ([], (ValueError, TypeError)),
    "rank_0": (5, ValueError),
    "rank_2": ([[5, 2, 2]], ValueError),
    "floats": ([5.0, 2.0, 2.0], TypeError),
    "nan": ([5, 2, float("nan")], TypeError),
    "object": (np.array([5, 2, None]), TypeError),
    "strings": (["5", "2", "2"], TypeError),
    "complex": ([5, 2, 2j], TypeError),
}


@pytest.mark.parametrize(("lengths", "error"), BAD_LENGTHS.values(), ids=BAD_LENGTHS)
def test_lengths(gru, lengths, error):
    with pytest.raises(error, match=names("lengths")):
        gru(X, lengths=lengths)
    with pytest.raises(error, match=names("lengths")):
        gru.forward(X, H0, lengths=lengths)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint64])
def test_lengths_of_any_integer_type(gru, kind):
    lengths = [4, 0, 5]
    expected, _ = gru(X, lengths=lengths)
    assert_same_bits(gru(X, lengths=np.array(lengths, kind))[0], expected)


GRU_STATES = {
    "tuple": ((H0, C0), (TypeError, ValueError)),
    "layers": (H0[:1], ValueError),
    "batch": (H0[:, :2], ValueError),
    "width": (H0[:, :, :5], ValueError),
    "rank_2": (H0[:, 0], ValueError),
    "rank_4": (H0[None], ValueError),
    "object": (H0.astype(object), TypeError),
    "complex": (H0.astype(complex), TypeError),
    "text": ("zeros", TypeError),
}
LSTM_STATES = {
    "array": (H0, (TypeError, ValueError)),
    "both_in_one": (np.stack([H0, C0]), (TypeError, ValueError)),
    "one": ((H0,), (TypeError, ValueError)),
    "three": ((H0, C0, C0), (TypeError, ValueError)),
    "none_inside": ((H0, None), TypeError),
    "h_layers": ((H0[:1], C0), ValueError),
    "c_batch": ((H0, C0[:, :1]), ValueError),
    "c_width": ((H0, C0[:, :, :1]), ValueError),
    "object": ((H0, C0.astype(object)), TypeError),
    "number": (1.0, (TypeError, ValueError)),
}


@pytest.mark.parametrize(("state", "error"), GRU_STATES.values(), ids=GRU_STATES)
def test_state_of_a_gru(gru, state, error):
    with pytest.raises(error, match=names("state")):
        gru(X, state)
    _, _, tape = gru.forward(X)
    with pytest.raises(error, match=names("dstate")):
        gru.backward(tape, dstate=state)


@pytest.mark.parametrize(("state", "error"), LSTM_STATES.values(), ids=LSTM_STATES)
def test_state_of_an_lstm(lstm, state, error):
    with pytest.raises(error, match=names("state")):
        lstm(X, state)
    _, _, tape = lstm.forward(X)
    with pytest.raises(error, match=names("dstate")):
        lstm.backward(tape, dstate=state)


def test_states_of_an_lstm_with_projection():
    """h is as wide as the projection and c as wide as the cell: neither serves as the other."""
    layer = gru_native.LSTM(I, H, proj_size=4)
    h, c = np.zeros((1, B, 4), np.float32), np.zeros((1, B, H), np.float32)
    layer(X, (h, c))
    for state in ((c, c), (h, h), (c, h)):
        with pytest.raises(ValueError, match=names("state")):
            layer(X, state)


def test_rank_of_the_state_follows_x(gru):
    with pytest.raises(ValueError, match=names("state")):
        gru(X[:, 0], H0)
    with pytest.raises(ValueError, match=names("state")):
        gru(X, H0[:, 0])


BAD_DY = {
    "steps": (DY[:4], ValueError),
    "batch": (DY[:, :2], ValueError),
    "width": (DY[:, :, :5], ValueError),
    "rank": (DY[:, 0], ValueError),
    "object": (DY.astype(object), TypeError),
    "complex": (DY.astype(complex), TypeError),
}


@pytest.mark.parametrize(("dy", "error"), BAD_DY.values(), ids=BAD_DY)
def test_dy(gru, dy, error):
    _, _, tape = gru.forward(X)
    with pytest.raises(error, match=names("dy")):
        gru.backward(tape, dy)


def test_backward_from_nothing(gru):
    _, _, tape = gru.forward(X)
    with pytest.raises(ValueError, match=r"\bdy\b.*\bdstate\b"):
        gru.backward(tape)


def test_tape(gru, lstm):
    twin = gru_native.GRU(I, H, 2, seed=1)
    for other in (twin, lstm):
        _, _, tape = other.forward(X)
        with pytest.raises(ValueError, match=names("tape")):
            gru.backward(tape, DY)
    for other in (None, 1, X, (X,)):
        with pytest.raises(TypeError, match=names("tape")):
            gru.backward(other, DY)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: gru_native.LSTM(2, 3, 2, dropout=-1e-9), "dropout is -1e-09;"),
        (lambda: gru_native.LSTM(2, 3, cell_clip=-1e-9), "cell_clip is -1e-09;"),
        (lambda: gru_native.BatchNorm1d(3, eps=-1e-9), "eps is -1e-09;"),
        (lambda: gru_native.BatchNorm1d(3, momentum=1e300), "momentum is 1e+300;"),
        (lambda: gru_native.BatchNorm1d(3, momentum=1 + 2**-52), "momentum is 1.0000000000000002;"),
        (lambda: gru_native.optim.Adam(gru_native.Dense(2, 3), lr=-1e-9), "lr is -1e-09;"),
        (
            lambda: gru_native.losses.cross_entropy(np.zeros((1, 2)), [0], label_smoothing=-1e-9),
            "label_smoothing is -1e-09;",
        ),
    ],
)
def test_numbers_are_told_as_they_were_written(make, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        make()
