"""clip_gradients and reset_rows, and truncated back-propagation through time with them."""

import re

import numpy as np
import pytest

import gru_native
import reference
from helpers import (
    CELLS_AND_OPTIONS,
    assert_all_close,
    assert_same_bits,
    assert_same_state,
    gradient_arrays,
    make_layer,
    named_gradients,
    parts,
    random_case,
    regroup,
    spec_of,
)

NAN, INF = float("nan"), float("inf")


def arrays(dtype=np.float32):
    rng = np.random.default_rng(3)
    return {"a": rng.normal(size=(4, 5)).astype(dtype), "b": rng.normal(size=7).astype(dtype)}


def copies(grads):
    return {name: g.copy() for name, g in grads.items()}


def joint_norm(grads):
    return np.linalg.norm(np.concatenate([g.ravel().astype(np.longdouble) for g in grads.values()]))


# --- clip_gradients


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", [lambda g: g, lambda g: list(g.values()), dict.values, iter])
def test_clipping_scales_to_the_norm_in_place(dtype, form):
    grads = arrays(dtype)
    before, norm = copies(grads), joint_norm(grads)
    given = iter(grads.values()) if form is iter else form(grads)
    assert gru_native.clip_gradients(given, 1.5) == pytest.approx(float(norm), rel=1e-14)
    assert norm > 1.5
    for name, g in grads.items():
        assert g.dtype == dtype
        expected = before[name].astype(np.float64) * float(1.5 / norm)
        np.testing.assert_allclose(g, expected, rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("max_norm", ["its norm", 100, INF])
def test_a_small_norm_is_left_alone(max_norm):
    grads = arrays()
    before = copies(grads)
    norm = gru_native.clip_gradients(grads, INF)
    limit = norm if max_norm == "its norm" else max_norm
    assert gru_native.clip_gradients(grads, limit) == norm
    for name, g in grads.items():
        assert_same_bits(g, before[name])


def test_views_are_scaled_where_they_are():
    whole = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
    expected = whole.copy()
    expected[:, ::2] /= np.linalg.norm(whole[:, ::2])
    gru_native.clip_gradients([whole[:, ::2]], 1.0)
    np.testing.assert_allclose(whole, expected, rtol=1e-6)


def test_the_norm_is_summed_in_float64():
    """In float32 the many small squares are lost beside the large one, and 1e30 squared is inf."""
    grads = [np.array([4096.0], np.float32), np.full(100_000, 0.5, np.float32)]
    assert gru_native.clip_gradients(grads, INF) == pytest.approx(
        np.sqrt(2**24 + 25_000), rel=1e-14
    )
    assert gru_native.clip_gradients([np.full(4, 1e30, np.float32)], 2.0) == pytest.approx(2e30)
    huge, tiny = np.full(4, 1e200), np.full(4, 1e-200)
    assert gru_native.clip_gradients([huge], 2.0) == pytest.approx(2e200)
    np.testing.assert_allclose(huge, 1.0)
    assert gru_native.clip_gradients([tiny], 2.0) == pytest.approx(2e-200)


def test_nothing_has_no_norm():
    assert gru_native.clip_gradients({}, 1.0) == 0
    assert gru_native.clip_gradients([np.zeros((0, 3)), np.zeros(2)], 1.0) == 0


@pytest.mark.parametrize("places", [{"a": NAN}, {"b": NAN}, {"a": INF}, {"a": INF, "b": NAN}])
def test_a_norm_that_is_not_finite_changes_nothing(places):
    grads = arrays()
    for name, value in places.items():
        grads[name].flat[1] = value
    before = copies(grads)
    norm = gru_native.clip_gradients(grads, 1.0)
    assert np.isnan(norm) if NAN in places.values() else norm == INF
    for name, g in grads.items():
        assert_same_bits(g, before[name])


def test_gradients_of_a_layer():
    layer = gru_native.GRU(3, 5, dtype=np.float64, seed=1)
    y, _, tape = layer.forward(np.random.default_rng(1).normal(size=(4, 2, 3)))
    grads = layer.backward(tape, y).weights
    norm = joint_norm(grads)
    assert gru_native.clip_gradients(grads, float(norm) / 2) == pytest.approx(float(norm))
    assert joint_norm(grads) == pytest.approx(float(norm) / 2)


def read_only():
    g = np.full(3, 9.0)
    g.setflags(write=False)
    return g


@pytest.mark.parametrize(
    ("grads", "error", "text"),
    [
        (np.ones(3), TypeError, "grads is an ndarray; expected a mapping or a sequence"),
        (3, TypeError, "grads is an int; expected"),
        ("ab", TypeError, "grads is a str; expected"),
        ([np.full(2, 9.0), [1.0]], TypeError, "grads[1] is a list; expected a NumPy array"),
        ({"w": None}, TypeError, "grads['w'] is a NoneType; expected a NumPy array"),
        ({"w": np.ones(2, int)}, TypeError, "grads['w'] has dtype int64; expected float32 or"),
        ({"w": np.ones(2, np.float16)}, TypeError, "grads['w'] has dtype float16"),
        ({"v": np.full(2, 9.0), "w": read_only()}, ValueError, "grads['w'] is read-only"),
    ],
)
def test_gradients_that_are_none(grads, error, text):
    with pytest.raises(error, match=re.escape(text)):
        gru_native.clip_gradients(grads, 1.0)


def test_nothing_is_scaled_before_all_are_checked():
    good = np.full(2, 9.0)
    with pytest.raises(TypeError, match=re.escape("grads[1]")):
        gru_native.clip_gradients([good, None], 1.0)
    assert (good == 9).all()


@pytest.mark.parametrize(
    ("max_norm", "error"),
    [(0, ValueError), (-1.0, ValueError), (NAN, ValueError), ("1", TypeError), (True, TypeError)],
)
def test_max_norm_is_a_number_above_0(max_norm, error):
    with pytest.raises(error, match="max_norm is "):
        gru_native.clip_gradients(arrays(), max_norm)


# --- reset_rows

MASK = np.array([False, True, True, False])


def state_after(layer, rng, steps=3):
    return layer(rng.normal(size=(steps, 4, layer.input_size)))[1]


@pytest.mark.parametrize("name", CELLS_AND_OPTIONS)
@pytest.mark.parametrize("mask", [MASK, [True] * 4, [False] * 4], ids=["some", "all", "none"])
def test_reset_rows_are_fresh_sequences_and_the_others_go_on(name, mask):
    spec = spec_of(name, 3, 5, 2)
    rng = np.random.default_rng(5)
    layer = make_layer(spec, random_case(spec, rng).weights)
    old = state_after(layer, rng)
    kept = tuple(part.copy() for part in parts(old))
    x = rng.normal(size=(4, 4, 3))
    y, end = layer(x, gru_native.reset_rows(old, mask))
    for part, was in zip(parts(old), kept, strict=True):
        assert_same_bits(part, was)
    for expected, rows in ((layer(x), mask), (layer(x, old), ~np.asarray(mask))):
        assert_same_bits(y[:, rows], expected[0][:, rows])
        for part, wanted in zip(parts(end), parts(expected[1]), strict=True):
            assert_same_bits(part[:, rows], wanted[:, rows])


def test_reset_rows_of_a_chain():
    chain = gru_native.Chain(
        [
            gru_native.LSTM(3, 5, 2, dtype=np.float64, seed=1),
            gru_native.Dense(5, 4, dtype=np.float64, seed=2),
            gru_native.GRU(4, 6, dtype=np.float64, seed=3),
        ]
    )
    rng = np.random.default_rng(7)
    state, x = state_after(chain, rng), rng.normal(size=(4, 4, 3))
    fresh = gru_native.reset_rows(state, MASK)
    assert isinstance(fresh[0], tuple)
    y = chain(x, fresh)[0]
    assert_same_bits(y[:, MASK], chain(x)[0][:, MASK])
    assert_same_bits(y[:, ~MASK], chain(x, state)[0][:, ~MASK])
    assert gru_native.reset_rows((), MASK) == ()


@pytest.mark.parametrize(
    ("state", "mask", "error", "text"),
    [
        (np.ones((1, 2, 3)), [0, 1], TypeError, "mask has dtype int64; expected bool"),
        (np.ones((1, 2, 3)), [[True, False]], ValueError, "mask has shape (1, 2); expected (batch"),
        (np.ones((1, 2, 3)), True, ValueError, "mask has shape (); expected (batch,)"),
        (np.ones((1, 2, 3)), [True] * 3, ValueError, "state has shape (1, 2, 3); expected"),
        ((np.ones((1, 2, 3)), np.ones((1, 3, 3))), [True] * 2, ValueError, "state[1] has shape"),
        (np.ones((2, 3)), [True] * 2, ValueError, "state has shape (2, 3); expected (layers"),
        (None, [True], TypeError, "state is a NoneType; expected an array or a tuple"),
        (((np.ones((1, 1, 2)), None),), [True], TypeError, "state[0][1] is a NoneType"),
        (np.ones((1, 1, 2), int), [True], TypeError, "state has dtype int64; expected float32 or"),
    ],
)
def test_rows_that_cannot_be_reset(state, mask, error, text):
    with pytest.raises(error, match=re.escape(text)):
        gru_native.reset_rows(state, mask)


# --- truncated back-propagation

STEPS, BATCH = 12, 4


def case_of(name):
    return random_case(
        spec_of(name, 3, 5, 2), np.random.default_rng(11), seq_len=STEPS, batch=BATCH, dstate=False
    )


def windows(length):
    return [slice(t, t + length) for t in range(0, STEPS, length)]


def ends_before(t):
    """Which rows a new sequence takes over at step t: one after the other, never all."""
    return np.arange(BATCH) == (t // 4) % BATCH if t else np.zeros(BATCH, bool)


def truncated(layer, case, length, ends=lambda t: np.zeros(BATCH, bool)):
    """Outputs, last state and the sum of the windows' weight gradients, as a user computes them."""
    state, outputs, total = case.state, [], None
    for window in windows(length):
        state = gru_native.reset_rows(state, ends(window.start))
        y, state, tape = layer.forward(case.x[window], state)
        dw = layer.backward(tape, case.dy[window]).weights
        total = dw if total is None else {name: total[name] + dw[name] for name in dw}
        outputs.append(y)
    return np.concatenate(outputs), state, total


def reference_truncated(case, length, ends):
    """The float64 reference, sequence by sequence; zeros by multiplication, not by reset_rows."""
    state, total = case.state, None
    for window in windows(length):
        keep = 1.0 - ends(window.start)[None, :, None]
        state = regroup(state, [part * keep for part in parts(state)])
        _, state, tape = reference.forward(case.spec, case.weights, case.x[window], state)
        dw = reference.backward(case.spec, tape, case.dy[window])[2]
        total = dw if total is None else {name: total[name] + dw[name] for name in dw}
    return total


@pytest.mark.parametrize("name", CELLS_AND_OPTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [1, 3, 4])
def test_windows_forward_have_the_bits_of_the_whole(name, dtype, length):
    case = case_of(name).cast(dtype)
    layer = make_layer(case.spec, case.weights, dtype=dtype)
    y, state, _ = truncated(layer, case, length)
    whole, end = layer(case.x, case.state)
    assert_same_bits(y, whole)
    assert_same_state(state, end)


@pytest.mark.parametrize("name", CELLS_AND_OPTIONS)
def test_one_window_is_full_back_propagation(name):
    case = case_of(name)
    layer = make_layer(case.spec, case.weights)
    gradients = truncated(layer, case, STEPS)[2]
    tape = layer.forward(case.x, case.state)[2]
    full = layer.backward(tape, case.dy)
    for weight, dw in full.weights.items():
        assert_same_bits(gradients[weight], dw, weight)
    expected = reference.backward(
        case.spec, reference.forward(case.spec, case.weights, case.x, case.state)[2], case.dy
    )
    assert_all_close(gradient_arrays(full), named_gradients(*expected), 1e-12)


@pytest.mark.parametrize("name", CELLS_AND_OPTIONS)
@pytest.mark.parametrize("length", [1, 2, 4])
@pytest.mark.parametrize(
    "ends", [lambda t: np.zeros(BATCH, bool), ends_before], ids=["on", "reset"]
)
def test_windows_are_cut_where_the_reference_cuts(name, length, ends):
    case = case_of(name)
    layer = make_layer(case.spec, case.weights)
    gradients = truncated(layer, case, length, ends)[2]
    assert_all_close(gradients, reference_truncated(case, length, ends), 1e-12)
    full = layer.backward(layer.forward(case.x, case.state)[2], case.dy).weights
    assert any(np.abs(full[w] - gradients[w]).max() > 1e-3 for w in full)  # the cut matters
