"""Learned initial states: weights in calls, gradients, streams, sessions, files and copies."""

import copy
import pickle

import numpy as np
import pytest

import gru_native
from gru_native import GRU, LSTM, RNN, RTRL, Chain, Dense, complexity
from helpers import assert_close, assert_same_bits

torch = pytest.importorskip("torch")

KINDS = {
    "rnn": (RNN, torch.nn.RNN, {}),
    "gru": (GRU, torch.nn.GRU, {}),
    "lstm": (LSTM, torch.nn.LSTM, {}),
    "projected": (LSTM, torch.nn.LSTM, {"proj_size": 3}),
}


def layer_of(kind, dtype=np.float64, **options):
    """One with random weights, initial states too."""
    cls, _, own = KINDS[kind]
    layer = cls(4, 5, learn_initial_state=True, dtype=dtype, seed=0, **own, **options)
    assert all(not w.any() for n, w in layer.weights.items() if n.startswith(("h0", "c0")))
    random = np.random.default_rng(1)
    layer.load_state_dict(
        {n: random.uniform(-1, 1, w.shape).astype(dtype) for n, w in layer.weights.items()}
    )
    return layer


def state_of(layer, weights, batch):
    """What torch takes for the initial state."""
    directions = ("", "_reverse")[: 2 if layer.bidirectional else 1]
    places = [f"_l{k}{d}" for k in range(layer.num_layers) for d in directions]
    parts = [
        torch.stack([weights[name + place] for place in places])[:, None].expand(-1, batch, -1)
        for name in (("h0", "c0") if isinstance(layer, LSTM) else ("h0",))
    ]
    return tuple(parts) if isinstance(layer, LSTM) else parts[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
def test_as_torch(kind, bidirectional, ragged):
    layer = layer_of(kind, num_layers=2, bidirectional=bidirectional)
    _, torchs, own = KINDS[kind]
    theirs = torchs(4, 5, 2, bidirectional=bidirectional, **own).double()
    weights = {n: torch.tensor(w, requires_grad=True) for n, w in layer.state_dict().items()}
    random = np.random.default_rng(0)
    lengths = [6, 2, 4] if ragged else [6, 6, 6]
    x = random.standard_normal((6, 3, 4))
    given = torch.tensor(x, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(given, lengths, enforce_sorted=False)
    parameters = {n: w for n, w in weights.items() if not n.startswith(("h0", "c0"))}
    initial = state_of(layer, weights, 3)
    out, final = torch.func.functional_call(theirs, parameters, (packed, initial))
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(out)
    options = {"lengths": lengths} if ragged else {}
    y, state, tape = layer.forward(x, **options)
    again, _ = layer(x, **options)
    assert_same_bits(again, y)
    assert_close(y, expected.detach().numpy(), 1e-11)
    dy = random.standard_normal(y.shape)
    parts = final if isinstance(final, tuple) else (final,)
    own_state = state if isinstance(state, tuple) else (state,)
    dstate = tuple(random.standard_normal(p.shape) for p in own_state)
    loss = (expected * torch.tensor(dy)).sum()
    for part, d, mine in zip(parts, dstate, own_state, strict=True):
        assert_close(mine, part.detach().numpy(), 1e-11)
        loss = loss + (part * torch.tensor(d)).sum()
    loss.backward()
    grads = layer.backward(tape, dy, dstate if len(dstate) > 1 else dstate[0])
    assert_close(grads.x, given.grad.numpy(), 1e-11)
    for name, w in weights.items():
        assert_close(grads.weights[name], w.grad.numpy(), 1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_that_is_given_is_no_weight(kind):
    layer = layer_of(kind)
    x = np.random.default_rng(0).standard_normal((3, 2, 4))
    zeros = layer.forward(x[:1])[1]
    zeros = tuple(0 * part for part in zeros) if isinstance(zeros, tuple) else 0 * zeros
    plain = type(layer)(4, 5, dtype=np.float64, **KINDS[kind][2])
    plain.load_state_dict(layer.state_dict() | {}, strict=False)
    y, _, tape = layer.forward(x, zeros)
    assert_same_bits(y, plain(x)[0])
    grads = layer.backward(tape, np.ones_like(y))
    for name, dw in grads.weights.items():
        assert dw.any() != name.startswith(("h0", "c0"))


@pytest.mark.parametrize("kind", KINDS)
def test_streams_sessions_files_and_copies(tmp_path, kind, threads):
    layer = layer_of(kind, np.float32)
    model = Chain([layer, Dense(3 if kind == "projected" else 5, 2, seed=1)])
    x = np.random.default_rng(0).standard_normal((9, 3, 4)).astype(np.float32)
    whole, _ = model(x)
    stream = model.stream(3)
    assert_same_bits(np.concatenate([stream(x[:4]), stream(x[4:])]), whole)
    stream.reset()
    twin = pickle.loads(pickle.dumps(model.stream(3)))
    for each in (stream, copy.copy(stream), twin):
        assert_same_bits(each(x), whole)
    pool = model.sessions(3)
    ids = [pool.open() for _ in range(3)]
    assert_same_bits(np.stack([pool.step(ids, x[t]) for t in range(9)]), whole)
    pool.reset(ids[1])
    assert_same_bits(pool.step([ids[1]], x[0, 1:2]), whole[0, 1:2])
    gru_native.save(model, tmp_path / "model.safetensors")
    gru_native.save(layer, tmp_path / "layer.safetensors")
    for other in (gru_native.load(tmp_path / "model.safetensors"), copy.deepcopy(model)):
        assert repr(other) == repr(model)
        assert_same_bits(other(x)[0], whole)
    assert repr(gru_native.load(tmp_path / "layer.safetensors")) == repr(layer)
    assert_close(model.quantize("bf16")(x)[0], whole, 0.1)
    threads(1)
    assert_same_bits(model(x)[0], whole)
    c = complexity.count(layer, 3, batch=2)
    assert c.parameters == layer.num_parameters
    assert c.forward.macs == complexity.count(layer, 3, batch=2, state=True).forward.macs


def test_a_state_dict_says_it(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    layer = layer_of("lstm", np.float32, num_layers=2)
    safetensors.save_file(layer.state_dict(), tmp_path / "state.safetensors")
    assert gru_native.load(tmp_path / "state.safetensors").learn_initial_state


def test_modules_of_pytorch_have_it():
    torch_layers = pytest.importorskip("gru_native.torch")
    layer = layer_of("lstm")
    module = torch_layers.to_torch(layer)
    x = np.random.default_rng(0).standard_normal((3, 2, 4))
    given = torch.tensor(x, requires_grad=True)
    out, _ = module(given)
    y, _, tape = layer.forward(x)
    assert_same_bits(out.detach().numpy(), y)
    out.sum().backward()
    grads = layer.backward(tape, np.ones_like(y))
    for name, w in module.named_parameters():
        assert_close(w.grad.numpy(), grads.weights[name], 1e-12)
    assert torch_layers.from_torch(module).learn_initial_state


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: GRU(2, 3, learn_initial_state=1), TypeError, "learn_initial_state is an int"),
        (
            lambda: RTRL(RNN(2, 3, learn_initial_state=True)),
            ValueError,
            "learn_initial_state is True; expected False for RTRL",
        ),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
