"""The activation functions of recurrent layers: each in each place, their numbers, what goes into
them held within a limit, and what cannot be trained.
"""

import json

import numpy as np
import pytest

import gru_native
import reference
from checks import check_slopes, run
from helpers import (
    FUNCTIONS,
    assert_close,
    assert_same_bits,
    make_layer,
    random_case,
)
from reference import Spec, Variant
from reference.functions import chosen
from variants import check_in_both_dtypes, random_call, random_network

PLACES = {
    "rnn": lambda f: {"cell": "rnn", "nonlinearity": f},
    "gru gates": lambda f: {"cell": "gru", "gate_activation": f},
    "gru candidate": lambda f: {"cell": "gru", "candidate_activation": f},
    "gru before, gates": lambda f: {"cell": "gru_reset_before", "gate_activation": f},
    "gru before, candidate": lambda f: {"cell": "gru_reset_before", "candidate_activation": f},
    "lstm gates": lambda f: {"cell": "lstm", "variant": Variant(gate_activation=f)},
    "lstm input": lambda f: {"cell": "lstm", "variant": Variant(input_activation=f)},
    "lstm output": lambda f: {"cell": "lstm", "variant": Variant(output_activation=f)},
}


def with_clip(options, clip):
    if options["cell"] == "lstm":
        return {
            **options,
            "variant": Variant(**{**vars(options["variant"]), "activation_clip": clip}),
        }
    return {**options, "activation_clip": clip}


def two_layers(options):
    sizes = {"input_size": 3, "hidden_size": 5, "num_layers": 2, "bidirectional": True}
    return Spec(**sizes, **options)


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
@pytest.mark.parametrize("place", PLACES)
def test_against_the_reference(place, function):
    """The LSTM's with missing gates, peepholes and the others' options: test_variants."""
    seed = FUNCTIONS.index(function)
    rng = np.random.default_rng([60, list(PLACES).index(place), seed])
    options = PLACES[place](function)
    if seed % 3 == 0:
        options = with_clip(options, 0.75)
    check_in_both_dtypes(random_call(random_network(rng, **options), seed, rng))


def slopes(spec):
    """The kinks are no derivatives; it would take a sum within a millionth of one."""
    rng = np.random.default_rng(61)
    case = random_case(spec, rng, seq_len=3, batch=3, lengths=np.array([2, 3, 0]))
    case.x[...] *= 0.5  # gates without bounds make much of much

    def forward():
        return make_layer(spec, case.weights)(case.x, case.state, lengths=case.lengths)

    _, _, gradients = run(make_layer(spec, case.weights), case)
    check_slopes(case, forward, gradients, rng)


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
@pytest.mark.parametrize("place", PLACES)
def test_gradients_are_derivatives(place, function):
    slopes(two_layers(PLACES[place](function)))


@pytest.mark.parametrize("place", PLACES)
def test_gradients_with_a_limit_are_derivatives(place):
    slopes(two_layers(with_clip(PLACES[place]("softplus"), 0.5)))


def of_numbers(function, a, clip=None):
    """f(a) by a network of one unit that hands its input through, and its slope."""
    layer = gru_native.RNN(1, 1, nonlinearity=function, activation_clip=clip, dtype=a.dtype)
    with layer.editing() as w:
        for name in w:
            w[name][...] = name == "weight_ih_l0"
    y, _, tape = layer.forward(a.reshape(1, -1, 1))
    slope = layer.backward(tape, np.ones_like(y)).x
    return y.ravel(), slope.ravel()


GRID = np.concatenate([s * 10.0 ** np.arange(-30, 30, 0.03125) for s in (-1, 1)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_values_from_the_smallest_to_the_largest(function, dtype):
    """Right to a few units in the last place, where the function does not subtract."""
    a = GRID.astype(dtype)
    eps = np.finfo(dtype).eps
    actual, slope = of_numbers(function, a)
    f, df = chosen(function)
    with np.errstate(over="ignore"):  # cosh
        expected, expected_slope = f(a.astype(np.float64)), df(a.astype(np.float64))
    tiny = np.finfo(dtype).tiny  # denormals are flushed
    cancels = eps if "affine" in function or "hard_sigmoid" in function else 0
    assert np.all(abs(actual - expected) <= 6 * eps * abs(expected) + tiny + cancels)
    # Slopes come from y, and are as right as y is far from where they vanish.
    assert np.all(abs(slope - expected_slope) <= 12 * eps * (1 + abs(expected_slope)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_nan_and_infinity(function, dtype):
    a = np.array([np.nan, np.inf, -np.inf], dtype)
    y, _ = of_numbers(function, a)
    f, _ = chosen(function)
    ends = np.array([1, -1.0]) if function == "softsign" else f(a[1:].astype(np.float64))
    np.testing.assert_array_equal(y, np.array([np.nan, *ends], dtype))


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_a_limit_holds_what_goes_in(function):
    a = np.linspace(-3, 3, 101)
    y, slope = of_numbers(function, a, clip=1.25)
    free, free_slope = of_numbers(function, np.clip(a, -1.25, 1.25))
    assert_same_bits(y, free)
    np.testing.assert_array_equal(slope, np.where(abs(a) < 1.25, free_slope, 0))


def test_a_limit_that_nothing_reaches_changes_nothing():
    for cell in ("rnn", "gru", "gru_reset_before"):
        case = random_case(Spec(cell, 7, 17, 2), np.random.default_rng(62))
        plain, limited = (
            run(make_layer(Spec(cell, 7, 17, 2, activation_clip=clip), case.weights), case)
            for clip in (None, 1e30)
        )
        assert_close(limited[0], plain[0], 1e-14)
        for name in plain[2]:
            assert_close(limited[2][name], plain[2][name], 1e-13, name)


@pytest.mark.parametrize(
    ("kind", "option", "function", "usual"),
    [
        (gru_native.RNN, "nonlinearity", ("scaled_tanh", 1, 1), "tanh"),
        (gru_native.RNN, "nonlinearity", ("leaky_relu", 0), "relu"),
        (gru_native.GRU, "candidate_activation", ("affine", 1, 0), "identity"),
        (gru_native.LSTM, "output_activation", ("elu", 0), "relu"),
    ],
)
def test_usual_functions_by_another_name_are_the_same(kind, option, function, usual):
    x = np.random.default_rng(63).standard_normal((5, 3, 4))
    ours, theirs = (
        kind(4, 9, dtype=np.float64, seed=5, **{option: f})(x)[0] for f in (function, usual)
    )
    assert_close(ours, theirs, 1e-14)


TURNING = [("leaky_relu", -0.25), ("elu", -1.0)]


@pytest.mark.parametrize("function", TURNING, ids=str)
@pytest.mark.parametrize("place", PLACES)
def test_what_has_two_inputs_for_one_output(place, function):
    """Inference only: its slope does not follow from its output."""
    spec = two_layers(PLACES[place](function))
    case = random_case(spec, np.random.default_rng(64))
    layer = make_layer(spec, case.weights)
    assert_close(
        layer(case.x, case.state)[0],
        reference.forward(spec, case.weights, case.x, case.state)[0],
        1e-12,
    )
    with pytest.raises(
        ValueError, match=rf'_?activation|nonlinearity.* is \("{function[0]}", -.*train'
    ):
        layer.forward(case.x)


WITHOUT_MEANING = [
    ("gelu", ValueError, 'is "gelu"; expected "identity", "tanh"'),
    (("gelu", 1.0), ValueError, 'is "gelu"'),
    (("relu", 0.1), ValueError, 'is "relu" with 1 numbers; expected at most 0'),
    (("elu", 0.1, 0.2), ValueError, 'is "elu" with 2 numbers; expected at most 1'),
    (("affine", 1, 2, 3), ValueError, "with 3 numbers; expected at most 2"),
    (("elu", float("nan")), ValueError, "expected finite numbers"),
    (("affine", 1.0, float("inf")), ValueError, "expected finite numbers"),
    ("scaled_tanh", ValueError, "expected finite numbers"),
    (("scaled_tanh", 1.0), ValueError, "expected finite numbers"),
    (("elu", "1"), TypeError, "is a str; expected a number"),
    (("elu", True), TypeError, "is a bool; expected a number"),
    (("elu", None), TypeError, "is a NoneType; expected a number"),
    ((), TypeError, "is a tuple; expected a string"),
    ((1.0, "elu"), TypeError, "is a tuple; expected a string"),
    (["elu", 1.0], TypeError, "is a list; expected a string"),
    (None, TypeError, "is a NoneType; expected a string"),
]


@pytest.mark.parametrize(("value", "error", "text"), WITHOUT_MEANING, ids=str)
def test_functions_without_meaning(value, error, text):
    for kind, option in (
        (gru_native.RNN, "nonlinearity"),
        (gru_native.GRU, "gate_activation"),
        (gru_native.GRU, "candidate_activation"),
        (gru_native.LSTM, "gate_activation"),
        (gru_native.LSTM, "output_activation"),
    ):
        with pytest.raises(error, match=f"^{option} is ") as caught:
            kind(3, 4, **{option: value})
        assert text in str(caught.value).replace(option, "it") or text in str(caught.value)


@pytest.mark.parametrize("kind", [gru_native.RNN, gru_native.GRU, gru_native.LSTM])
@pytest.mark.parametrize("clip", [0, -1.0, float("nan"), float("inf")])
def test_a_limit_without_meaning(kind, clip):
    with pytest.raises(ValueError, match=r"^activation_clip is .*; expected a limit above 0"):
        kind(3, 4, activation_clip=clip)
    with pytest.raises(TypeError, match=r"^activation_clip is a str; expected a number"):
        kind(3, 4, activation_clip="1")


LAYERS = [
    lambda: gru_native.RNN(3, 4, nonlinearity=("leaky_relu", 0.02), activation_clip=2.5, seed=1),
    lambda: gru_native.RNN(3, 4, nonlinearity="softplus", seed=1),
    lambda: gru_native.GRU(3, 4, gate_activation=("hard_sigmoid", 0.1), seed=1),
    lambda: gru_native.GRU(3, 4, candidate_activation=("scaled_tanh", 1.7, 0.6), seed=1),
    lambda: gru_native.LSTM(
        *(3, 4), gate_activation=("affine", 1, 0.5), activation_clip=1.0, cell_clip=3.0, seed=1
    ),
]


@pytest.mark.parametrize("make", LAYERS)
def test_through_a_file(make, tmp_path):
    layer = make()
    gru_native.save(layer, tmp_path / "model")
    loaded = gru_native.load(tmp_path / "model")
    assert eval(repr(layer), {**vars(gru_native), "float32": np.float32}).weights.keys()
    x = np.random.default_rng(65).standard_normal((5, 2, 3)).astype(np.float32)
    assert_same_bits(loaded(x)[0], layer(x)[0])
    gru_native.save(loaded, tmp_path / "again")
    assert_same_bits(gru_native.load(tmp_path / "again")(x)[0], layer(x)[0])


@pytest.mark.parametrize(
    "value", [[], ["elu", "1"], [1, "elu"], ["elu", 1, 2], ["elu", 1e999], {"name": "elu"}, "gelu"]
)
def test_hostile_functions_in_a_file(value, tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    layer = gru_native.RNN(3, 4)
    block = {"type": "RNN", "prefix": "", "input_size": 3, "hidden_size": 4, "nonlinearity": value}
    metadata = {"gru_native": json.dumps({"version": 1, "blocks": [block]})}
    path = tmp_path / "model"
    path.write_bytes(safetensors.save(layer.state_dict(), metadata))
    with pytest.raises(ValueError, match=r"model: description: .*(nonlinearity|no JSON)"):
        gru_native.load(path)
