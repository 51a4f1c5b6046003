"""Options of a cell that have no meaning, alone or together, and weights of another variant."""

import re

import numpy as np
import pytest

import gru_native
from helpers import ACTIVATION_NAMES, assert_same_bits

NO_GATES = {"input_gate": False, "forget_gate": False, "output_gate": False}
NAN, INF = float("nan"), float("inf")

WITHOUT_MEANING = [
    ({"coupled_gates": True, "input_gate": False}, "coupled_gates"),
    ({"coupled_gates": True, "forget_gate": False}, "coupled_gates"),
    ({"coupled_gates": True, **NO_GATES}, "coupled_gates"),
    ({"peephole": True, **NO_GATES}, "peephole"),
    ({"gate_recurrence": True, "coupled_gates": True}, "gate_recurrence"),
    *(({"gate_recurrence": True, gate: False}, "gate_recurrence") for gate in NO_GATES),
    ({"nonrecurrent_proj_size": 2}, "nonrecurrent_proj_size"),
    ({"nonrecurrent_proj_size": -1}, "nonrecurrent_proj_size"),
    ({"nonrecurrent_proj_size": -1, "proj_size": 2}, "nonrecurrent_proj_size"),
    ({"cell_clip": 0}, "cell_clip"),
    ({"cell_clip": -50.0}, "cell_clip"),
    ({"cell_clip": NAN}, "cell_clip"),
    ({"cell_clip": INF}, "cell_clip"),
    ({"input_activation": "softmax"}, "input_activation"),
    ({"input_activation": ""}, "input_activation"),
    ({"output_activation": "Tanh"}, "output_activation"),
]


@pytest.mark.parametrize(("options", "argument"), WITHOUT_MEANING, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_options_without_meaning(options, argument, dtype):
    with pytest.raises(ValueError, match=rf"^{argument} is .*; expected "):
        gru_native.LSTM(3, 4, dtype=dtype, **options)


WRONG_TYPES = [
    *(
        ({name: value}, name)
        for name in ("peephole", "coupled_gates", "gate_recurrence", *NO_GATES)
        for value in (1, 0, None, "True", [True])
    ),
    *(
        ({name: value}, name)
        for name in ("input_activation", "output_activation")
        for value in (None, 1, b"tanh", ["tanh"], np.tanh)
    ),
    *(({"cell_clip": value}, "cell_clip") for value in ("1", True, [1.0], 1j, np.ones(1))),
    *(
        ({"proj_size": 2, "nonrecurrent_proj_size": value}, "nonrecurrent_proj_size")
        for value in (2.0, "2", None, True)
    ),
]


@pytest.mark.parametrize(("options", "argument"), WRONG_TYPES, ids=str)
def test_options_of_wrong_types(options, argument):
    with pytest.raises(TypeError, match=rf"^{argument} is an? .*; expected "):
        gru_native.LSTM(3, 4, **options)


@pytest.mark.parametrize(
    ("value", "error", "expected"), [("softmax", ValueError, "tanh"), (None, TypeError, "a string")]
)
def test_candidate_activation(value, error, expected):
    with pytest.raises(error, match=rf"^candidate_activation is .*; expected .*{expected}"):
        gru_native.GRU(3, 4, candidate_activation=value)


def test_the_message_lists_the_activations():
    with pytest.raises(ValueError, match=r'^input_activation is "softmax"') as caught:
        gru_native.LSTM(3, 4, input_activation="softmax")
    for name in ACTIVATION_NAMES:
        assert f'"{name}"' in str(caught.value)


@pytest.mark.parametrize(
    "option", ["peephole", "coupled_gates", "input_gate", "cell_clip", "gate_recurrence"]
)
@pytest.mark.parametrize("kind", [gru_native.RNN, gru_native.GRU])
def test_options_of_another_cell(kind, option):
    with pytest.raises(TypeError, match=option):
        kind(3, 4, **{option: True})
    with pytest.raises(TypeError, match="candidate_activation"):
        gru_native.LSTM(3, 4, candidate_activation="tanh")


@pytest.mark.parametrize("name", ["vanilla", "", "cifg", "FGR "])
def test_unknown_variant(name):
    with pytest.raises(ValueError, match=f"^name is {re.escape(repr(name))}; expected ") as caught:
        gru_native.LSTM.variant(name, 3, 4)
    for known in ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR"):
        assert re.search(rf"\b{known}\b", str(caught.value))


@pytest.mark.parametrize("name", [None, 1, ["V"], {"V"}, b"V"])
def test_variant_that_is_no_name(name):
    with pytest.raises(TypeError, match=r"^name is an? .*; expected a string"):
        gru_native.LSTM.variant(name, 3, 4)


def test_options_of_a_variant_are_checked():
    with pytest.raises(ValueError, match=r"\bcoupled_gates\b"):
        gru_native.LSTM.variant("CIFG", 3, 4, input_gate=False)
    with pytest.raises(TypeError, match=r"\bpeepholes\b"):
        gru_native.LSTM.variant("CIFG", 3, 4, peepholes=False)
    with pytest.raises(ValueError, match=r"\bhidden_size\b"):
        gru_native.LSTM.variant("CIFG", 3, 0)


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": 2**62, "proj_size": 2**61, "nonrecurrent_proj_size": 2**63 - 1},
        {"hidden_size": 4, "proj_size": 2, "nonrecurrent_proj_size": 2**63 - 1},
        {"hidden_size": 4, "proj_size": 2, "nonrecurrent_proj_size": 2**61},
    ],
    ids=str,
)
def test_sizes_that_overflow(sizes):
    with pytest.raises((ValueError, MemoryError)):
        gru_native.LSTM(3, num_layers=2, **sizes)


@pytest.mark.parametrize("value", [np.bool_(True), True])
def test_flags_of_numpy(value):
    assert "weight_ci_l0" in gru_native.LSTM(3, 4, peephole=value).weights


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int64(2)])
def test_clip_is_any_number(value):
    assert "cell_clip=2.0" in repr(gru_native.LSTM(3, 4, cell_clip=value))


@pytest.fixture
def coupled():
    """A layer that must be as it was when the test is over."""
    layer = gru_native.LSTM.variant("CIFG", 3, 4, proj_size=2, nonrecurrent_proj_size=3, seed=1)
    x = np.random.default_rng(1).standard_normal((5, 2, 3)).astype(np.float32)
    y, _ = layer(x)
    yield layer
    assert_same_bits(layer(x)[0], y)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("weight_ih_l0", (16, 3)),  # of a cell with all gates
        ("weight_hh_l0", (12, 5)),  # as if p came back
        ("weight_co_l0", (4, 1)),
        ("weight_co_l0", (1, 4)),
        ("weight_hp_l0", (2, 4)),
    ],
)
def test_misshapen_weights_of_a_variant(coupled, name, shape):
    weights = {n: array + np.float32(1) for n, array in coupled.state_dict().items()}
    weights[name] = np.zeros(shape, np.float32)
    shown = re.escape(str(shape))
    with pytest.raises(ValueError, match=rf"\b{name}\b.*{shown}"):
        coupled.load_state_dict(weights)


def test_weights_of_another_variant(coupled):
    weights = coupled.state_dict()
    with pytest.raises(ValueError, match=r"\bweight_cf_l0\b"):
        coupled.load_state_dict({**weights, "weight_cf_l0": np.zeros(4, np.float32)})
    del weights["weight_ci_l0"]
    with pytest.raises(ValueError, match=r"\bweight_ci_l0\b"):
        coupled.load_state_dict(weights)


@pytest.mark.parametrize(("proj_size", "width"), [(0, 16), (2, 14)])
def test_states_with_gates(proj_size, width):
    layer = gru_native.LSTM.variant("FGR", 3, 4, proj_size=proj_size)
    x, c = np.ones((5, 2, 3), np.float32), np.zeros((1, 2, 4), np.float32)
    y, (h, _), tape = layer.forward(x)
    assert y.shape == (5, 2, proj_size or 4)
    assert h.shape == (1, 2, width)
    narrow = np.ascontiguousarray(h[..., : proj_size or 4])
    expected = rf"{'proj_size [+] 3' if proj_size else '4'} hidden_size={width}"
    with pytest.raises(ValueError, match=rf"state\[0\] \(h\).*{expected}"):
        layer(x, (narrow, c))
    with pytest.raises(ValueError, match=rf"dstate\[0\] \(h\).*{expected}"):
        layer.backward(tape, y, (narrow, c))
    with pytest.raises(ValueError, match=rf"state\[0\] \(h\).*{expected}"):
        layer.stream(2).state = narrow, c


def test_wrong_states_and_gradients_of_two_projections(coupled):
    """h is r, y is [r; p]."""
    x = np.ones((5, 2, 3), np.float32)
    h, c = np.zeros((1, 2, 2), np.float32), np.zeros((1, 2, 4), np.float32)
    y, _, tape = coupled.forward(x, (h, c))
    assert y.shape == (5, 2, 5)
    with pytest.raises(ValueError, match=r"state.*\(1, 2, 5\)"):
        coupled(x, (np.zeros((1, 2, 5), np.float32), c))
    with pytest.raises(ValueError, match=r"dy.*\(5, 2, 2\)"):
        coupled.backward(tape, y[:, :, :2])
