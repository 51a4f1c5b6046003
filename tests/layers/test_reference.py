"""The oracle itself: against finite differences, against torch, and against what theory says."""

import numpy as np
import pytest

import reference
from helpers import (
    CELLS,
    EVERY_ACTIVATION,
    EVERY_GATE_SET,
    assert_all_close,
    assert_close,
    named_gradients,
    parts,
    random_case,
    random_weights,
    spec_of,
)
from reference import Spec, Variant, gru, lstm, lstm_variants
from reference.network import cell_backward, cell_forward, cell_weights
from reference.sigmoid import sigmoid

STACKS = [
    Spec("rnn_tanh", 3, 4, num_layers=2, bidirectional=True),
    Spec("rnn_relu", 2, 5, num_layers=3),
    Spec("lstm", 3, 4, num_layers=2, bidirectional=True),
    Spec("lstm", 3, 5, num_layers=2, bidirectional=True, proj_size=2),
    Spec("lstm", 2, 3, bias=False),
    Spec("gru", 3, 4, num_layers=2, bidirectional=True),
    Spec("gru", 1, 3, num_layers=3, bias=False),
    Spec("gru_reset_before", 3, 4, num_layers=2, bidirectional=True),
    Spec("gru_reset_before", 2, 3, bias=False),
]
BEYOND_TORCH = [
    Spec("lstm", 3, 4, 2, True, variant=Variant(peephole=True)),
    Spec("lstm", 3, 4, 2, True, variant=Variant(coupled_gates=True, peephole=True, cell_clip=0.3)),
    Spec("lstm", 3, 5, 2, True, proj_size=2, nonrecurrent_proj_size=3),
    Spec("lstm", 3, 4, 2, True, variant=Variant(peephole=True, gate_recurrence=True)),
    spec_of("lstm_layer_norm", 3, 5, 2, True),
    Spec("gru", 3, 4, 2, candidate_activation="sigmoid"),
    Spec("gru_reset_before", 3, 4, 2, candidate_activation="identity"),
]


# Every set of gates with every other option, and a clip that cuts some units of four but not all.
ONE_STEP = [
    *(Spec(cell, 3, 4) for cell in CELLS),
    *(Spec(cell, 3, 4, candidate_activation="sigmoid") for cell in ("gru", "gru_reset_before")),
    Spec("lstm", 3, 4, proj_size=2),
    *(spec_of(cell, 3, 5) for cell in ("lstm_layer_norm", "gru_layer_norm")),
    Spec("lstm", 3, 5, proj_size=2, layer_norm=True),
    *(Spec("lstm", 3, 4, variant=variant) for variant in EVERY_GATE_SET),
    *(Spec("lstm", 3, 4, variant=variant) for variant in EVERY_ACTIVATION),
    Spec("lstm", 3, 4, proj_size=2, nonrecurrent_proj_size=5, variant=Variant(peephole=True)),
    Spec("lstm", 3, 9, variant=Variant(peephole=True, cell_clip=0.4)),
    Spec("lstm", 3, 9, variant=Variant(coupled_gates=True, output_gate=False, cell_clip=0.4)),
]


def spec_id(spec):
    return "-".join(str(value) for value in vars(spec).values())


def difference(loss, array, direction, step=1e-6):
    """The central finite difference of loss() as the array moves along the direction."""
    kept = array.copy()
    array[...] = kept + step * direction
    up = loss()
    array[...] = kept - step * direction
    down = loss()
    array[...] = kept
    return (up - down) / (2 * step)


@pytest.mark.parametrize("spec", ONE_STEP, ids=spec_id)
def test_each_derivative_of_one_step(spec):
    """Element by element, so that a wrong element cannot hide in a sum."""
    rng = np.random.default_rng(5)
    w = cell_weights(random_weights(spec, rng), 0, 0)
    x = rng.standard_normal(3)
    state = tuple(rng.standard_normal(size) for size in spec.state_sizes)
    dstate = tuple(rng.standard_normal(size) for size in spec.state_sizes)
    dout = rng.standard_normal(spec.output_size)

    def loss():
        after, out, _ = cell_forward(spec, w, x, state)
        return np.sum(dout * out) + sum(np.sum(d * s) for d, s in zip(dstate, after, strict=True))

    _, _, saved = cell_forward(spec, w, x, state)
    dx, dbefore, dw = cell_backward(spec, w, saved, dout, dstate)
    gradients = named_gradients(dx, dbefore, dw)
    for name, array in named_gradients(x, state, w).items():
        expected = np.empty_like(array)
        for index in np.ndindex(array.shape):
            one = np.zeros_like(array)
            one[index] = 1.0
            expected[index] = difference(loss, array, one)
        assert_close(gradients[name], expected, 1e-8, name)


@pytest.mark.parametrize("lengths", [None, [3, 5, 0, 1]], ids=["full", "ragged"])
@pytest.mark.parametrize("spec", [*STACKS, *BEYOND_TORCH], ids=spec_id)
def test_derivatives_through_layers_directions_and_lengths(spec, lengths):
    rng = np.random.default_rng(6)
    case = random_case(spec, rng, batch=4, lengths=lengths)

    def loss():
        y, final, _ = reference.forward(spec, case.weights, case.x, case.state, lengths)
        pairs = zip(parts(case.dstate), parts(final), strict=True)
        return np.sum(case.dy * y) + sum(np.sum(d * s) for d, s in pairs)

    _, _, tape = reference.forward(spec, case.weights, case.x, case.state, lengths)
    gradients = named_gradients(*reference.backward(spec, tape, case.dy, case.dstate))
    scale = abs(loss())
    for name, array in named_gradients(case.x, case.state, case.weights).items():
        direction = rng.standard_normal(array.shape)
        expected = difference(loss, array, direction)
        actual = np.sum(gradients[name] * direction)
        assert abs(actual - expected) <= 1e-7 * max(scale, abs(expected)), name
        assert abs(expected) > 1e-4, f"{name} has no say in the loss: the check would be empty"


@pytest.mark.parametrize("lengths", [None, [3, 5, 2, 1]], ids=["full", "ragged"])
@pytest.mark.parametrize("spec", [s for s in STACKS if s.cell != "gru_reset_before"], ids=spec_id)
def test_against_torch(spec, lengths):
    pytest.importorskip("torch")
    import torch_network

    case = random_case(spec, np.random.default_rng(7), batch=4, lengths=lengths)
    y, final, tape = reference.forward(spec, case.weights, case.x, case.state, lengths)
    gradients = named_gradients(*reference.backward(spec, tape, case.dy, case.dstate))

    expected = torch_network.run(case)
    assert_close(y, expected.y, 1e-13)
    for part, wanted in zip(parts(final), parts(expected.final), strict=True):
        assert_close(part, wanted, 1e-13, "final state")
    assert_all_close(gradients, expected.gradients, 1e-12)


def test_empty_sequence_hands_its_state_through():
    spec = Spec("lstm", 3, 4, num_layers=2, bidirectional=True, proj_size=2)
    case = random_case(spec, np.random.default_rng(8), lengths=[2, 0, 5])
    y, final, _ = reference.forward(spec, case.weights, case.x, case.state, case.lengths)
    assert not y[:, 1].any()
    assert not y[2:, 0].any()
    for part, initial in zip(final, case.state, strict=True):
        np.testing.assert_array_equal(part[:, 1], initial[:, 1])
        assert (part[:, 2] != initial[:, 2]).all()


def gru_case(rng):
    H = 4
    w = {
        "weight_ih": rng.standard_normal((3 * H, 3)),
        "weight_hh": rng.standard_normal((3 * H, H)),
        "bias_ih": rng.standard_normal(3 * H),
        "bias_hh": rng.standard_normal(3 * H),
    }
    return w, rng.standard_normal(3), rng.standard_normal(H)


def both_forms(w, x, h_):
    (after,), _ = gru.forward(w, x, (h_,), reset_after=True)
    (before,), _ = gru.forward(w, x, (h_,), reset_after=False)
    return after, before


def test_reset_before_and_after_differ():
    after, before = both_forms(*gru_case(np.random.default_rng(9)))
    assert abs(after - before).max() > 1e-2


def test_reset_before_and_after_agree_when_U_n_is_diagonal():
    rng = np.random.default_rng(10)
    w, x, h_ = gru_case(rng)
    w["weight_hh"][8:] = np.diag(rng.standard_normal(4))
    w["bias_hh"][8:] = 0  # or r would scale b_hn in one form only
    after, before = both_forms(w, x, h_)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-15)


def test_reset_before_and_after_agree_when_r_is_one():
    w, x, h_ = gru_case(np.random.default_rng(11))
    w["bias_ih"][:4] = 50.0  # σ(50) is 1 in float64
    after, before = both_forms(w, x, h_)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-15)


@pytest.mark.parametrize("reset_after", [True, False])
def test_the_other_update_gate_convention_is_z_negated(reset_after):
    """Cho's h = (1-z) h₋ + z h̃ is ours with W_z, U_z and b_z negated: σ(-a) = 1 - σ(a)."""
    w, x, h_ = gru_case(np.random.default_rng(12))
    (expected,), (_, _, _, _, _, n, *_) = gru.forward(w, x, (h_,), reset_after)
    negated = {kind: value.copy() for kind, value in w.items()}
    for value in negated.values():
        value[4:8] *= -1
    a_z = negated["weight_ih"][4:8] @ x + negated["weight_hh"][4:8] @ h_
    z = sigmoid(a_z + negated["bias_ih"][4:8] + negated["bias_hh"][4:8])
    np.testing.assert_allclose((1 - z) * h_ + z * n, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("proj_size", [0, 2])
def test_variant_with_nothing_changed_is_the_standard_cell(proj_size):
    """Two derivations of one cell, in the letters of two papers."""
    rng = np.random.default_rng(13)
    spec = Spec("lstm", 3, 4, proj_size=proj_size)
    w = cell_weights(random_weights(spec, rng), 0, 0)
    x, state, dstate = (
        rng.standard_normal(3),
        *(tuple(rng.standard_normal(size) for size in spec.state_sizes) for _ in range(2)),
    )
    expected_after, expected_saved = lstm.forward(w, x, state)
    after, out, saved = lstm_variants.forward(Variant(), w, x, state)
    for part, expected in zip((*after, out), (*expected_after, after[0]), strict=True):
        np.testing.assert_allclose(part, expected, rtol=0, atol=1e-15)
    zero = np.zeros_like(out)
    actual = named_gradients(*lstm_variants.backward(Variant(), w, saved, zero, dstate))
    expected = named_gradients(*lstm.backward(w, expected_saved, dstate))
    assert actual.keys() == expected.keys()
    for name in expected:
        assert_close(actual[name], expected[name], 1e-14, name)
