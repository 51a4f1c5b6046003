"""Executed work of recurrent layers, against gru_native.complexity."""

import numpy as np
import pytest

import gru_native
from executed_work import any_lengths, check, counted, executed, numbers, pick, recurrent
from gru_native import complexity
from helpers import (
    ACTIVATION_NAMES,
    CELLS,
    EVERY_GATE_SET,
    make_layer,
    parts,
    random_state,
    regroup,
)
from reference import Spec


@pytest.mark.parametrize("seed", range(300))
def test_recurrent(seed):
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float32, np.float64)
    spec, layer = recurrent(rng, dtype)
    seq_len, batch = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    x = numbers(rng, dtype, seq_len, batch, spec.input_size)

    def state():
        given = random_state(spec, batch, rng)
        return regroup(given, [part.astype(dtype) for part in parts(given)])

    initial = state() if rng.integers(2) else None
    lengths = any_lengths(rng, seq_len, batch) if rng.integers(2) else None
    options = {"lengths": lengths, "training": bool(rng.integers(2))}
    dy, dstate = pick(rng, (True, None), (None, state()), (True, state()))
    call = {**options, "state": initial is not None, "dy": dy is not None}
    width = layer(x)[0].shape[-1]
    check(
        layer,
        lambda: layer.forward(x, initial, **options),
        complexity.count(layer, seq_len, batch, **call),
        numbers(rng, dtype, seq_len, batch, width) if dy else None,
        dstate,
    )
    inference = complexity.count(layer, seq_len, batch, **{**call, "training": False})
    work = executed(layer, x, initial, lengths=lengths)[1]
    assert work == counted(inference.passes)[0], layer


@pytest.mark.parametrize("seed", range(20))
def test_masked_steps_cost_nothing(seed):
    rng = np.random.default_rng(seed)
    spec, layer = recurrent(rng, np.float32)
    mask = rng.integers(0, 2, (6, 4)).astype(bool)
    mask[rng.integers(6), rng.integers(4)] = True
    steps = mask.sum(axis=0)
    x = numbers(rng, np.float32, 6, 4, spec.input_size)
    check(
        layer,
        lambda: layer.forward(x, mask=mask),
        complexity.count(layer, int(steps.max()), 4, steps),
        numbers(rng, np.float32, *layer(x)[0].shape),
    )


@pytest.mark.parametrize("seed", range(40))
def test_output_recurrence(seed):
    rng = np.random.default_rng(seed)
    inputs, hidden, outputs, seq_len, batch = (int(n) for n in rng.integers(1, [9, 30, 9, 6, 5]))
    layer = gru_native.OutputRNN(
        inputs,
        hidden,
        outputs,
        bias=bool(rng.integers(2)),
        activation=pick(rng, *ACTIVATION_NAMES),
        output_activation=pick(rng, *ACTIVATION_NAMES),
        seed=1,
    )
    x = numbers(rng, np.float32, seq_len, batch, inputs)
    targets = numbers(rng, np.float32, seq_len, batch, outputs) if rng.integers(2) else None
    lengths = any_lengths(rng, seq_len, batch) if rng.integers(2) else None
    check(
        layer,
        lambda: layer.forward(x, targets=targets, lengths=lengths),
        complexity.count(layer, seq_len, batch, lengths, taught=targets is not None),
        numbers(rng, np.float32, seq_len, batch, outputs),
    )


@pytest.mark.parametrize("seed", range(100))
def test_gates_that_recur_layer_norm_and_zoneout(seed):
    rng = np.random.default_rng(seed)
    inputs, hidden, layers, seq_len, batch = (int(n) for n in rng.integers(1, [20, 40, 3, 6, 5]))
    options = {"layer_norm": bool(rng.integers(2)), "zoneout": pick(rng, 0.0, 0.3, 1.0)}
    if rng.integers(2):
        kind, options["peephole"] = gru_native.LSTM, bool(rng.integers(2))
        options["zoneout_cell"] = pick(rng, 0.0, 0.3)
        gates = pick(rng, *EVERY_GATE_SET)
        options |= {name: value for name, value in vars(gates).items() if name != "peephole"}
        options["peephole"] &= gates.peephole
        options["proj_size"] = int(rng.integers(hidden)) * int(rng.integers(2))
        if options["proj_size"]:
            options["nonrecurrent_proj_size"] = int(rng.integers(3))
    else:
        kind = gru_native.GRU
        options["reset_after"] = options["layer_norm"] or bool(rng.integers(2))
    options["bidirectional"] = bool(rng.integers(2))
    layer = kind(inputs, hidden, layers, bias=bool(rng.integers(2)), seed=1, **options)
    x = numbers(rng, np.float32, seq_len, batch, inputs)
    training = bool(rng.integers(2))
    check(
        layer,
        lambda: layer.forward(x, training=training),
        complexity.count(layer, seq_len, batch, training=training),
        numbers(rng, np.float32, *layer(x)[0].shape),
    )


def test_by_hand():
    """x of 3, h of 5, 2 steps without an initial state: U h- once, backward twice."""
    layer = gru_native.RNN(3, 5, seed=0)
    x = np.ones((2, 1, 3), np.float32)
    (y, _, tape), work = executed(layer.forward, x)
    assert work == {"mac_forward": 2 * 15 + 25, "tanh": 10}
    _, work = executed(layer.backward, tape, y)
    assert work == {
        "mac_inputs": 2 * 15 + 2 * 25,
        "mac_weights": 2 * 15 + 2 * 25,
        "multiply": 2 * 10,  # dh (1 - y y)
        "add": 10 + 10 + 2 * 10,  # dh + dy, the slope, two biases
    }


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_threads_share_the_work(name, bidirectional, threads):
    """And no work is done by two of them."""
    spec = Spec(name, 40, 150, 2, bidirectional)
    layer = make_layer(spec, dtype=np.float32, seed=1)
    x = np.ones((4, 20, 40), np.float32)
    width = layer(x)[0].shape[-1]
    for n in (1, 2, 3):
        threads(n)
        check(
            layer,
            lambda: layer.forward(x),
            complexity.count(layer, 4, 20),
            np.ones((4, 20, width), np.float32),
        )


@pytest.mark.parametrize("name", CELLS)
def test_large(name, threads):
    """More rows, columns and steps than go into one block of a product, or of sums over rows."""
    threads(1)
    layer = make_layer(Spec(name, 700, 90), dtype=np.float32, seed=1)
    x = np.ones((9, 70, 700), np.float32)
    check(
        layer,
        lambda: layer.forward(x),
        complexity.count(layer, 9, 70),
        np.ones((9, 70, 90), np.float32),
        inference=lambda: layer(x),
    )
