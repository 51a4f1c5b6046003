"""RTRL: the gradient that goes forward in time is that of back-propagation through all of it."""

import re

import numpy as np
import pytest

import gru_native
import reference
from helpers import (
    CELLS_AND_OPTIONS,
    EVERY_GATE_SET,
    assert_all_close,
    assert_same_bits,
    assert_same_state,
    each,
    make_layer,
    parts,
    random_case,
    regroup,
    spec_of,
)
from reference import Spec

CELLS_THAT_IT_TAKES = [
    name for name in CELLS_AND_OPTIONS if "layer_norm" not in name and "recurrence" not in name
]


@pytest.fixture
def rng():
    return np.random.default_rng(17)


def bptt(case):
    """Outputs, last state and gradients of the weights, from the reference."""
    y, state, tape = reference.forward(case.spec, case.weights, case.x, case.state, case.lengths)
    return y, state, reference.backward(case.spec, tape, case.dy, case.dstate)[2]


def run(case, dtype=np.float64):
    """The same through RTRL, and the object."""
    layer = make_layer(case.spec, case.weights, dtype=dtype)
    seq_len, batch, _ = case.x.shape
    r = gru_native.RTRL(layer, batch)
    r.state = case.state
    one = batch == 1
    y = []
    for t in range(seq_len):
        y.append(r(case.x[t, 0] if one else case.x[t]))
        if case.dy is not None:
            r.gradient(case.dy[t, 0] if one else case.dy[t])
    if case.dstate is not None:
        r.gradient(dstate=case.dstate)
    return np.array(y).reshape(seq_len, batch, -1), r


def spec_with_bias(name, bias):
    spec = spec_of(name, 3, 9)
    return Spec(**{**vars(spec), "bias": bias})


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("name", CELLS_THAT_IT_TAKES)
def test_it_is_the_gradient_of_back_propagation(name, bias, rng):
    case = random_case(spec_with_bias(name, bias), rng, seq_len=7, batch=3)
    y, r = run(case)
    expected_y, expected_state, expected = bptt(case)
    np.testing.assert_allclose(y, expected_y, rtol=0, atol=1e-12)
    for actual, part in zip(parts(r.state), parts(expected_state), strict=True):
        np.testing.assert_allclose(actual, part, rtol=0, atol=1e-12)
    assert_all_close(r.gradients, expected, 1e-10)


@pytest.mark.parametrize("name", CELLS_THAT_IT_TAKES)
def test_one_long_sequence_from_the_zero_state(name, rng):
    case = random_case(spec_of(name, 2, 5), rng, seq_len=60, batch=1, state=False, dstate=False)
    assert_all_close(run(case)[1].gradients, bptt(case)[2], 1e-10)


@pytest.mark.parametrize("variant", [v for v in EVERY_GATE_SET if not v.gate_recurrence])
def test_every_set_of_gates_with_peepholes(variant, rng):
    case = random_case(Spec("lstm", 3, 6, variant=variant), rng)
    assert_all_close(run(case)[1].gradients, bptt(case)[2], 1e-10)


@pytest.mark.parametrize("sizes", [(1, 1), (40, 3), (7, 33)], ids=str)
def test_sizes(sizes, rng):
    for name in ("rnn_tanh", "gru", "gru_reset_before", "lstm"):
        case = random_case(spec_of(name, *sizes), rng, seq_len=4, batch=2)
        assert_all_close(run(case)[1].gradients, bptt(case)[2], 1e-10)


@pytest.mark.parametrize("name", CELLS_THAT_IT_TAKES)
def test_sequences_of_different_lengths_have_no_loss_past_their_ends(name, rng):
    lengths = [6, 2, 4]
    case = random_case(spec_of(name, 3, 9), rng, seq_len=6, lengths=lengths, dstate=False)
    case.dy[np.arange(6)[:, None] >= lengths] = 0
    assert_all_close(run(case)[1].gradients, bptt(case)[2], 1e-10)


@pytest.mark.parametrize("name", CELLS_THAT_IT_TAKES)
def test_float32_within_its_rounding(name, rng):
    case = random_case(spec_of(name, 3, 9), rng, seq_len=12).cast(np.float32)
    gradients = run(case, np.float32)[1].gradients
    assert {g.dtype for g in gradients.values()} == {np.dtype(np.float32)}
    assert_all_close(gradients, bptt(case.cast(np.float64))[2], 1e-5)


def test_each_step_has_its_own_share(rng):
    """The gradient of L(t) alone is that of back-propagation from L(t) to the start."""
    case = random_case(spec_of("lstm", 3, 5), rng, seq_len=6, dstate=False)
    layer = make_layer(case.spec, case.weights)
    r = gru_native.RTRL(layer, 3)
    r.state = case.state
    total = {name: 0 for name in layer.weights}
    for t in range(6):
        r(case.x[t])
        step = r.gradient(case.dy[t])
        _, _, tape = reference.forward(case.spec, case.weights, case.x[: t + 1], case.state)
        dy = np.zeros((t + 1, 3, 5))
        dy[t] = case.dy[t]
        assert_all_close(step, reference.backward(case.spec, tape, dy)[2], 1e-10)
        total = {name: g + step[name] for name, g in total.items()}
        assert_all_close(r.gradients, total, 1e-15)
    r.clear_gradients()
    assert all((g == 0).all() for g in r.gradients.values())


@pytest.mark.parametrize("name", CELLS_THAT_IT_TAKES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_outputs_and_states_are_the_layers_bit_for_bit(name, dtype, rng):
    case = random_case(spec_of(name, 3, 17), rng).cast(dtype)
    y, r = run(case, dtype)
    expected_y, expected_state = r.layer(case.x, case.state)
    assert_same_bits(y, expected_y)
    assert_same_state(r.state, expected_state)


def test_neither_threads_nor_the_batch_change_a_bit(rng):
    case = random_case(spec_of("gru", 9, 21), rng, seq_len=3, batch=4, dstate=False)
    before = gru_native.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            gru_native.set_num_threads(threads)
            results.append(run(case)[1].gradients)
    finally:
        gru_native.set_num_threads(before)
    for other in results[1:]:
        for name, g in results[0].items():
            assert_same_bits(other[name], g, name)
    # One row has a loss: its gradient is the same alone.
    case.dy[:, :3] = 0
    together = run(case)[1].gradients
    case.x, case.dy = case.x[:, 3:], case.dy[:, 3:]
    case.state = case.state[:, 3:]
    for name, g in run(case)[1].gradients.items():
        assert_same_bits(together[name] + 0.0, g + 0.0, name)


@pytest.mark.parametrize("name", ["gru", "lstm", "lstm_proj"])
def test_rows_that_are_reset_begin_anew_and_the_others_go_on(name, rng):
    spec = spec_of(name, 3, 9)
    long = random_case(spec, rng, seq_len=7, batch=2, dstate=False)
    layer = make_layer(spec, long.weights)
    r = gru_native.RTRL(layer, 2)
    r.state = long.state
    for t in range(7):
        if t == 4:
            r.reset_rows(np.array([False, True]))
        r(long.x[t])
        r.gradient(long.dy[t])

    def of(part, row, state):
        _, _, tape = reference.forward(spec, long.weights, long.x[part, row], state)
        return reference.backward(spec, tape, long.dy[part, row])[2]

    whole, first, second = slice(0, 7), slice(0, 4), slice(4, 7)
    start = [each(lambda s, i=i: s[:, i : i + 1], long.state) for i in (0, 1)]
    pieces = [
        of(whole, slice(0, 1), start[0]),
        of(first, slice(1, 2), start[1]),
        of(second, slice(1, 2), None),
    ]
    assert_all_close(r.gradients, {n: sum(p[n] for p in pieces) for n in pieces[0]}, 1e-10)
    # After a reset of all, as new.
    r.reset()
    r.clear_gradients()
    for t in range(3):
        r(long.x[t])
        r.gradient(long.dy[t])
    assert_all_close(r.gradients, of(slice(0, 3), slice(0, 2), None), 1e-10)


def test_a_state_that_was_set_ends_the_past(rng):
    case = random_case(spec_of("lstm", 3, 9), rng, dstate=False)
    _, r = run(case)
    r.clear_gradients()
    r.state = r.state
    kept = r.state
    assert all((g == 0).all() for g in r.gradient(case.dy[0]).values())  # given, not made
    r(case.x[0])
    r.gradient(case.dy[0])
    _, _, tape = reference.forward(case.spec, case.weights, case.x[:1], kept)
    expected = reference.backward(case.spec, tape, case.dy[:1])[2]
    assert_all_close(r.gradients, expected, 1e-10)
    r.state = None
    assert all((part == 0).all() for part in parts(r.state))


def test_edited_weights_count_from_the_next_step_on(rng):
    case = random_case(spec_of("gru", 3, 9), rng)
    layer = make_layer(case.spec, case.weights)
    r = gru_native.RTRL(layer, 3)
    r(case.x[0])
    before = r.state
    with layer.editing() as w:
        w["weight_hh_l0"] *= 0.5
    assert_same_bits(r(case.x[1]), layer(case.x[1:2], before)[0][0])


def test_it_learns_online():
    """The bit of two steps ago, step by step over one sequence, without a tape."""
    layer = gru_native.GRU(1, 8, dtype=np.float64, seed=2)
    r = gru_native.RTRL(layer)
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2, 4000)
    errors = []
    for t in range(2, len(bits)):
        y = r([bits[t]])
        dy = np.zeros(8)
        dy[0] = y[0] - bits[t - 2]
        errors.append(dy[0] ** 2)
        with layer.editing() as w:
            for name, g in r.gradient(dy).items():
                w[name] -= 0.3 * g
    assert np.mean(errors[:200]) > 0.2
    assert np.mean(errors[-200:]) < 0.02


# --- arguments


def refused(error, text, call):
    with pytest.raises(error, match=re.escape(text)):
        call()


def test_layers_that_it_does_not_know():
    two, both = gru_native.GRU(3, 4, 2), gru_native.LSTM(3, 4, bidirectional=True)
    refused(ValueError, "num_layers is 2; expected 1", lambda: gru_native.RTRL(two))
    refused(ValueError, "bidirectional is True; expected False", lambda: gru_native.RTRL(both))
    for option in ("gate_recurrence", "layer_norm"):
        layer = gru_native.LSTM(3, 4, **{option: True})
        refused(
            ValueError,
            f"{option} is True; expected False",
            lambda layer=layer: gru_native.RTRL(layer),
        )
    dense = gru_native.Dense(3, 4)
    refused(
        TypeError, "layer is a Dense; expected an RNN, GRU or LSTM", lambda: gru_native.RTRL(dense)
    )
    one = gru_native.GRU(3, 4)
    refused(ValueError, "batch_size is 0; expected at least 1", lambda: gru_native.RTRL(one, 0))
    refused(ValueError, "would be larger than memory can be", lambda: gru_native.RTRL(one, 2**60))
    refused(TypeError, "batch_size is a float", lambda: gru_native.RTRL(one, 2.0))


def test_arguments_of_a_step_are_named_and_nothing_changes():
    layer = gru_native.LSTM(3, 4, dtype=np.float64, seed=1)
    alone, r = gru_native.RTRL(layer), gru_native.RTRL(layer, 2)
    x = np.ones((2, 3))
    r(x)
    r.gradient(np.ones((2, 4)))
    state, gradients = r.state, {n: g.copy() for n, g in r.gradients.items()}
    refused(ValueError, "x has shape (2, 3); expected (input_size=3,)", lambda: alone(x))
    refused(ValueError, "x has shape (3,); expected (batch=2, input_size=3)", lambda: r(x[0]))
    refused(TypeError, "x has dtype float32; expected float64", lambda: r(x.astype(np.float32)))
    refused(ValueError, "dy and dstate are both None", r.gradient)
    refused(ValueError, "dy has shape (2, 3); expected (batch=2", lambda: r.gradient(x))
    refused(TypeError, "dstate is a", lambda: r.gradient(dstate=state[0]))
    refused(ValueError, "mask has shape (3,); expected (batch=2", lambda: r.reset_rows([True] * 3))
    refused(TypeError, "mask has dtype int64", lambda: r.reset_rows([1, 0]))
    with pytest.raises(ValueError, match="state"):
        r.state = regroup(state, [part[:, :1] for part in state])
    assert_same_state(r.state, state)
    for name, g in gradients.items():
        assert_same_bits(r.gradients[name], g, name)
    assert repr(r) == "RTRL(LSTM(3, 4, dtype=float64), batch_size=2)"
