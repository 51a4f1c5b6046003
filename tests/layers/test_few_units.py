"""Few units behind many inputs: the input product then leaves out what pads each gate's vectors.

Against the reference, and against itself: no sum may depend on batch, threads or chunks.
"""

import numpy as np
import pytest

from checks import check, on_any_threads, random_lengths
from helpers import (
    CELLS_AND_OPTIONS,
    assert_same_bits,
    each,
    make_layer,
    random_case,
    spec_of,
)

UNITS = [1, 2, 3, 6, 10, 13, 16, 17, 21, 33, 49, 65]
INPUTS = 150
TYPES = [(np.float32, 3e-5), (np.float64, 1e-11)]


@pytest.mark.parametrize(("dtype", "tolerance"), TYPES)
@pytest.mark.parametrize("hidden_size", UNITS)
@pytest.mark.parametrize("name", CELLS_AND_OPTIONS)
def test_against_reference(name, hidden_size, dtype, tolerance):
    rng = np.random.default_rng([11, hidden_size])
    spec = spec_of(name, INPUTS, max(2, hidden_size), 1, hidden_size % 2 == 0, proj_size=1)
    lengths = random_lengths(4, 15, rng) if hidden_size % 3 == 0 else None
    check(random_case(spec, rng, seq_len=4, batch=15, lengths=lengths), dtype, tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [1, 3, 25])
@pytest.mark.parametrize("hidden_size", [2, 11, 21, 33, 97])
@pytest.mark.parametrize("name", CELLS_AND_OPTIONS)
def test_same_bits(name, hidden_size, batch, dtype, threads):
    """On any number of threads, in two cuts, and row by row."""
    rng = np.random.default_rng(12)
    spec = spec_of(name, 3 * INPUTS, hidden_size, 2, proj_size=1)
    case = random_case(spec, rng, seq_len=40, batch=batch).cast(dtype)
    layer = make_layer(spec, case.weights, dtype=dtype)

    def run():
        y, state, tape = layer.forward(case.x, case.state)
        assert_same_bits(layer(case.x, case.state)[0], y)
        return y, state, layer.backward(tape, case.dy, case.dstate)

    alone = on_any_threads(run, threads)
    first, between = layer(case.x[:13], case.state)
    assert_same_bits(np.concatenate([first, layer(case.x[13:], between)[0]]), alone[0])
    row = batch // 2
    own = each(lambda part: np.ascontiguousarray(part[:, [row]]), case.state)
    for x in (case.x[:, [row]], np.ascontiguousarray(case.x[:, [row]])):
        assert_same_bits(layer(x, own)[0], alone[0][:, [row]])


@pytest.mark.parametrize("hidden_size", [2, 10, 17])
@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru", "gru_reset_before"])
def test_streams_and_sessions(cell, hidden_size):
    rng = np.random.default_rng(13)
    spec = spec_of(cell, INPUTS, hidden_size)
    case = random_case(spec, rng, seq_len=9, batch=7).cast(np.float32)
    layer = make_layer(spec, case.weights, dtype=np.float32)
    y, _ = layer(case.x)
    pool = layer.sessions(7)
    opened = [pool.open() for _ in range(7)]
    assert_same_bits(np.stack([pool.step(opened, x) for x in case.x]), y)
    for at_once in (1, 4):
        stream = layer.stream(batch_size=7)
        made = [stream(case.x[t : t + at_once]) for t in range(0, 9, at_once)]
        assert_same_bits(np.concatenate(made), y)
        alone = layer.stream()
        x = np.ascontiguousarray(case.x[:, [5]])
        made = [alone(x[t : t + at_once]) for t in range(0, 9, at_once)]
        assert_same_bits(np.concatenate(made), y[:, [5]])


def test_changed_weights_are_packed_again():
    rng = np.random.default_rng(14)
    spec = spec_of("gru", INPUTS, 5)
    case, other = (random_case(spec, rng, batch=9).cast(np.float32) for _ in range(2))
    layer = make_layer(spec, case.weights, dtype=np.float32)
    layer(case.x)
    layer.load_state_dict(other.weights)
    fresh = make_layer(spec, other.weights, dtype=np.float32)
    assert_same_bits(layer(case.x)[0], fresh(case.x)[0])
