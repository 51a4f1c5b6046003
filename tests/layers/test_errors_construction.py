"""Wrong sizes and options of a layer, and wrong weights for it."""

import numpy as np
import pytest

import gru_native
from helpers import assert_same_bits

KINDS = [gru_native.RNN, gru_native.LSTM, gru_native.GRU]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


@pytest.mark.parametrize("value", [0, -1, -(2**40)])
@pytest.mark.parametrize("name", ["input_size", "hidden_size", "num_layers"])
def test_size_of_nothing(kind, name, value):
    sizes = {"input_size": 3, "hidden_size": 4, "num_layers": 1, name: value}
    with pytest.raises(ValueError, match=rf"\b{name}\b.*{value}"):
        kind(**sizes)


@pytest.mark.parametrize("value", [4.0, "4", None, [4], 4j])
@pytest.mark.parametrize("name", ["input_size", "hidden_size", "num_layers"])
def test_size_that_is_no_integer(kind, name, value):
    sizes = {"input_size": 3, "hidden_size": 4, "num_layers": 1, name: value}
    with pytest.raises(TypeError, match=rf"\b{name}\b"):
        kind(**sizes)


def test_numpy_integers_are_integers(kind):
    layer = kind(np.int64(3), np.uint8(4), np.int32(2))
    assert layer.num_parameters == kind(3, 4, 2).num_parameters


@pytest.mark.parametrize(
    "sizes",
    [
        (3, 2**62),
        (2**62, 3),
        (2**40, 2**40),
        (2**31, 2**31),
        (3, 4, 2**62),
        (2**61, 1),  # the count fits, its bytes do not
        (1, 2**24),  # the bytes fit 64 bits, but no address space
        (3, 2**70),
        (2**64 + 3, 4),  # 3, to whoever keeps the low bits
    ],
    ids=str,
)
def test_sizes_that_overflow(kind, sizes):
    with pytest.raises((ValueError, MemoryError)):
        kind(*sizes)


@pytest.mark.parametrize(
    ("dropout", "error"),
    [
        (-0.1, ValueError),
        (1.1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        ("half", TypeError),
        (None, TypeError),
    ],
)
def test_dropout(kind, dropout, error):
    with pytest.raises(error, match=r"\bdropout\b"):
        kind(3, 4, 2, dropout=dropout)


@pytest.mark.parametrize("proj_size", [4, 5, -1, 2**62])
def test_proj_size_that_does_not_project(proj_size):
    with pytest.raises(ValueError, match=r"\bproj_size\b"):
        gru_native.LSTM(3, 4, proj_size=proj_size)


def test_proj_size_that_is_no_integer():
    with pytest.raises(TypeError, match=r"\bproj_size\b"):
        gru_native.LSTM(3, 4, proj_size=2.0)


@pytest.mark.parametrize(
    ("nonlinearity", "error"), [("softmax", ValueError), ("", ValueError), (1, TypeError)]
)
def test_nonlinearity(nonlinearity, error):
    error = (TypeError, ValueError) if error is TypeError else error
    with pytest.raises(error, match=r"\bnonlinearity\b") as caught:
        gru_native.RNN(3, 4, nonlinearity=nonlinearity)
    assert "tanh" in str(caught.value)
    assert "relu" in str(caught.value)


@pytest.mark.parametrize("dtype", [np.float16, np.int32, complex, object, "word", 7])
def test_dtype(kind, dtype):
    with pytest.raises((TypeError, ValueError), match=r"\bdtype\b") as caught:
        kind(3, 4, dtype=dtype)
    assert "float32" in str(caught.value)
    assert "float64" in str(caught.value)


@pytest.mark.parametrize("dtype", [np.float64, "float64", np.dtype("f8"), float])
def test_dtype_in_any_spelling(kind, dtype):
    layer = kind(3, 4, dtype=dtype)
    assert layer(np.ones((2, 3)))[0].dtype == np.float64


@pytest.mark.parametrize(
    ("other", "option"),
    [
        (gru_native.LSTM, {"nonlinearity": "relu"}),
        (gru_native.GRU, {"nonlinearity": "relu"}),
        (gru_native.RNN, {"proj_size": 2}),
        (gru_native.GRU, {"proj_size": 2}),
        (gru_native.RNN, {"reset_after": True}),
        (gru_native.LSTM, {"reset_after": True}),
    ],
)
def test_option_of_another_cell(other, option):
    with pytest.raises(TypeError, match=next(iter(option))):
        other(3, 4, **option)


@pytest.mark.parametrize("seed", ["a", 1.5])
def test_seed(kind, seed):
    with pytest.raises(TypeError, match=r"\bseed\b"):
        kind(3, 4, seed=seed)


@pytest.fixture
def layer(kind):
    layer = kind(3, 4, 2, seed=1)
    x = np.random.default_rng(1).standard_normal((5, 2, 3)).astype(np.float32)
    y, _ = layer(x)
    before = {name: array.copy() for name, array in layer.weights.items()}
    yield layer
    # No error may leave some weights written, nor a packed copy that differs from them.
    for name, array in before.items():
        assert_same_bits(np.asarray(layer.weights[name]), array, name)
    assert_same_bits(layer(x)[0], y)


def changed(layer, **entries):
    """Other weights for the layer, all different from its own, with these entries replaced."""
    weights = {name: array + np.float32(0.5) for name, array in layer.state_dict().items()}
    weights.update(entries)
    return {name: array for name, array in weights.items() if array is not ...}


LAST = "bias_hh_l1"  # so that a loader that writes as it checks has written the others


@pytest.mark.parametrize("name", ["weight_ih_l0", LAST])
def test_missing_weight(layer, name):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        layer.load_state_dict(changed(layer, **{name: ...}))


def test_all_missing_weights_are_named(layer):
    with pytest.raises(ValueError, match=r"weight_ih_l0.*bias_hh_l1"):
        layer.load_state_dict(changed(layer, **{LAST: ..., "weight_ih_l0": ...}))


@pytest.mark.parametrize("name", ["weight_ih_l2", "weight_ih_l0_reverse", "extra"])
def test_surplus_weight(layer, name):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        layer.load_state_dict(changed(layer, **{name: np.zeros(3, np.float32)}))


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("shape", [(), (3,), (1, 4), (0,), (4, 1), (2, 2, 4)], ids=str)
def test_misshapen_weight(layer, shape, strict):
    with pytest.raises(ValueError, match=rf"\b{LAST}\b.*\({', '.join(map(str, shape))}"):
        layer.load_state_dict(changed(layer, **{LAST: np.zeros(shape, np.float32)}), strict=strict)


def test_transposed_weight(layer):
    name = "weight_ih_l0"
    transposed = layer.state_dict()[name].T.copy()
    with pytest.raises(ValueError, match=rf"\b{name}\b.*\(3, "):
        layer.load_state_dict(changed(layer, **{name: transposed}))


@pytest.mark.parametrize("value", [None, "zeros", np.zeros(4, object), np.zeros(4, complex)])
def test_weight_of_another_type(layer, value):
    with pytest.raises(TypeError, match=rf"\b{LAST}\b"):
        layer.load_state_dict(changed(layer, **{LAST: value}))


@pytest.mark.parametrize("mapping", [None, 1, "weights", [np.zeros(3)]])
def test_weights_that_are_no_mapping(layer, mapping):
    with pytest.raises(TypeError, match=r"\bmapping\b|state_dict"):
        layer.load_state_dict(mapping)
