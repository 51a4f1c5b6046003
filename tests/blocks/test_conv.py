"""Conv1d against PyTorch in float64, alone, in chains and in streams."""

import copy
import pickle

import numpy as np
import pytest

import gru_native
from gru_native import GRU, Activation, Chain, Conv1d, Dense, LayerNorm
from helpers import assert_close, assert_same_bits

torch = pytest.importorskip("torch")
functional = torch.nn.functional

ACTIVATIONS = {"identity": lambda a: a, "tanh": torch.tanh, "relu": torch.relu}


def random_conv(seed, dtype=np.float64):
    """A layer with random options, and a length that is enough for it."""
    random = np.random.default_rng(seed)
    groups = int(random.choice([1, 1, 2, 3]))
    padding = [("causal",), ("same",), ("valid",), tuple(range(5))][seed % 4]
    padding = random.choice(padding) if isinstance(padding[0], int) else padding[0]
    options = {
        "kernel_size": int(random.integers(1, 6)),
        "stride": 1 if padding == "same" else int(random.integers(1, 4)),
        "dilation": int(random.choice([1, 1, 2, 3])),
        "groups": groups,
        "padding": padding if isinstance(padding, str) else int(padding),
        "bias": bool(random.integers(2)),
        "activation": str(random.choice([*ACTIVATIONS])),
    }
    inputs, outputs = groups * int(random.integers(1, 9)), groups * int(random.integers(1, 40))
    layer = Conv1d(inputs, outputs, **options, dtype=dtype, seed=seed)
    least = (options["kernel_size"] - 1) * options["dilation"] + 1
    return layer, least + int(random.integers(0, 12)), random


def by_torch(layer, x, weights):
    """y of one sequence (seq, channels)."""
    span = (layer.kernel_size - 1) * layer.dilation
    left, right = {
        "causal": (span, 0),
        "same": (span // 2, span - span // 2),
        "valid": (0, 0),
    }.get(layer.padding, (layer.padding, layer.padding))
    padded = functional.pad(x.T[None], (left, right))
    options = {"stride": layer.stride, "dilation": layer.dilation, "groups": layer.groups}
    y = functional.conv1d(padded, weights["weight"], weights.get("bias"), **options)
    return ACTIVATIONS[layer.activation](y[0].T)


@pytest.mark.parametrize("seed", range(80))
def test_as_torch(seed):
    layer, seq_len, random = random_conv(seed)
    batch = int(random.integers(1, 4))
    x = random.standard_normal((seq_len, batch, layer.in_channels))
    least = (layer.kernel_size - 1) * layer.dilation + 1
    ragged = bool(random.integers(2))
    lengths = random.integers(least, seq_len + 1, batch) if ragged else np.full(batch, seq_len)
    weights = {n: torch.tensor(w, requires_grad=True) for n, w in layer.state_dict().items()}
    inputs = [
        torch.tensor(x[:n, b], requires_grad=True)
        for b, n in zip(range(batch), lengths, strict=True)
    ]
    expected = [by_torch(layer, part, weights) for part in inputs]
    options = {"lengths": lengths} if ragged else {}
    y, tape = layer.forward(x, **options)
    assert_same_bits(layer(x, **options), y)
    dy = random.standard_normal(y.shape)
    loss = 0
    for b, part in enumerate(expected):
        assert_close(y[: len(part), b], part.detach().numpy(), 1e-11)
        assert not y[len(part) :, b].any()
        loss = loss + (part * torch.tensor(dy[: len(part), b])).sum()
    loss.backward()
    x += 1  # the tape has copies of all it needs
    grads = layer.backward(tape, dy)
    for b, part in enumerate(inputs):
        assert_close(grads.x[: len(part), b], part.grad.numpy(), 1e-11)
        assert not grads.x[len(part) :, b].any()
    for name, w in weights.items():
        assert_close(grads.weights[name], w.grad.numpy(), 1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(12))
def test_same_bits_alone_and_together(seed, dtype, threads):
    layer, _, random = random_conv(seed, dtype)
    x = random.standard_normal((300, 5, layer.in_channels)).astype(dtype)
    y, tape = layer.forward(x)
    assert_same_bits(layer(x[:, 2:3]), y[:, 2:3])
    assert_same_bits(layer(x[:, 2]), y[:, 2])
    swapped = Conv1d(**{**options_of(layer), "batch_first": True})
    swapped.load_state_dict(layer.state_dict())
    assert_same_bits(swapped(np.ascontiguousarray(x.swapaxes(0, 1))).swapaxes(0, 1), y)
    grads = layer.backward(tape, y)
    threads(1)
    one, tape = layer.forward(x)
    alone = layer.backward(tape, y)
    assert_same_bits(one, y)
    assert_same_bits(alone.x, grads.x)
    for name, w in alone.weights.items():
        assert_same_bits(grads.weights[name], w)


def options_of(layer):
    return {name: getattr(layer, name) for name in layer._options}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("padding", ["causal", "valid", 0])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (1, 4), (2, 1), (3, 2)])
def test_a_stream_has_the_bits_of_the_whole_sequence(batch, padding, stride, dilation):
    seed = {"seed": 1}
    model = Chain(
        [
            Conv1d(3, 8, 3, padding=padding, stride=stride, dilation=dilation, **seed),
            LayerNorm(8),
            GRU(8, 5, **seed),
            Conv1d(5, 4, 2, activation="tanh", **seed),
            Dense(4, 2, **seed),
        ]
    )
    random = np.random.default_rng(0)
    x = random.standard_normal((700, batch, 3)).astype(np.float32)
    whole, _ = model(x)
    stream = model.stream(batch)
    parts, begin = [], 0
    while begin < len(x):
        end = min(len(x), begin + int(random.choice([1, 2, 7, 300])))
        part = stream(x[begin] if end - begin == 1 else x[begin:end])
        parts.append(part.reshape(-1, batch, 2))
        begin = end
        if len(parts) == 5:
            for other in (copy.copy(stream), pickle.loads(pickle.dumps(stream))):
                made = other(x[begin:]).reshape(-1, batch, 2)
                assert_same_bits(made, whole[len(whole) - len(made) :])
            state = stream.state
            stream.reset()
            stream(x[:50])
            stream.state = state
    assert_same_bits(np.concatenate(parts), whole)
    stream.reset()
    assert_same_bits(stream(x).reshape(whole.shape), whole)


def test_a_chain_trains_as_in_torch():
    model = Chain(
        [
            Conv1d(3, 6, 3, stride=2, padding=1, activation="relu", dtype=np.float64, seed=1),
            GRU(6, 5, dtype=np.float64, seed=2),
            Activation("tanh", dtype=np.float64),
            Dense(5, 2, dtype=np.float64, seed=3),
        ]
    )
    conv, gru = torch.nn.Conv1d(3, 6, 3, stride=2, padding=1), torch.nn.GRU(6, 5)
    modules = torch.nn.ModuleList([conv, gru, torch.nn.Identity(), torch.nn.Linear(5, 2)]).double()
    modules.load_state_dict({n: torch.tensor(w) for n, w in model.state_dict().items()})
    random = np.random.default_rng(0)
    x, lengths = random.standard_normal((9, 3, 3)), [9, 4, 6]
    y, _, tape = model.forward(x, lengths=lengths)
    assert y.shape == (5, 3, 2)
    dy = random.standard_normal(y.shape)
    grads = model.backward(tape, dy)
    loss, given = 0, torch.tensor(x, requires_grad=True)
    for b, n in enumerate(lengths):
        hidden = torch.relu(conv(given[:n, b].T[None]))[0].T
        out = modules[3](torch.tanh(gru(hidden[:, None])[0]))[:, 0]
        assert_close(y[: len(out), b], out.detach().numpy(), 1e-11)
        loss = loss + (out * torch.tensor(dy[: len(out), b])).sum()
    loss.backward()
    assert_close(grads.x, given.grad.numpy(), 1e-11)
    for name, w in modules.named_parameters():
        assert_close(grads.weights[name], w.grad.numpy(), 1e-11)


def test_files_copies_and_few_bits(tmp_path):
    model = Chain([Conv1d(3, 6, 3, padding=2, stride=2, groups=3, seed=1), GRU(6, 4, seed=2)])
    x = np.random.default_rng(0).standard_normal((9, 2, 3)).astype(np.float32)
    gru_native.save(model, tmp_path / "model.safetensors")
    again = gru_native.load(tmp_path / "model.safetensors")
    assert repr(again) == repr(model)
    for twin in (again, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same_bits(twin(x)[0], model(x)[0])
    few = model.quantize("bf16")
    assert few.blocks[0] is model.blocks[0]
    assert_close(few(x)[0], model(x)[0], 0.05)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Conv1d(3, 4, 0), ValueError, "kernel_size is 0; expected at least 1"),
        (lambda: Conv1d(3, 4, 2, groups=2), ValueError, "in_channels is 3; expected a multiple"),
        (lambda: Conv1d(4, 3, 2, groups=2), ValueError, "out_channels is 3; expected a multiple"),
        (lambda: Conv1d(3, 4, 2, groups=0), ValueError, "groups is 0"),
        (lambda: Conv1d(3, 4, 2, padding="full"), ValueError, 'padding is "full"; expected'),
        (lambda: Conv1d(3, 4, 2, padding=-1), ValueError, "padding is -1"),
        (lambda: Conv1d(3, 4, 2, padding="same", stride=2), ValueError, "stride is 2; expected 1"),
        (lambda: Conv1d(3, 4, 2, padding=1.5), TypeError, "padding is a float"),
        (lambda: Conv1d(3, 4, 2**40, dilation=2**40), ValueError, "kernel_size"),
        (
            lambda: Conv1d(3, 4, 5, padding="valid")(np.zeros((4, 1, 3), np.float32)),
            ValueError,
            r"x has shape \(4, 1, 3\); expected at least 5 steps",
        ),
        (lambda: Chain([Conv1d(3, 4, 2, padding="same")]).stream(), ValueError, "has no stream"),
        (lambda: Chain([Conv1d(3, 4, 2)]).sessions(1), ValueError, "a Conv1d has no sessions"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_state_of_strangers_is_refused_or_harmless():
    stream = Chain([Conv1d(2, 3, 3, stride=2, padding="valid", seed=0)]).stream()
    with pytest.raises(ValueError, match=r"state\[0\] has shape"):
        stream.state = (np.zeros((1, 3), np.float32),)
    for wild in (np.nan, np.inf, -1e30, 1e30, 7):
        stream.state = (np.full((1, 5), wild, np.float32),)
        stream(np.zeros((20, 2), np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("groups", [2, 3, 6])
def test_groups_narrower_than_a_vector_stream_side_by_side(groups, dtype):
    """The last group's sums run beyond its columns, where another sequence must not lie."""
    conv = Conv1d(6, 6, 2, groups=groups, dtype=dtype, seed=1)
    chain = Chain([conv, Dense(6, 3, dtype=dtype, seed=2)])
    x = np.random.default_rng(3).standard_normal((9, 5, 6)).astype(dtype)
    y, _ = chain(x)
    stream = chain.stream(5)
    assert_same_bits(np.concatenate([stream(x[:4]), stream(x[4:])]), y)
