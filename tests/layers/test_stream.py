"""layer.stream(): a state that walks along, for x that arrives step by step."""

import numpy as np
import pytest

import gru_native
from helpers import (
    assert_same_bits,
    assert_same_state,
    each,
    make_layer,
    parts,
    random_case,
    spec_of,
)
from reference import Spec

SPECS = [
    Spec("rnn_tanh", 5, 17, 2),
    Spec("lstm", 5, 17, 2),
    Spec("lstm", 5, 17, 2, proj_size=6),
    Spec("gru", 5, 17, 2),
    Spec("gru_reset_before", 5, 17, 2),
    spec_of("lstm_variant", 5, 17, 2),
    spec_of("lstm_two_proj", 5, 17, 2),
    spec_of("lstm_gate_recurrence", 5, 17, 2),
    spec_of("lstm_layer_norm", 5, 17, 2),
    spec_of("gru_layer_norm", 5, 17, 2),
    spec_of("gru_logistic", 5, 17, 2),
]


@pytest.fixture(params=SPECS, ids=lambda spec: f"{spec.cell}{spec.proj_size or ''}")
def spec(request):
    return request.param


@pytest.fixture
def alone(spec):
    return random_case(spec, np.random.default_rng(1), seq_len=6, batch=1).cast(np.float32)


@pytest.fixture
def batch(spec):
    return random_case(spec, np.random.default_rng(2), seq_len=6, batch=3).cast(np.float32)


def layer_of(case, **options):
    return make_layer(case.spec, case.weights, dtype=np.float32, **options)


def test_steps_and_chunks_of_one_sequence(alone):
    layer = layer_of(alone)
    y, _ = layer(alone.x)
    stream = layer.stream()
    assert_same_bits(stream(alone.x[0, 0]), y[0, 0])  # (input,)
    assert_same_bits(stream(alone.x[1:3, 0]), y[1:3, 0])  # (seq, input)
    assert_same_bits(stream(alone.x[3:], out=None), y[3:])  # (seq, batch, input)


def test_steps_and_chunks_of_a_batch(batch):
    layer = layer_of(batch)
    y, state = layer(batch.x)
    stream = layer.stream(batch_size=3)
    assert_same_bits(stream(batch.x[0]), y[0])  # (batch, input)
    assert_same_bits(stream(batch.x[1:]), y[1:])  # (seq, batch, input)
    assert_same_state(stream.state, state)


def test_chunks_of_a_batch_first_layer(batch):
    layer = layer_of(batch, batch_first=True)
    x = np.ascontiguousarray(batch.x.swapaxes(0, 1))
    y, _ = layer(x)
    stream = layer.stream(batch_size=3)
    assert_same_bits(stream(x[:, 0]), y[:, 0])
    assert_same_bits(stream(x[:, 1:]), y[:, 1:])


def test_out_is_written_in_place(batch):
    layer = layer_of(batch)
    y, _ = layer(batch.x)
    stream = layer.stream(batch_size=3)
    out = np.full_like(y[0], np.nan)
    returned = stream(batch.x[0], out=out)
    assert_same_bits(out, y[0])
    assert np.shares_memory(returned, out)
    chunk = np.full_like(y[1:], np.nan)
    stream(batch.x[1:], out=chunk)
    assert_same_bits(chunk, y[1:])


def test_without_out_each_result_is_new(alone):
    stream = layer_of(alone).stream()
    first = stream(alone.x[0, 0])
    copy = first.copy()
    second = stream(alone.x[1, 0])
    assert not np.shares_memory(first, second)
    assert_same_bits(first, copy)


def test_state_can_be_taken_and_put_back(batch):
    layer = layer_of(batch)
    y, state = layer(batch.x, batch.state)
    stream = layer.stream(batch_size=3)
    stream.state = batch.state
    stream(batch.x[:2])
    kept = stream.state
    rest = stream(batch.x[2:])
    assert_same_bits(rest, y[2:])
    assert_same_state(stream.state, state)
    stream.state = kept  # which the steps since then have not touched
    assert_same_bits(stream(batch.x[2:]), rest)


def test_state_of_one_sequence_goes_round(alone):
    stream = layer_of(alone).stream()
    stream(alone.x[:2])
    kept = stream.state
    expected = stream(alone.x[2:])
    stream.reset()
    stream.state = kept
    assert_same_bits(stream(alone.x[2:]), expected)


def test_reset_is_a_state_of_zeros(batch):
    stream = layer_of(batch).stream(batch_size=3)
    first = stream(batch.x)
    assert all(part.any() for part in parts(stream.state))
    stream.reset()
    assert not any(part.any() for part in parts(stream.state))
    assert_same_bits(stream(batch.x), first)


def test_streams_of_one_layer_are_apart(alone):
    layer = layer_of(alone)
    y, _ = layer(alone.x)
    first, second = layer.stream(), layer.stream()
    first(alone.x[:4, 0])
    assert_same_bits(second(alone.x[0, 0]), y[0, 0])
    assert_same_bits(first(alone.x[4, 0]), y[4, 0])


def test_stream_outlives_its_layer_variable(alone):
    layer = layer_of(alone)
    y, _ = layer(alone.x)
    stream = layer.stream()
    del layer
    assert_same_bits(stream(alone.x[:, 0]), y[:, 0])


def test_dropout_is_for_training(alone):
    stream = layer_of(alone, dropout=0.9).stream()
    assert_same_bits(stream(alone.x), layer_of(alone)(alone.x)[0])


@pytest.mark.parametrize("kind", [gru_native.RNN, gru_native.LSTM, gru_native.GRU])
def test_a_bidirectional_layer_has_none(kind):
    with pytest.raises(ValueError, match="bidirectional"):
        kind(3, 4, bidirectional=True).stream()


@pytest.mark.parametrize(
    ("batch_size", "error"),
    [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError), (2**62, ValueError)],
)
def test_bad_batch_size(alone, batch_size, error):
    expected = (error, MemoryError) if error is ValueError else error
    with pytest.raises(expected, match=None if batch_size == 2**62 else "batch_size"):
        layer_of(alone).stream(batch_size=batch_size)


BAD_CALLS = {
    "rank_0": (lambda s, x: s(np.float32(1)), ValueError, "x"),
    "rank_4": (lambda s, x: s(x[None]), ValueError, "x"),
    "width": (lambda s, x: s(x[0, :, :4]), ValueError, r"x.*\(3, 4\).*5"),
    "batch": (lambda s, x: s(x[0, :2]), ValueError, r"x.*\(2, 5\)"),
    "one_vector": (lambda s, x: s(x[0, 0]), ValueError, r"x.*\(5,\)"),
    "chunk_batch": (lambda s, x: s(x[:, :2]), ValueError, r"x.*\(6, 2, 5\)"),
    "empty_chunk": (lambda s, x: s(x[:0]), ValueError, "x"),
    "dtype": (lambda s, x: s(x.astype(np.float64)), TypeError, "x.*float32"),
    "object": (lambda s, x: s(x.astype(object)), TypeError, "x"),
    "out_width": (lambda s, x: s(x[0], out=np.empty((3, 3), np.float32)), ValueError, "out"),
    "out_rank": (lambda s, x: s(x[0], out=np.empty(3, np.float32)), ValueError, "out"),
    "out_list": (lambda s, x: s(x[0], out=[0.0]), TypeError, "out"),
}


@pytest.mark.parametrize(("call", "error", "text"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_calls_leave_the_stream_where_it_was(batch, call, error, text):
    layer = layer_of(batch)
    y, _ = layer(batch.x)
    stream = layer.stream(batch_size=3)
    stream(batch.x[0])
    with pytest.raises(error, match=rf"\b{text}"):
        call(stream, batch.x)
    assert_same_bits(stream(batch.x[1:]), y[1:])


def test_bad_out(batch):
    layer = layer_of(batch)
    y, _ = layer(batch.x)
    stream = layer.stream(batch_size=3)
    locked = np.zeros_like(y[0])
    locked.flags.writeable = False
    with pytest.raises(ValueError, match=r"\bout\b"):
        stream(batch.x[0], out=locked)
    with pytest.raises(TypeError, match=r"\bout\b.*float32"):
        stream(batch.x[0], out=np.zeros(y[0].shape))
    assert not locked.any()
    assert_same_bits(stream(batch.x), y)


def test_bad_state(batch):
    layer = layer_of(batch)
    y, _ = layer(batch.x)
    stream = layer.stream(batch_size=3)
    arrays = parts(batch.state)
    wrong = [
        (each(lambda part: part[:, :2], batch.state), ValueError),
        (each(lambda part: part[:1], batch.state), ValueError),
        (each(lambda part: part.astype(np.float64), batch.state), TypeError),
        (arrays[0] if len(arrays) == 2 else (arrays[0], arrays[0]), (TypeError, ValueError)),
    ]
    for state, error in wrong:
        with pytest.raises(error, match=r"\bstate\b"):
            stream.state = state
    assert_same_bits(stream(batch.x), y)
