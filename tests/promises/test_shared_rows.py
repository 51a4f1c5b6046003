"""Many sequences through few units: members of a team then take rows of the batch, not units.

Each row's sums are those of a call on one thread, whatever else there is: lengths, masks, states,
directions, projections, weights of few bits, streams of a batch, sessions.
"""

import numpy as np
import pytest

from checks import on_threads
from helpers import (
    CELLS_AND_OPTIONS,
    assert_same_bits,
    assert_same_gradients,
    assert_same_state,
    make_layer,
    random_case,
    spec_of,
)

BATCH, STEPS = 23, 11


def lengths_of(kind, rng):
    if kind == "one":
        return None
    return [0, *rng.integers(1, STEPS + 1, BATCH - 2), STEPS]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("lengths", ["one", "many"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", CELLS_AND_OPTIONS)
def test_training(name, bidirectional, lengths, masked, threads):
    rng = np.random.default_rng(1)
    spec = spec_of(name, 120, 33, 2, bidirectional)
    case = random_case(
        spec, rng, seq_len=STEPS, batch=BATCH, lengths=lengths_of(lengths, rng)
    ).cast(np.float32)
    layer = make_layer(spec, case.weights, dtype=np.float32)
    mask = rng.random((STEPS, BATCH)) < 0.7 if masked else None

    def run():
        y, state, tape = layer.forward(case.x, case.state, lengths=case.lengths, mask=mask)
        inferred, _ = layer(case.x, case.state, lengths=case.lengths, mask=mask)
        return y, state, layer.backward(tape, case.dy, case.dstate), inferred

    alone, *shared = on_threads(threads, run)
    assert_same_bits(alone[3], alone[0])
    for y, state, grads, inferred in shared:
        assert_same_bits(y, alone[0])
        assert_same_bits(inferred, alone[0])
        assert_same_state(state, alone[1])
        assert_same_gradients(grads, alone[2])


@pytest.mark.parametrize("lengths", ["one", "many"])
def test_steps_in_many_chunks(lengths, threads):
    """No member is a chunk of steps ahead, where it would write over what another still reads."""
    rng = np.random.default_rng(4)
    steps, batch = 200, 40
    some = None if lengths == "one" else rng.integers(1, steps + 1, batch)
    spec = spec_of("gru", 24, 33)
    case = random_case(spec, rng, seq_len=steps, batch=batch, lengths=some).cast(np.float32)
    layer = make_layer(spec, case.weights, dtype=np.float32)
    alone, *shared = on_threads(
        threads, lambda: [layer.forward(case.x, lengths=some)[0] for _ in range(20)]
    )
    for results in shared:
        for one in results:  # new memory each time: members are not equally fast
            assert_same_bits(one, alone[0])


@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before", "lstm_proj"])
def test_few_bits(cell, precision, threads):
    rng = np.random.default_rng(2)
    spec = spec_of(cell, 120, 40, 2)
    case = random_case(spec, rng, seq_len=STEPS, batch=BATCH, lengths=lengths_of("many", rng)).cast(
        np.float32
    )
    few = make_layer(spec, case.weights, dtype=np.float32).quantize(precision)
    alone, *shared = on_threads(threads, lambda: few(case.x, case.state, lengths=case.lengths))
    for y, state in shared:
        assert_same_bits(y, alone[0])
        assert_same_state(state, alone[1])


@pytest.mark.parametrize("cell", ["lstm", "gru_reset_before"])
def test_streams_and_sessions(cell, threads):
    rng = np.random.default_rng(3)
    spec = spec_of(cell, 64, 33, 2)
    case = random_case(spec, rng, seq_len=STEPS, batch=BATCH).cast(np.float32)
    layer = make_layer(spec, case.weights, dtype=np.float32)

    def run():
        stream, pool = layer.stream(batch_size=BATCH), layer.sessions(BATCH)
        opened = [pool.open() for _ in range(BATCH)]
        steps = [pool.step(opened, x) for x in case.x]
        return [stream(case.x[:7]), stream(case.x[7:]), np.stack(steps)]

    alone, *shared = on_threads(threads, run)
    for results in shared:
        for one, other in zip(results, alone, strict=True):
            assert_same_bits(one, other)
