"""Blocks of units that are no multiple of the threads: of those over each member has some rows."""

import numpy as np
import pytest

import reference
from checks import on_any_threads
from helpers import (
    CELLS_AND_OPTIONS,
    assert_close,
    assert_same_bits,
    assert_same_state,
    make_layer,
    random_case,
    spec_of,
)

INPUTS = {True: 400, False: 700}  # so many weights that members share out units; an RNN has few
STEPS = 4


def case_of(name, hidden_size, batch, lengths=None, bidirectional=False):
    rng = np.random.default_rng([21, hidden_size])
    inputs = INPUTS[not name.startswith("rnn")]
    spec = spec_of(name, inputs, hidden_size, 1, bidirectional, proj_size=100)
    case = random_case(spec, rng, seq_len=STEPS, batch=batch, lengths=lengths)
    return case, rng


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("hidden_size", "batch", "lengths"), [(197, 21, "one"), (305, 13, "many")])
@pytest.mark.parametrize("name", CELLS_AND_OPTIONS)
def test_same_bits(name, hidden_size, batch, lengths, dtype, threads):
    many = [0, *(1 + np.arange(batch - 2) % STEPS), STEPS] if lengths == "many" else None
    case, rng = case_of(name, hidden_size, batch, many)
    case = case.cast(dtype)
    layer = make_layer(case.spec, case.weights, dtype=dtype)
    mask = rng.random((STEPS, batch)) < 0.8 if many else None

    def run():
        y, state, tape = layer.forward(case.x, case.state, lengths=many, mask=mask)
        assert_same_bits(layer(case.x, case.state, lengths=many, mask=mask)[0], y)
        return y, state, layer.backward(tape, case.dy, case.dstate)

    on_any_threads(run, threads)


@pytest.mark.parametrize("name", ["rnn_tanh", "lstm", "gru", "gru_reset_before", "lstm_proj"])
def test_against_reference(name, threads):
    case, _ = case_of(name, 197, 21, bidirectional=True)
    exact = case.cast(np.float32).cast(np.float64)
    expected = reference.forward(exact.spec, exact.weights, exact.x, exact.state, None)[0]
    case = case.cast(np.float32)
    layer = make_layer(case.spec, case.weights, dtype=np.float32)
    for count in (2, 4, 6):  # crews of 1, 2 and 3
        threads(count)
        assert_close(layer(case.x, case.state)[0], expected, 2e-5)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before"])
def test_few_bits(cell, precision, threads):
    case, _ = case_of(cell, 597, 11)
    case = case.cast(np.float32)
    few = make_layer(case.spec, case.weights, dtype=np.float32).quantize(precision)
    threads(1)
    alone = few(case.x, case.state)
    for count in (2, 3):
        threads(count)
        y, state = few(case.x, case.state)
        assert_same_bits(y, alone[0])
        assert_same_state(state, alone[1])


def test_streams(threads):
    case, _ = case_of("lstm", 197, 21)
    case = case.cast(np.float32)
    layer = make_layer(case.spec, case.weights, dtype=np.float32)
    threads(1)
    y, _ = layer(case.x)
    threads(2)
    stream = layer.stream(batch_size=21)
    assert_same_bits(np.concatenate([stream(step[None]) for step in case.x]), y)
