"""Layers against the reference: outputs, final states and all gradients of one case."""

import numpy as np

import reference
from helpers import (
    assert_all_close,
    assert_close,
    assert_same_bits,
    assert_same_gradients,
    assert_same_state,
    assert_slopes,
    gradient_arrays,
    make_layer,
    named_gradients,
    parts,
)


def random_lengths(seq_len, batch, rng):
    """In any order, and at least one of them 0."""
    lengths = rng.integers(0, seq_len + 1, batch)
    lengths[rng.integers(batch)] = 0
    return lengths


def run(layer, case):
    y, final, tape = layer.forward(case.x, case.state, lengths=case.lengths)
    return y, final, gradient_arrays(layer.backward(tape, case.dy, case.dstate))


def on_threads(threads, run):
    """What run() returns on one thread and on more."""
    results = []
    for count in (1, 2, 3, 5):
        threads(count)
        results.append(run())
    return results


def on_any_threads(run, threads):
    """y, final state and gradients of run() on one thread. On more, their bits are the same."""
    threads(1)
    alone = run()
    for count in (2, 3):
        threads(count)
        y, state, grads = run()
        assert_same_bits(y, alone[0])
        assert_same_state(state, alone[1])
        assert_same_gradients(grads, alone[2])
    return alone


def check(case, dtype, tolerance):
    case = case.cast(dtype)
    y, final, gradients = run(make_layer(case.spec, case.weights, dtype=dtype), case)

    exact = case.cast(np.float64)
    spec = case.spec
    wanted_y, wanted_final, tape = reference.forward(
        spec, exact.weights, exact.x, exact.state, exact.lengths
    )
    wanted = named_gradients(*reference.backward(spec, tape, exact.dy, exact.dstate))
    assert_close(y, wanted_y, tolerance)
    for part, wanted_part in zip(parts(final), parts(wanted_final), strict=True):
        assert_close(part, wanted_part, tolerance, "final state")
    assert_all_close(gradients, wanted, tolerance)


def check_slopes(case, forward, gradients, rng):
    """Gradients against finite differences of forward(), which returns y, the final state, ..."""

    def loss():
        y, final = forward()[:2]
        pairs = zip(parts(case.dstate), parts(final), strict=True)
        return np.sum(case.dy * y) + sum(np.sum(d * s) for d, s in pairs)

    assert_slopes(loss, named_gradients(case.x, case.state, case.weights), gradients, rng)
