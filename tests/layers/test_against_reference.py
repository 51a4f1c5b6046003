"""What torch lacks, against the papers in NumPy and against finite differences of the core itself:
the GRU that resets before its product, sequences of length 0, and x past the end of a sequence.
"""

from dataclasses import replace

import numpy as np
import pytest

from checks import check, check_slopes, random_lengths, run
from helpers import (
    CELLS_AND_OPTIONS,
    assert_same_bits,
    assert_same_state,
    each,
    make_layer,
    parts,
    random_case,
    random_weights,
    spec_of,
)
from reference import Spec

SIZES = [1, 2, 5, 7, 8, 16, 17, 33]


def random_spec(cell, rng):
    input_size, hidden_size = (int(size) for size in rng.choice(SIZES, 2))
    proj_size = 0
    if "proj" in cell:
        hidden_size = max(hidden_size, 2)
        proj_size = int(rng.integers(1, hidden_size))
    layers, bidirectional, bias = (
        int(rng.integers(1, 4)),
        *(bool(b) for b in rng.integers(2, size=2)),
    )
    return replace(
        spec_of(cell, input_size, hidden_size, layers, bidirectional, proj_size), bias=bias
    )


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_ragged_batches_with_empty_sequences(cell, seed):
    rng = np.random.default_rng([3, seed])
    seq_len, batch = int(rng.integers(1, 9)), int(rng.integers(1, 7))
    lengths = random_lengths(seq_len, batch, rng)
    spec = random_spec(cell, rng)
    check(random_case(spec, rng, seq_len=seq_len, batch=batch, lengths=lengths), np.float64, 1e-11)


@pytest.mark.parametrize("seed", range(40))
def test_gru_that_resets_before(seed):
    rng = np.random.default_rng([4, seed])
    shape = {"seq_len": int(rng.integers(1, 9)), "batch": int(rng.integers(1, 7))}
    dy, dstate = [(True, True), (True, False), (False, True)][seed % 3]
    given = {"state": bool(rng.integers(2)), "dy": dy, "dstate": dstate}
    case = random_case(random_spec("gru_reset_before", rng), rng, **shape, **given)
    if seed % 4:
        check(case, np.float64, 1e-11)
    else:
        check(case, np.float32, 2e-5)


@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_gradients_are_derivatives(cell):
    """Central finite differences through the core alone: no second implementation takes part."""
    rng = np.random.default_rng(5)
    spec = spec_of(cell, 3, 5, 2, True, proj_size=2)
    case = random_case(spec, rng, seq_len=6, batch=4, lengths=np.array([4, 6, 0, 1]))

    def forward():
        return make_layer(spec, case.weights)(case.x, case.state, lengths=case.lengths)

    _, _, gradients = run(make_layer(spec, case.weights), case)
    check_slopes(case, forward, gradients, rng)


@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_empty_sequence_hands_the_state_and_its_gradient_through(cell):
    rng = np.random.default_rng(6)
    spec = spec_of(cell, 3, 9, 2, True, proj_size=4)
    case = random_case(spec, rng, lengths=[0, 5, 0])
    y, final, gradients = run(make_layer(spec, case.weights), case)
    assert not y[:, [0, 2]].any()
    assert not gradients["dx"][:, [0, 2]].any()
    for part, initial in zip(parts(final), parts(case.state), strict=True):
        assert_same_bits(part[:, [0, 2]], initial[:, [0, 2]], "state")
    for name, dfinal in zip(("dh0", "dc0"), parts(case.dstate), strict=False):
        assert_same_bits(gradients[name][:, [0, 2]], dfinal[:, [0, 2]], name)


@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_nothing_past_the_end_of_a_sequence_is_read(cell):
    rng = np.random.default_rng(7)
    spec = spec_of(cell, 3, 9, 2, True, proj_size=4)
    case = random_case(spec, rng, lengths=[2, 5, 0])
    layer = make_layer(spec, case.weights)
    y, final, gradients = run(layer, case)
    case.x[2:, 0] = case.x[:, 2] = np.nan
    case.dy[2:, 0] = case.dy[:, 2] = np.inf
    again, final_again, gradients_again = run(layer, case)
    assert_same_bits(again, y)
    assert_same_state(final_again, final)
    for name, gradient in gradients.items():
        assert_same_bits(gradients_again[name], gradient, name)


@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_no_state_is_a_state_of_zeros(cell):
    rng = np.random.default_rng(8)
    spec = spec_of(cell, 3, 9, 2, True, proj_size=4)
    case = random_case(spec, rng)
    layer = make_layer(spec, case.weights)
    case.state = each(np.zeros_like, case.state)
    zeros = run(layer, case)
    case.state = None
    y, final, gradients = run(layer, case)
    assert_same_bits(y, zeros[0])
    assert_same_state(final, zeros[1])
    for name, gradient in zeros[2].items():
        assert_same_bits(gradients[name], gradient, name)


def reset_forms(change=None):
    """y of a GRU in both forms, both with the same weights, changed by change(weights)."""
    rng = np.random.default_rng(9)
    spec = Spec("gru", 3, 7)
    weights = random_weights(spec, rng)
    if change:
        change(weights)
    case = random_case(spec, rng)
    before = Spec("gru_reset_before", 3, 7)
    return [make_layer(s, weights)(case.x, case.state)[0] for s in (spec, before)]


def test_reset_before_and_after_differ():
    after, before = reset_forms()
    assert abs(after - before).max() > 1e-3


def test_reset_before_and_after_agree_when_U_n_is_diagonal():
    def change(weights):
        weights["weight_hh_l0"][14:] = np.diag(np.linspace(-1, 2, 7))
        weights["bias_hh_l0"][14:] = 0

    after, before = reset_forms(change)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-14)


def test_reset_before_and_after_agree_when_r_is_one():
    def change(weights):
        weights["bias_ih_l0"][:7] = 60  # σ(60) is 1 in float64

    after, before = reset_forms(change)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-14)
