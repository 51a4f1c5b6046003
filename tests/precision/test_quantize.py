"""int8 and bf16 layers: what they are made of, how near they come, the promises they keep."""

import numpy as np
import pytest

import gru_native
from few_bits import int8_product, widened
from gru_native import GRU, LSTM, RNN, Chain, Dense
from helpers import assert_same_bits, parts

PRECISIONS = ("int8", "bf16")
LAYERS = {
    "rnn": lambda **o: RNN(33, 37, seed=1, **o),
    "relu": lambda **o: RNN(33, 37, nonlinearity="relu", seed=1, **o),
    "lstm": lambda **o: LSTM(33, 37, seed=1, **o),
    "projection": lambda **o: LSTM(33, 37, proj_size=9, nonrecurrent_proj_size=5, seed=1, **o),
    "peephole": lambda **o: LSTM(33, 37, peephole=True, cell_clip=0.7, seed=1, **o),
    "coupled": lambda **o: LSTM(33, 37, coupled_gates=True, seed=1, **o),
    "no_forget": lambda **o: LSTM(33, 37, forget_gate=False, seed=1, **o),
    "gate_recurrence": lambda **o: LSTM(33, 37, gate_recurrence=True, seed=1, **o),
    "layer_norm": lambda **o: LSTM(33, 37, layer_norm=True, seed=1, **o),
    "gru": lambda **o: GRU(33, 37, seed=1, **o),
    "gru_before": lambda **o: GRU(33, 37, reset_after=False, seed=1, **o),
    "gru_softsign": lambda **o: GRU(33, 37, candidate_activation="softsign", seed=1, **o),
}


def inputs(layer, steps=21, batch=5, seed=0):
    return np.random.default_rng(seed).standard_normal(
        (steps, batch, layer.input_size), dtype=np.float32
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", LAYERS)
def test_weights_are_those_of_the_definition(name, precision):
    layer = LAYERS[name]()
    fast = layer.quantize(precision)
    assert type(fast) is type(layer)
    assert fast.precision == precision
    assert layer.precision == "float32"
    for key, w in layer.weights.items():
        expected = widened(w, precision) if w.ndim == 2 else w
        np.testing.assert_array_equal(fast.weights[key], expected, err_msg=key)
    assert fast.num_parameters == layer.num_parameters


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", LAYERS)
def test_comes_near_the_float_layer(name, precision):
    layer = LAYERS[name](num_layers=2, bidirectional=True)
    x = inputs(layer)
    y, _ = layer(x, lengths=[21, 3, 20, 0, 7])
    fast, _ = layer.quantize(precision)(x, lengths=[21, 3, 20, 0, 7])
    apart = np.abs(y - fast) / max(1.0, np.abs(y).max())
    bound = 0.04 if precision == "int8" else 0.015  # without a forget gate errors add up
    assert 0 < apart.mean() < bound / 2
    if name != "layer_norm":  # which makes as much of a small difference as of a large one
        assert apart.max() < bound


@pytest.mark.parametrize("name", ["lstm", "gru", "relu"])
def test_int8_is_the_recurrence_in_whole_numbers(name):
    """One step from a state, in NumPy: products of whole numbers, scales by row, then the cell."""
    layer = LAYERS[name]()
    fast = layer.quantize("int8")
    rng = np.random.default_rng(3)
    x = rng.standard_normal((1, 4, layer.input_size), dtype=np.float32)
    h = rng.uniform(-1, 1, (1, 4, 37)).astype(np.float32)
    c = rng.standard_normal((1, 4, 37), dtype=np.float32)

    w = layer.weights
    from_x = int8_product(x[0], w["weight_ih_l0"]) + w["bias_ih_l0"]
    from_h = int8_product(h[0], w["weight_hh_l0"]) + w["bias_hh_l0"]

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    if name == "lstm":
        y, _ = fast(x, (h, c))
        i, f, g, o = np.split(from_x + from_h, 4, axis=1)
        expected = sigmoid(o) * np.tanh(sigmoid(f) * c[0] + sigmoid(i) * np.tanh(g))
    elif name == "gru":
        y, _ = fast(x, h)
        (r, z, n), (r_h, z_h, n_h) = np.split(from_x, 3, axis=1), np.split(from_h, 3, axis=1)
        z = sigmoid(z + z_h)
        expected = z * h[0] + (1 - z) * np.tanh(n + sigmoid(r + r_h) * n_h)
    else:
        y, _ = fast(x, h)
        expected = np.maximum(from_x + from_h, 0)
    np.testing.assert_allclose(y[0], expected, atol=2e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", LAYERS)
def test_same_bits_for_threads_batch_and_chunks(name, precision, threads):
    fast = LAYERS[name](num_layers=2).quantize(precision)
    x = inputs(fast, steps=40, batch=70)
    threads(1)
    y, state = fast(x)
    threads(2)
    assert_same_bits(fast(x)[0], y)
    alone, _ = fast(x[:, 3:4])
    assert_same_bits(alone, y[:, 3:4])
    stream = fast.stream(70)
    assert_same_bits(np.concatenate([stream(x[:1]), stream(x[1:18]), stream(x[18:])]), y)
    first, middle = fast(x[:11])
    rest, end = fast(x[11:], middle)
    assert_same_bits(np.concatenate([first, rest]), y)
    for one, other in zip(parts(state), parts(end), strict=True):
        assert_same_bits(one, other)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_masks_and_held_outputs(precision):
    fast = GRU(33, 37, seed=1).quantize(precision)
    x = inputs(fast)
    mask = np.random.default_rng(5).random((21, 5)) < 0.6
    y, h = fast(x, mask=mask, masked_output="hold")
    for b in range(5):
        alone, last = fast(x[mask[:, b], b])
        assert_same_bits(y[mask[:, b], b], alone)
        assert_same_bits(h[:, b], last)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_nan_and_infinity_stay_in_their_row(precision):
    fast = LSTM(33, 37, seed=1).quantize(precision)
    x = inputs(fast)
    y, _ = fast(x)
    x[7, 2, 4] = np.nan
    x[9, 4, 0] = np.inf
    strange, _ = fast(x)
    for b in (0, 1, 3):
        assert_same_bits(strange[:, b], y[:, b])
    assert_same_bits(strange[:7, 2], y[:7, 2])
    assert np.isnan(strange[7:, 2]).all()
    if precision == "int8":  # the scale of that row and step is not finite
        assert np.isnan(strange[9:, 4]).all()


@pytest.mark.parametrize("sizes", [(1, 8), (8, 16), (28, 28)])
@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_small_matrices_of_int8_are_multiplied_as_floats(kind, sizes, tmp_path):
    fast = kind(*sizes, num_layers=2, seed=1).quantize("int8")
    floats = kind(*sizes, num_layers=2)
    floats.load_state_dict(dict(fast.weights))
    x = inputs(fast)
    y, _ = floats(x)
    assert_same_bits(fast(x)[0], y)
    assert_same_bits(fast.stream(5)(x), y)
    assert_same_bits(fast.stream()(x[:, :1]), y[:, :1])
    gru_native.save(fast, tmp_path / "few.safetensors")
    assert_same_bits(gru_native.load(tmp_path / "few.safetensors")(x)[0], y)
    x[5, 2, 0] = np.inf
    assert_same_bits(fast(x)[0], floats(x)[0])
    for larger in (kind(29, 28), kind(28, 29)):
        few = larger.quantize("int8")
        floats = kind(larger.input_size, larger.hidden_size)
        floats.load_state_dict(dict(few.weights))
        assert (few(inputs(few))[0] != floats(inputs(few))[0]).any()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_zeros_denormals_and_large_numbers(precision):
    fast = GRU(33, 37, seed=1).quantize(precision)
    zero, _ = fast(np.zeros((3, 1, 33), np.float32))
    for size in (1e-40, 1.1754e-38):
        tiny, _ = fast(np.full((3, 1, 33), size, np.float32))
        assert_same_bits(zero, tiny)
    if precision == "int8":
        huge, _ = fast(np.full((3, 1, 33), 3e38, np.float32))
        assert np.isfinite(huge).all()


@pytest.mark.parametrize("activation", ["identity", "relu", "softmax"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_dense(precision, activation, threads):
    dense = Dense(70, 23, activation=activation, seed=2)
    fast = dense.quantize(precision)
    x = inputs(dense, 40, 3)
    y = fast(x)
    assert 0 < np.abs(y - dense(x)).max() < 0.03
    threads(1)
    assert_same_bits(fast(x), y)
    assert_same_bits(fast(x[4, 1]), y[4, 1])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_chain(precision):
    chain = Chain([LSTM(33, 37, seed=1), GRU(37, 20, seed=2), Dense(20, 4, seed=3)])
    fast = chain.quantize(precision)
    assert (chain.precision, fast.precision) == ("float32", precision)
    assert type(fast) is Chain
    x = inputs(chain)
    y, _ = fast(x)
    assert 0 < np.abs(y - chain(x)[0]).max() < 0.05
    assert_same_bits(fast.stream(5)(x), y)
    differences = gru_native.compare(chain, fast, x)
    assert [d.what for d in differences] == [
        "block 0, output",
        "block 0, state of layer 0",
        "block 1, output",
        "block 1, state of layer 0",
        "block 2, output",
    ]
    assert differences[-1].largest == np.abs(y - chain(x)[0]).max()
    assert "differs by" in str(differences[0])


def test_int8_and_bf16_stay_within_their_bounds_over_a_thousand_steps():
    """At H=256, with weights as PyTorch initialises them."""
    for kind in (LSTM, GRU):
        layer = kind(64, 256, seed=4)
        x = inputs(layer, 1000, 2, seed=6)
        y, _ = layer(x)
        errors = {p: np.abs(y - layer.quantize(p)(x)[0]).max() for p in PRECISIONS}
        assert errors["int8"] < 0.02, errors
        assert errors["bf16"] < 0.005, errors


ERRORS = {
    "no precision": (lambda: LSTM(3, 4).quantize("int4"), ValueError, "precision is 'int4'"),
    "no text": (lambda: LSTM(3, 4).quantize(8), TypeError, "precision is a"),
    "float64": (lambda: GRU(3, 4, dtype=np.float64).quantize("int8"), TypeError, "float64"),
    "twice": (lambda: GRU(3, 4).quantize("int8").quantize("bf16"), ValueError, "already"),
    "training": (
        lambda: GRU(3, 4).quantize("int8").forward(np.zeros((2, 1, 3), np.float32)),
        ValueError,
        "train the layer of full precision",
    ),
    "training a head": (
        lambda: Dense(3, 4).quantize("bf16").forward(np.zeros((2, 3), np.float32)),
        ValueError,
        "train the layer of full precision",
    ),
    "training a chain": (
        lambda: Chain([GRU(3, 4)]).quantize("int8").forward(np.zeros((2, 1, 3), np.float32)),
        ValueError,
        "blocks[0]: the layer has int8 weights, which are for inference only; train the layer of",
    ),
    "rtrl": (
        lambda: gru_native.RTRL(RNN(3, 4).quantize("int8")),
        ValueError,
        "the layer has int8 weights, which are for inference only; train the layer of full",
    ),
    "loading": (
        lambda: GRU(3, 4).quantize("bf16").load_state_dict(GRU(3, 4).state_dict()),
        ValueError,
        "edit the layer of full precision",
    ),
    "loading a chain": (
        lambda: Chain([GRU(3, 4)]).quantize("bf16").load_state_dict({}, strict=False),
        ValueError,
        "edit the layer of full precision",
    ),
    "editing": (lambda: _edit(GRU(3, 4).quantize("bf16")), ValueError, "edit the layer of full"),
    "others": (
        lambda: gru_native.compare(GRU(3, 4), LSTM(3, 4), np.zeros((2, 1, 3), np.float32)),
        TypeError,
        "layer is a GRU and fast an LSTM",
    ),
    "in a chain": (
        lambda: Chain([GRU(3, 4), Dense(4, 2)]).quantize("int7"),
        ValueError,
        "blocks[0]: precision",
    ),
}  # fmt: skip


def _edit(layer):
    with layer.editing() as w:
        w["weight_hh_l0"] *= 2


OTHERS = {
    "GatedRecursiveConv": lambda: gru_native.GatedRecursiveConv(3, 4),
    "AttentionDecoder": lambda: gru_native.AttentionDecoder(9, 3, 4, 5),
}


@pytest.mark.parametrize("name", OTHERS)
def test_layers_without_such_a_form_say_so(name):
    layer = OTHERS[name]()
    assert not hasattr(layer, "quantize")
    text = f"{name} has no form with weights of few bits; recurrent layers, trees, graphs"
    with pytest.raises(AttributeError, match=text):
        layer.quantize("int8")


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    call, kind, text = ERRORS[case]
    with pytest.raises(kind, match=text.replace("[", r"\[").replace("]", r"\]")):
        call()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_that_are_not_finite(precision):
    layer = GRU(3, 4)
    with layer.editing() as w:
        w["weight_hh_l0"][2, 1] = np.nan
    with pytest.raises(ValueError, match="weight_hh_l0 has NaN or infinity in row 2"):
        layer.quantize(precision)
