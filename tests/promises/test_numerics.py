"""NaN, infinities and denormals, and the caller's floating-point mode."""

import threading

import numpy as np
import pytest

import gru_native
import reference
from helpers import (
    CELLS,
    CELLS_AND_OPTIONS,
    assert_close,
    assert_same_bits,
    make_layer,
    parts,
    random_case,
    spec_of,
)


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def odd_case(cell, dtype, *, bidirectional=False, lengths=None):
    """Odd sizes: whatever pads them must not meet a NaN or an infinity."""
    spec = spec_of(cell, 7, 19, 2, bidirectional, proj_size=5)
    rng = np.random.default_rng(1)
    return random_case(spec, rng, seq_len=6, batch=3, lengths=lengths, state=False).cast(dtype)


SPECIALS = {
    "nan": [((2, 1, 3), np.nan)],
    "nan_everywhere": [((slice(None), 0), np.nan)],
    "inf": [((2, 1, 3), np.inf)],
    "minus_inf": [((0, 2, 0), -np.inf)],
    "last_column": [((3, 0, 6), np.inf)],
    "inf_minus_inf": [((2, 1, 3), np.inf), ((2, 1, 5), -np.inf)],
    "at_the_end": [((5, 1, 0), np.nan), ((5, 2, 0), np.inf)],
    "past_the_end": [((4, 1, 0), np.nan), ((5, 2, 0), np.inf)],
}


def special_case(cell, dtype, special, bidirectional):
    lengths = [6, 4, 5] if special == "past_the_end" else None
    case = odd_case(cell, dtype, bidirectional=bidirectional, lengths=lengths)
    for index, value in SPECIALS[special]:
        case.x[index] = value
    return case


def check(case, dtype, y, final):
    """NaN and infinities in the same places, and the rest close (relative_error sees to both)."""
    tolerance = 1e-5 if dtype == np.float32 else 1e-11
    layer = make_layer(case.spec, case.weights, dtype=dtype)
    actual, actual_final = layer(case.x, lengths=case.lengths)
    assert_close(actual, y, tolerance)
    for part, expected in zip(parts(actual_final), parts(final), strict=True):
        assert_close(part, expected, tolerance, "final state")


@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("special", SPECIALS)
@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_specials_travel_as_in_the_papers(cell, special, bidirectional, dtype):
    case = special_case(cell, dtype, special, bidirectional)
    exact = case.cast(np.float64)
    y, final, _ = reference.forward(case.spec, exact.weights, exact.x, None, case.lengths)
    check(case, dtype, y, final)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("special", SPECIALS)
@pytest.mark.parametrize("cell", [*CELLS[:-1], "lstm_proj"])
def test_specials_travel_as_in_torch(cell, special, bidirectional, dtype):
    pytest.importorskip("torch")
    import torch_network

    case = special_case(cell, dtype, special, bidirectional)
    expected = torch_network.run(case)
    check(case, dtype, expected.y, expected.final)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_a_weight_that_is_no_number_shows_at_the_first_step(cell, value, dtype):
    """Though the state it is multiplied with is zero: the product is left out only if it is 0."""
    case = odd_case(cell, dtype)
    case.weights["weight_hh_l0"][:, 2] = value
    layer = make_layer(case.spec, case.weights, dtype=dtype)
    y, _ = layer(case.x[:1])
    exact = case.cast(np.float64)
    with np.errstate(invalid="ignore"):
        expected, _, _ = reference.forward(case.spec, exact.weights, exact.x[:1])
    assert np.isnan(expected).all()
    assert np.isnan(y).all()


@pytest.mark.parametrize("name", ["weight_hh_l0", "weight_hh_l1_reverse"])
@pytest.mark.parametrize("place", [(0, 0), (-1, -1), (21, 36), (36, 15), (33, 16)])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize("cell", CELLS)
def test_one_weight_that_is_no_number_shows_wherever_it_stands(cell, value, place, name, dtype):
    """It is looked for panel by panel, by several threads, and anew after each edit."""
    spec = spec_of(cell, 7, 37, 2, True)
    case = random_case(spec, np.random.default_rng(2), seq_len=1, batch=2, state=False).cast(dtype)
    layer = make_layer(spec, case.weights, dtype=dtype)
    finite, _ = layer(case.x)
    with layer.editing() as weights:
        before = weights[name][place]
        weights[name][place] = value
    assert np.isnan(layer(case.x)[0]).any()
    with layer.editing() as weights:
        weights[name][place] = before
    assert_same_bits(layer(case.x)[0], finite)


@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_a_gate_that_is_no_number_shows_at_the_only_step(cell, dtype):
    """inf - inf is NaN in some units; where their gate scales the zero state, all units see it."""
    case = odd_case(cell, dtype)
    case.x[0, 1, [3, 5]] = np.inf, -np.inf
    layer = make_layer(case.spec, case.weights, dtype=dtype)
    _, actual = layer(case.x[:1])
    exact = case.cast(np.float64)
    with np.errstate(invalid="ignore"):
        _, final, _ = reference.forward(case.spec, exact.weights, exact.x[:1])
    for part, expected in zip(parts(actual), parts(final), strict=True):
        assert_close(part, expected, 1e-5 if dtype == np.float32 else 1e-11, "final state")


@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_a_state_of_zeros_is_no_state(cell, dtype):
    case = odd_case(cell, dtype)
    layer = make_layer(case.spec, case.weights, dtype=dtype)
    y, final = layer(case.x)
    zeros = tuple(np.zeros_like(part) for part in parts(final))
    given, _ = layer(case.x, zeros if len(zeros) == 2 else zeros[0])
    assert y.tobytes() == given.tobytes()


@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_a_nan_stays_in_its_sequence(cell, dtype):
    case = odd_case(cell, dtype)
    layer = make_layer(case.spec, case.weights, dtype=dtype)
    clean, _ = layer(case.x)
    case.x[2, 1] = np.nan
    y, _, tape = layer.forward(case.x)
    assert np.isnan(y[2:, 1]).all()
    assert y[:2].tobytes() == clean[:2].tobytes()
    assert y[:, [0, 2]].tobytes() == clean[:, [0, 2]].tobytes()
    dx = layer.backward(tape, case.dy).x
    assert np.isfinite(dx[:, [0, 2]]).all()


@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_denormal_inputs_count_as_zeros_at_most(cell, dtype):
    """Whether they are flushed or not, no result moves by more than they are worth."""
    case = odd_case(cell, dtype)
    case.x[...] = np.finfo(dtype).tiny / 8 * np.sign(case.x)
    layer = make_layer(case.spec, case.weights, dtype=dtype)
    y, _, tape = layer.forward(case.x)
    zeros, _, _ = layer.forward(np.zeros_like(case.x))
    np.testing.assert_allclose(y, zeros, rtol=np.finfo(dtype).eps, atol=np.finfo(dtype).tiny * 100)
    assert np.isfinite(layer.backward(tape, case.dy).x).all()


@pytest.mark.parametrize("cell", CELLS_AND_OPTIONS)
def test_denormal_weights_do_no_harm(cell, dtype):
    case = odd_case(cell, dtype)
    for name, array in case.weights.items():
        if name.startswith("weight"):
            array[::2] = np.finfo(dtype).tiny / 16
    exact = case.cast(np.float64)
    y, _, _ = reference.forward(case.spec, exact.weights, exact.x)
    got, _ = make_layer(case.spec, case.weights, dtype=dtype)(case.x)
    np.testing.assert_allclose(got, y, rtol=1e-5, atol=1e-6 if dtype == np.float32 else 1e-13)


def test_small_numbers_add_up(dtype):
    """Small but normal weights are not flushed: each term of the sum is worth more than tiny."""
    tiny = float(np.finfo(dtype).tiny)
    layer = gru_native.RNN(64, 3, bias=False, dtype=dtype)
    weight = np.full((3, 64), 64 * tiny, dtype)
    layer.load_state_dict({"weight_ih_l0": weight, "weight_hh_l0": np.zeros((3, 3), dtype)})
    y, _ = layer(np.ones((1, 1, 64), dtype))
    np.testing.assert_allclose(y / tiny, 64 * 64, rtol=1e-6)


def denormals_live(dtype):
    """Whether this thread's arithmetic keeps them: inputs (DAZ) and results (FTZ)."""
    tiny = np.full(16, np.finfo(dtype).tiny, dtype)
    kept = tiny / dtype(4)
    return bool((kept != 0).all() and (kept * dtype(2) != 0).all())


def use(layer, dtype):
    """Everything that enters the core, failing calls too."""
    x = np.ones((6, 3, 7), dtype)
    y, _, tape = layer.forward(x)
    layer.backward(tape, y)
    layer(x)
    layer.stream()(x[0, 0])
    with pytest.raises(ValueError, match="x"):
        layer(x[:, :, :2])
    with pytest.raises(ValueError, match="lengths"):
        layer(x, lengths=[9, 9, 9])
    with pytest.raises(ValueError, match="dy"):
        layer.backward(tape, y[:1])
    with layer.editing() as w:
        w["weight_ih_l0"][...] = 1
    layer.load_state_dict(layer.state_dict())


@pytest.mark.parametrize("count", [1, 2])
def test_the_callers_mode_is_unchanged(dtype, count, threads):
    threads(count)
    assert denormals_live(dtype)
    use(gru_native.GRU(7, 65, 2, dtype=dtype), dtype)
    assert denormals_live(dtype)


def test_a_caller_who_flushes_denormals_still_does(dtype):
    """The mode is restored, not set to a default."""
    torch = pytest.importorskip("torch")
    seen = []

    def flushing():
        if torch.set_flush_denormal(True):
            seen.append(denormals_live(dtype))
            use(gru_native.GRU(7, 65, 2, dtype=dtype), dtype)
            seen.append(denormals_live(dtype))
            torch.set_flush_denormal(False)

    thread = threading.Thread(target=flushing)  # the mode is a thread's own
    thread.start()
    thread.join()
    if not seen:
        pytest.skip("torch cannot flush denormals on this CPU")
    assert seen == [False, False]
    assert denormals_live(dtype)


@pytest.mark.parametrize(
    "name",
    ["identity", "tanh", "softsign", "leaky_relu", "elu", ("scaled_tanh", 1.7, 0.6)],
    ids=str,
)
def test_odd_functions_keep_the_sign_of_zero(name, dtype):
    x = np.tile(np.array([0.0, -0.0, -0.0], dtype), (1, 1, 11))
    y = gru_native.Activation(name, dtype=dtype)(x)
    assert np.all(y == 0)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(x))
