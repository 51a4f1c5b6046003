"""GatedRecursiveConv against the equations pair by pair, finite differences, and itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gru_native
from helpers import assert_all_close, assert_close, assert_same_bits, assert_slopes
from reference import grconv

ACTIVATIONS = ("identity", "tanh", "sigmoid", "relu")
conv_settings = settings(max_examples=60, deadline=None)


def make(inputs, hidden, activation="tanh", dtype=np.float64, seed=1):
    return gru_native.GatedRecursiveConv(
        inputs, hidden, activation=activation, dtype=dtype, seed=seed
    )


def expected_of(layer, x, lengths, dy):
    """y, the gradients and each sequence's gates, one sequence after the other."""
    w = {name: value.astype(np.float64) for name, value in layer.weights.items()}
    y, dx = np.zeros(dy.shape), np.zeros(x.shape)
    dw, gates = {name: np.zeros_like(value) for name, value in w.items()}, []
    for b, n in enumerate(lengths):
        gates.append([])
        if n == 0:
            continue
        y[b], saved = grconv.forward(w, x[:n, b].astype(np.float64), layer.activation)
        gates[b] = saved[2]
        dx[:n, b], dw_b = grconv.backward(w, saved, dy[b].astype(np.float64), layer.activation)
        for name, value in dw_b.items():
            dw[name] += value
    return y, {"x": dx, **dw}, gates


def all_gradients(grads):
    return {"x": grads.x, **grads.weights}


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 1e-4)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [1, 7, 16, 33])
def test_pair_by_pair(hidden, activation, dtype, tolerance):
    rng = np.random.default_rng(hidden)
    layer = make(5, hidden, activation, dtype)
    x = rng.standard_normal((6, 3, 5)).astype(dtype)
    dy = rng.standard_normal((3, hidden)).astype(dtype)
    y, tape = layer.forward(x)
    expected, gradients, _ = expected_of(layer, x, [6, 6, 6], dy)
    assert y.dtype == dtype
    assert_close(y, expected, tolerance)
    assert_same_bits(layer(x), y)
    assert_all_close(all_gradients(layer.backward(tape, dy)), gradients, tolerance)


@st.composite
def calls(draw):
    layer = make(
        draw(st.integers(1, 9)),
        draw(st.sampled_from([1, 2, 5, 8, 16, 31])),
        draw(st.sampled_from(ACTIVATIONS)),
        seed=draw(st.integers(0, 99)),
    )
    seq_len, batch = draw(st.integers(1, 9)), draw(st.integers(1, 6))
    lengths = draw(st.lists(st.integers(0, seq_len), min_size=batch, max_size=batch))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return layer, rng.standard_normal((seq_len, batch, layer.input_size)), lengths, rng


@given(case=calls())
@conv_settings
def test_ragged_batches(case):
    layer, x, lengths, rng = case
    dy = rng.standard_normal((x.shape[1], layer.hidden_size))
    y, tape = layer.forward(x, lengths)
    expected, gradients, expected_gates = expected_of(layer, x, lengths, dy)
    np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-12)
    for name, gradient in all_gradients(layer.backward(tape, dy)).items():
        np.testing.assert_allclose(gradient, gradients[name], rtol=1e-10, atol=1e-10, err_msg=name)

    again, gates = layer(x, lengths, return_gates=True)
    assert_same_bits(again, y)
    assert [g.shape for g in gates] == [(len(x) - k, x.shape[1], 3) for k in range(1, len(x))]
    for b, own in enumerate(expected_gates):
        for k, level in enumerate(gates):
            there = np.array(own[k]) if k < len(own) else np.zeros((0, 3))
            np.testing.assert_allclose(level[: len(there), b], there, rtol=0, atol=1e-12)
            assert not level[len(there) :, b].any()


@given(case=calls())
@conv_settings
def test_each_sequence_alone_has_the_same_bits(case):
    layer, x, lengths, rng = case
    dy = rng.standard_normal((x.shape[1], layer.hidden_size))
    y, tape = layer.forward(x, lengths)
    dx = layer.backward(tape, dy).x
    for b, n in enumerate(lengths):
        if n == 0:
            assert not y[b].any()
            assert not dx[:, b].any()
            continue
        alone, tape = layer.forward(x[:n, [b]])
        assert_same_bits(alone[0], y[b])
        assert_same_bits(layer.backward(tape, dy[[b]]).x[:, 0], dx[:n, b])
        assert not dx[n:, b].any()
        if n == 1:
            assert_close(y[b], layer.weights["weight_ih"] @ x[0, b], 1e-13)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slopes(activation):
    rng = np.random.default_rng(3)
    layer = make(4, 6, activation)
    x, lengths = rng.standard_normal((5, 4, 4)), [5, 0, 3, 1]
    weights = layer.state_dict()
    y, tape = layer.forward(x, lengths)
    dy = rng.standard_normal(y.shape)
    gradients = all_gradients(layer.backward(tape, dy))

    def loss():
        layer.load_state_dict(weights)
        return np.sum(layer(x, lengths) * dy)

    assert_slopes(loss, {"x": x, **weights}, gradients, rng)


def test_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    layer = make(6, 9)
    x = rng.standard_normal((7, 2, 6))
    w = {name: torch.tensor(v, requires_grad=True) for name, v in layer.state_dict().items()}
    leaf = torch.tensor(x, requires_grad=True)
    h = leaf @ w["weight_ih"].T
    while len(h) > 1:
        left, right = h[:-1], h[1:]
        gates = left @ w["gate_left"].T + right @ w["gate_right"].T + w["gate_bias"]
        c, l_, r = torch.softmax(gates, -1)[..., None].unbind(-2)
        new = torch.tanh(left @ w["weight_left"].T + right @ w["weight_right"].T + w["bias"])
        h = c * new + l_ * left + r * right
    dy = rng.standard_normal((2, 9))
    h[0].backward(torch.tensor(dy))
    y, tape = layer.forward(x)
    assert_close(y, h[0].detach().numpy(), 1e-12)
    expected = {"x": leaf.grad.numpy(), **{n: v.grad.numpy() for n, v in w.items()}}
    assert_all_close(all_gradients(layer.backward(tape, dy)), expected, 1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gate", [0, 1, 2])
def test_forced_gates(gate, dtype):
    """(0, 1, 0) hands the first word's vector up, (0, 0, 1) the last word's."""
    rng = np.random.default_rng(5)
    layer = make(5, 17, dtype=dtype)
    with layer.editing() as w:
        w["gate_bias"][...] = -1000
        w["gate_bias"][gate] = 1000
    x, lengths = rng.standard_normal((8, 3, 5)).astype(dtype), [8, 2, 5]
    y, gates = layer(x, lengths, return_gates=True)
    assert_close(gates[0][0], np.tile(np.eye(3)[gate], (3, 1)), 1e-30)
    ends = np.stack([x[n - 1 if gate == 2 else 0, b] for b, n in enumerate(lengths)])
    if gate == 0:  # a plain convolution
        expected, _ = grconv.forward(
            {name: v.astype(np.float64) for name, v in layer.weights.items()}
            | {"gate_bias": np.array([500.0, -100.0, -100.0])},
            x[:5, 2].astype(np.float64),
        )
        assert_close(y[2], expected, 1e-5 if dtype == np.float32 else 1e-12)
    else:
        assert_same_bits(y, layer(ends[None]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_number_of_threads(dtype, threads):
    rng = np.random.default_rng(6)
    layer = make(20, 100, dtype=dtype)
    x = rng.standard_normal((12, 15, 20)).astype(dtype)
    lengths = rng.integers(0, 13, 15)
    dy = rng.standard_normal((15, 100)).astype(dtype)
    results = []
    for count in (1, 2, 3, 5):
        threads(count)
        y, tape = layer.forward(x, lengths)
        call, gates = layer(x, lengths, return_gates=True)
        gates_by_level = {f"gates {k}": level for k, level in enumerate(gates)}
        results.append(
            {"y": y, "call": call, **gates_by_level, **all_gradients(layer.backward(tape, dy))}
        )
    assert_same_bits(results[0]["call"], results[0]["y"])
    for result in results[1:]:
        for name, array in result.items():
            assert_same_bits(array, results[0][name], name)


def test_a_tape_keeps_its_own():
    rng = np.random.default_rng(7)
    layer = make(4, 6)
    x, dy = rng.standard_normal((5, 2, 4)), rng.standard_normal((2, 6))
    _, tape = layer.forward(x)
    before = all_gradients(layer.backward(tape, dy))
    x[...] = 3
    with layer.editing() as w:
        w["weight_left"] *= 2
    for name, gradient in all_gradients(layer.backward(tape, dy)).items():
        assert_same_bits(gradient, before[name], name)


def test_large_gates_and_nan():
    """The softmax does not overflow, and a NaN stays with its own sequence."""
    rng = np.random.default_rng(8)
    layer = make(4, 6)
    with layer.editing() as w:
        w["gate_left"] *= 1e4
    x = rng.standard_normal((5, 3, 4))
    y, gates = layer(x, return_gates=True)
    assert np.isfinite(y).all()
    np.testing.assert_allclose(gates[0].sum(axis=2), 1, rtol=1e-12)
    spoiled = x.copy()
    spoiled[2, 1] = np.nan
    assert_same_bits(layer(spoiled)[[0, 2]], y[[0, 2]])
    result, spoiled_tape = layer.forward(spoiled)
    assert np.isnan(result[1]).all()
    assert_same_bits(result[[0, 2]], y[[0, 2]])
    dy = rng.standard_normal((3, 6))
    dx, spoiled_dx = (layer.backward(t, dy).x for t in (layer.forward(x)[1], spoiled_tape))
    assert_same_bits(spoiled_dx[:, [0, 2]], dx[:, [0, 2]])


def test_weights():
    layer = make(4, 6)
    assert {name: w.shape for name, w in layer.weights.items()} == {
        "weight_ih": (6, 4),
        "weight_left": (6, 6),
        "weight_right": (6, 6),
        "bias": (6,),
        "gate_left": (3, 6),
        "gate_right": (3, 6),
        "gate_bias": (3,),
    }
    assert layer.num_parameters == 24 + 72 + 6 + 36 + 3


@pytest.mark.parametrize(
    ("error", "arguments", "message"),
    [
        (
            ValueError,
            (np.zeros((5, 4)),),
            r"x has shape \(5, 4\); expected \(seq_len, batch, input",
        ),
        (ValueError, (np.zeros((5, 2, 3)),), r"x has shape \(5, 2, 3\); .* input_size=4\)"),
        (
            ValueError,
            (np.zeros((0, 2, 4)),),
            r"x has shape \(0, 2, 4\); expected at least one step",
        ),
        (ValueError, (np.zeros((5, 2, 4)), [5, 6]), r"lengths\[1\] is 6; expected 0 to seq_len=5"),
        (ValueError, (np.zeros((5, 2, 4)), [5, -1]), r"lengths\[1\] is -1"),
        (
            ValueError,
            (np.zeros((5, 2, 4)), [5]),
            r"lengths has shape \(1,\); expected \(batch=2,\)",
        ),
        (TypeError, (np.zeros((5, 2, 4)), [5.0, 1.0]), "lengths is of dtype float64"),
        (TypeError, (np.zeros((5, 2, 4), np.float32),), "x has dtype float32; expected float64"),
    ],
)
def test_arguments_are_refused(error, arguments, message):
    layer = make(4, 6)
    for function in (layer, layer.forward):
        with pytest.raises(error, match=message):
            function(*arguments)


def test_backward_arguments_are_refused():
    layer = make(4, 6)
    tape = layer.forward(np.zeros((5, 2, 4)))[1]
    with pytest.raises(
        ValueError, match=r"dy has shape \(2, 4\); expected \(batch=2, hidden_size=6"
    ):
        layer.backward(tape, np.zeros((2, 4)))
    with pytest.raises(ValueError, match="tape was made by another layer"):
        make(4, 6).backward(tape, np.zeros((2, 6)))
    with pytest.raises(ValueError, match="tape was made by a layer of another dtype"):
        make(4, 6, dtype=np.float32).backward(tape, np.zeros((2, 6), np.float32))
    with pytest.raises(TypeError, match="tape is a NoneType"):
        layer.backward(None, np.zeros((2, 6)))


@pytest.mark.parametrize(
    ("error", "message", "arguments", "options"),
    [
        (ValueError, "input_size is 0", (0, 1), {}),
        (ValueError, "hidden_size is -3", (1, -3), {}),
        (ValueError, "larger than memory", (2**50, 2**50), {}),
        (
            ValueError,
            'activation is "gelu"; expected "identity", "tanh", "sigmoid" or "relu"',
            (1, 1),
            {"activation": "gelu"},
        ),
        (TypeError, "activation is an int", (1, 1), {"activation": 3}),
        (TypeError, "hidden_size is a float", (1, 1.5), {}),
    ],
)
def test_construction_is_refused(error, message, arguments, options):
    with pytest.raises(error, match=message):
        gru_native.GatedRecursiveConv(*arguments, **options)


def drawn_gates(length, choices):
    """Gates of one sequence: level by level, the strongest one of each pair."""
    strong = {"^": [0.8, 0.1, 0.1], "/": [0.2, 0.5, 0.3], "\\": [0, 0.3, 0.7]}
    levels = [np.array([[strong[c]] for c in level]) for level in choices]
    assert [len(level) for level in levels] == list(range(length - 1, 0, -1))
    return levels


def test_drawing():
    gates = drawn_gates(4, ["^\\/", "//", "^"])
    assert gru_native.draw_gates(gates, ["a", "bb", "cc", "d"]) == (
        "       ^\n     /   /\n   ^   \\   /\n a   bb  cc  d"
    )
    assert gru_native.draw_gates(gates, ["a", "b"]).split() == ["^", "a", "b"]
    assert gru_native.draw_gates(gates).split()[-4:] == ["0", "1", "2", "3"]
    assert gru_native.draw_gates([], ["alone"]).strip() == "alone"


def test_drawing_of_a_call():
    layer = make(3, 5)
    x = np.random.default_rng(9).standard_normal((4, 2, 3))
    _, gates = layer(x, [4, 3], return_gates=True)
    text = gru_native.draw_gates(gates, "abc", sequence=1)
    lines = text.splitlines()
    assert len(lines) == 3
    assert lines[-1].split() == ["a", "b", "c"]
    strongest = ["^/\\"[g] for g in gates[0][:2, 1].argmax(axis=1)]
    assert lines[1].split() == strongest


def test_drawing_to_a_file(tmp_path):
    pytest.importorskip("matplotlib")
    gru_native.draw_gates(drawn_gates(3, ["^/", "\\"]), path=tmp_path / "pyramid.png")
    assert (tmp_path / "pyramid.png").read_bytes()[:4] == b"\x89PNG"


def test_drawing_refuses():
    gates = drawn_gates(3, ["^/", "\\"])
    with pytest.raises(ValueError, match="sequence is 1; expected 0 to 0"):
        gru_native.draw_gates(gates, sequence=1)
    with pytest.raises(ValueError, match="words are 4; expected 1 to 3"):
        gru_native.draw_gates(gates, ["a"] * 4)
    with pytest.raises(ValueError, match=r"gates\[0\] has shape \(1, 1, 3\)"):
        gru_native.draw_gates(gates[::-1])
