"""Layer normalisation in the LSTM and the GRU: against the paper in NumPy, against torch's own
layer_norm, and by what normalisation means.
"""

from dataclasses import replace

import numpy as np
import pytest

import gru_native
import reference
from checks import run
from helpers import (
    EVERY_GATE_SET,
    assert_close,
    assert_same_bits,
    make_layer,
    named_gradients,
    parts,
    random_case,
    random_weights,
    spec_of,
)
from reference import Spec
from variants import check_in_both_dtypes, random_call, random_variant

CELLS = ["lstm_layer_norm", "gru_layer_norm"]
LENGTHS = [5, 2, 0, 4]


# From 5 units up: of one or two, c may have next to no variance, and all rounding is blown up.
def random_sizes(rng):
    input_size, hidden_size = (int(size) for size in rng.choice([5, 7, 8, 16, 17, 33], 2))
    stack = int(rng.integers(1, 4)), bool(rng.integers(2)), bool(rng.integers(2))
    return input_size, hidden_size, *stack


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("gates", EVERY_GATE_SET, ids=str)
def test_with_all_options_of_the_lstm(gates, seed):
    rng = np.random.default_rng([70, EVERY_GATE_SET.index(gates), seed])
    spec = Spec("lstm", *random_sizes(rng), variant=random_variant(gates, rng), layer_norm=True)
    if seed % 3 == 0:
        proj_size = int(rng.integers(1, spec.hidden_size))
        spec = replace(spec, proj_size=proj_size, nonrecurrent_proj_size=int(rng.choice([0, 7])))
    check_in_both_dtypes(random_call(spec, seed, rng))


@pytest.mark.parametrize("seed", range(12))
def test_gru(seed):
    rng = np.random.default_rng([71, seed])
    phi = ["tanh", "sigmoid"][seed % 2]
    spec = Spec("gru", *random_sizes(rng), candidate_activation=phi, layer_norm=True)
    check_in_both_dtypes(random_call(spec, seed, rng))


def torch_step(torch, cell, w, x, state):
    """haste's LayerNormLSTM and LayerNormGRU, in torch's order of gates."""
    norm = torch.nn.functional.layer_norm
    h, c = state
    rows = w["weight_ih_l0"].shape[:1]
    wx = norm(x @ w["weight_ih_l0"].T, rows, w["gain_ih_l0"]) + w["bias_ih_l0"]
    uh = norm(h @ w["weight_hh_l0"].T, rows, w["gain_hh_l0"]) + w["bias_hh_l0"]
    if cell == "lstm":
        i, f, g, o = (wx + uh).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        n = norm(c, c.shape[1:], w["gain_c_l0"], w["bias_c_l0"])
        return torch.sigmoid(o) * torch.tanh(n), c
    (x_r, x_z, x_n), (h_r, h_z, h_n) = wx.chunk(3, 1), uh.chunk(3, 1)
    r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    return z * h + (1 - z) * torch.tanh(x_n + r * h_n), c


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_against_layer_norm_of_torch(cell):
    torch = pytest.importorskip("torch")
    spec = Spec(cell, 7, 17, layer_norm=True)
    case = random_case(spec, np.random.default_rng(72))
    y, final, gradients = run(make_layer(spec, case.weights), case)

    def leaf(array):
        return torch.tensor(array, requires_grad=True)

    w = {name: leaf(array) for name, array in case.weights.items()}
    x, initial = leaf(case.x), [leaf(part) for part in parts(case.state)]
    state = (initial[0][0], initial[1][0] if cell == "lstm" else None)
    outputs = []
    for x_t in x:
        state = torch_step(torch, cell, w, x_t, state)
        outputs.append(state[0])
    expected = torch.stack(outputs)
    loss = (expected * torch.tensor(case.dy)).sum()
    for part, dpart, own in zip(state, parts(case.dstate), parts(final), strict=False):
        loss = loss + (part * torch.tensor(dpart[0])).sum()
        assert_close(own[0], part.detach().numpy(), 1e-12, "final state")
    loss.backward()
    assert_close(y, expected.detach().numpy(), 1e-12)
    leaves = {"dx": x, **dict(zip(("dh0", "dc0"), initial, strict=False)), **w}
    assert list(leaves) == list(gradients)
    for name, tensor in leaves.items():
        assert_close(gradients[name], tensor.grad.numpy(), 1e-11, name)


@pytest.mark.parametrize("cell", CELLS)
def test_neither_shifts_nor_scales_of_the_products_matter(cell):
    """W + 1 vᵀ moves all sums of a row alike, and s W scales them: both are taken out again."""
    spec = spec_of(cell, 7, 17, 2, True)
    case = random_case(spec, np.random.default_rng(73), batch=4, lengths=LENGTHS)
    for name, array in case.weights.items():
        if name.startswith("weight_ih") or name.startswith("weight_hh"):
            array *= 1e4  # 1e-5 counts for nothing beside such a variance
    y, final, gradients = run(make_layer(spec, case.weights), case)
    rng = np.random.default_rng(74)
    other = dict(case.weights)
    for name, array in case.weights.items():
        if name.startswith("weight_ih") or name.startswith("weight_hh"):
            other[name] = 3 * (array + 1e4 * rng.standard_normal(array.shape[1]))
    case.weights = other
    y_other, final_other, gradients_other = run(make_layer(spec, other), case)
    assert_close(y_other, y, 1e-10)
    for part, expected in zip(parts(final_other), parts(final), strict=True):
        assert_close(part, expected, 1e-10, "final state")
    assert_close(gradients_other["dx"], gradients["dx"], 1e-7, "dx")


@pytest.mark.parametrize("cell", CELLS)
def test_without_gain_x_and_h_do_not_matter(cell):
    spec = spec_of(cell, 7, 17)
    rng = np.random.default_rng(75)
    weights = random_weights(spec, rng)
    for name in ("gain_ih_l0", "gain_hh_l0"):
        weights[name][...] = 0
    layer = make_layer(spec, weights)
    one, other = (layer(rng.standard_normal((3, 2, 7)))[0] for _ in range(2))
    assert_same_bits(one, other)
    assert one.any()


def test_first_gains_are_one_and_biases_are_drawn():
    layer = gru_native.LSTM(5, 9, 2, layer_norm=True, seed=1)
    for name, array in layer.weights.items():
        assert (array == 1).all() == name.startswith("gain_"), name
    plain = gru_native.LSTM(5, 9, 2, seed=1)
    assert layer.num_parameters == plain.num_parameters + 2 * (2 * 36 + 2 * 9)
    assert "bias_c_l0" not in gru_native.LSTM(5, 9, layer_norm=True, bias=False).weights
    gru = gru_native.GRU(5, 9, layer_norm=True)
    assert gru.num_parameters == gru_native.GRU(5, 9).num_parameters + 2 * 27


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        (gru_native.GRU, {"reset_after": False}, "reset_after=True"),
    ],
)
def test_what_does_not_go_with_it(kind, options, text):
    with pytest.raises(ValueError, match=rf"^layer_norm is True; expected .*{text}"):
        kind(3, 4, layer_norm=True, **options)


@pytest.mark.parametrize("kind", [gru_native.LSTM, gru_native.GRU])
@pytest.mark.parametrize("value", [1, None, "True"])
def test_wrong_types(kind, value):
    with pytest.raises(TypeError, match=r"^layer_norm is an? .*; expected "):
        kind(3, 4, layer_norm=value)


def test_the_rnn_has_none():
    with pytest.raises(TypeError, match="layer_norm"):
        gru_native.RNN(3, 4, layer_norm=True)


def test_one_unit_is_no_worse_than_its_condition():
    """Two numbers normalised are almost ±1 whatever they were: the true gradient of one is
    eps / (var + eps) of its terms, which cancel, so rounding is blown up by var / eps. Against 64
    bits of mantissa ours must be off no more than the float64 reference, which sums otherwise."""
    if np.finfo(np.longdouble).eps > 1e-18:
        pytest.skip("long double is double here")
    ours, theirs = [], []
    for seed in range(150):
        rng = np.random.default_rng([77, seed])
        gates = EVERY_GATE_SET[seed % len(EVERY_GATE_SET)]
        unbounded = str(rng.choice(["softplus", "identity", "relu"]))
        variant = replace(random_variant(gates, rng), gate_activation=unbounded)
        spec = Spec("lstm", int(rng.integers(1, 4)), 1, variant=variant, layer_norm=True)
        case = random_case(spec, rng, seq_len=4)
        case = replace(case, x=case.x * 10 ** rng.uniform(0, 2))
        exact = gradients_of(case, np.longdouble)
        rounded = gradients_of(case, np.float64)
        computed = run(make_layer(spec, case.weights), case)[2]
        for name, wanted in exact.items():
            size = np.abs(wanted).max()
            if not 0 < size < 1e30:
                continue
            ours.append(float(np.abs(computed[name] - wanted).max() / size))
            theirs.append(float(np.abs(rounded[name] - wanted).max() / size))
    assert len(ours) > 500
    assert max(theirs) > 1e-12  # such cases are among them
    assert np.isfinite(ours).all()
    for share in (0.5, 0.9, 0.99, 1.0):
        assert np.quantile(ours, share) < 8 * np.quantile(theirs, share)


def gradients_of(case, dtype):
    case = case.cast(dtype)
    tape = reference.forward(case.spec, case.weights, case.x, case.state, case.lengths)[2]
    return named_gradients(*reference.backward(case.spec, tape, case.dy, case.dstate))
