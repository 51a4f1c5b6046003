"""Residual and Parallel in a Chain: against PyTorch in float64, in streams, files and copies."""

import copy
import pickle

import numpy as np
import pytest

import gru_native
from gru_native import (
    GRU,
    LSTM,
    Activation,
    AvgPool1d,
    Chain,
    Conv1d,
    Dense,
    Embedding,
    LayerNorm,
    MaxPool1d,
    Parallel,
    Pool,
    Residual,
    complexity,
)
from helpers import assert_close, assert_same_bits

torch = pytest.importorskip("torch")
JOINS = ("add", "multiply", "concat")


def network(dtype=np.float64, batch_first=False):
    """Recurrent layers and convolutions in paths, paths in paths, everything joined."""
    o = {"dtype": dtype, "batch_first": batch_first}
    inner = Residual(Chain([LayerNorm(6, **o), GRU(6, 6, seed=1, **o)]))
    paths = [
        Conv1d(6, 4, 3, seed=2, **o),
        Chain([LSTM(6, 5, seed=3, **o), Residual(Dense(5, 5, seed=4, **o), "multiply")]),
        Activation("tanh", **o),
    ]
    return Chain(
        [
            Residual(Dense(3, 3, seed=5, **o), "concat"),
            inner,
            Parallel(paths),
            Parallel([GRU(15, 4, seed=6, **o), Dense(15, 4, seed=7, **o)], "multiply"),
            Dense(4, 2, seed=8, **o),
        ]
    )


def by_torch(weights, x):
    """The same of one sequence (seq, 3), from the model's own state_dict."""

    def linear(prefix, x):
        return x @ weights[prefix + "weight"].T + weights[prefix + "bias"]

    def recurrent(kind, prefix, x):
        own = {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
        layer = kind(x.shape[1], own["weight_hh_l0"].shape[1]).double()
        return torch.func.functional_call(layer, own, (x[:, None],))[0][:, 0]

    y = torch.cat([x, linear("0.block.", x)], 1)
    normed = torch.nn.functional.layer_norm(
        y, (6,), weights["1.block.0.weight"], weights["1.block.0.bias"]
    )
    y = y + recurrent(torch.nn.GRU, "1.block.1.", normed)
    padded = torch.nn.functional.pad(y.T[None], (2, 0))
    conv = torch.nn.functional.conv1d(
        padded, weights["2.blocks.0.weight"], weights["2.blocks.0.bias"]
    )
    hidden = recurrent(torch.nn.LSTM, "2.blocks.1.0.", y)
    hidden = hidden * linear("2.blocks.1.1.block.", hidden)
    y = torch.cat([conv[0].T, hidden, torch.tanh(y)], 1)
    y = recurrent(torch.nn.GRU, "3.blocks.0.", y) * linear("3.blocks.1.", y)
    return linear("4.", y)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_as_torch(ragged, batch_first):
    model, random = network(batch_first=batch_first), np.random.default_rng(0)
    swap = (lambda a: np.ascontiguousarray(a.swapaxes(0, 1))) if batch_first else (lambda a: a)
    x, dy = random.standard_normal((9, 3, 3)), random.standard_normal((9, 3, 2))
    lengths = [9, 4, 6] if ragged else [9, 9, 9]
    for b, n in enumerate(lengths):
        dy[n:, b] = np.nan  # is not read
        x[n:, b] = np.nan
    options = {"lengths": lengths} if ragged else {}
    given = swap(x).copy()
    y, state, tape = model.forward(given, **options)
    again, final = model(swap(x), **options)
    assert_same_bits(again, y)
    assert len(state) == len(final) == 3
    given[...] = 7  # the tape has a copy
    grads = model.backward(tape, swap(dy))
    weights = {n: torch.tensor(w, requires_grad=True) for n, w in model.state_dict().items()}
    inputs = [torch.tensor(x[:n, b], requires_grad=True) for b, n in enumerate(lengths)]
    loss = 0
    for b, part in enumerate(inputs):
        expected = by_torch(weights, part)
        assert_close(swap(y)[: len(part), b], expected.detach().numpy(), 1e-11)
        assert not swap(y)[len(part) :, b].any() or not ragged
        loss = loss + (expected * torch.tensor(dy[: len(part), b])).sum()
    loss.backward()
    for b, part in enumerate(inputs):
        assert_close(swap(grads.x)[: len(part), b], part.grad.numpy(), 1e-11)
        assert not swap(grads.x)[len(part) :, b].any()
    assert list(grads.weights) == list(model.weights)
    for name, w in weights.items():
        assert_close(grads.weights[name], w.grad.numpy(), 1e-11)


@pytest.mark.parametrize("join", JOINS)
def test_gradients_of_states(join):
    """Of paths' initial and final states, by differences."""
    o = {"dtype": np.float64}
    model = Chain([Parallel([GRU(2, 3, seed=1, **o), LSTM(2, 3, seed=2, **o)], join)])
    random = np.random.default_rng(0)
    x, state = random.standard_normal((4, 2, 2)), model(np.zeros((1, 2, 2)))[1]
    y, final, tape = model.forward(x, state)
    grads = model.backward(tape, np.ones_like(y), [np.ones_like(final[0]), None])
    for entry in range(2):
        own = state[entry] if entry == 0 else state[1][0]
        step = np.zeros_like(own)
        step[0, 1, 2] = 1e-6
        sums = []
        for sign in (1, -1):
            moved = [state[0] + sign * step, state[1]]
            if entry == 1:
                moved = [state[0], (own + sign * step, state[1][1])]
            out, end = model(x, moved)
            sums.append(out.sum() + end[0].sum())
        slope = grads.state[0] if entry == 0 else grads.state[1][0]
        assert abs((sums[0] - sums[1]) / 2e-6 - slope[0, 1, 2]) < 1e-8


@pytest.mark.parametrize("batch", [1, 3])
def test_streams_and_sessions_have_the_bits_of_whole_sequences(batch):
    model, random = network(np.float32), np.random.default_rng(0)
    x = random.standard_normal((90, batch, 3)).astype(np.float32)
    whole, final = model(x)
    stream = model.stream(batch)
    parts = [stream(x[:1].reshape(1, batch, 3)), stream(x[1:40])]
    for each in (stream, copy.copy(stream), pickle.loads(pickle.dumps(stream))):
        assert_same_bits(np.concatenate([*parts, each(x[40:])]), whole)
        assert_same_bits(each.state[0], final[0])
    rows = Chain([Residual(GRU(3, 3, seed=1)), Parallel([Dense(3, 2, seed=2), LSTM(3, 2, seed=3)])])
    whole, _ = rows(x)
    pool = rows.sessions(batch)
    ids = [pool.open() for _ in range(batch)]
    for t in range(10):
        assert_same_bits(pool.step(ids, x[t]), whole[t])


def test_same_bits_for_any_threads(threads):
    model, random = network(np.float32), np.random.default_rng(0)
    x = random.standard_normal((200, 20, 3)).astype(np.float32)
    y, _, tape = model.forward(x)
    grads = model.backward(tape, y)
    assert_same_bits(model(x[:, 3:4])[0], y[:, 3:4])
    threads(1)
    one, _, tape = model.forward(x)
    alone = model.backward(tape, y)
    assert_same_bits(one, y)
    assert_same_bits(alone.x, grads.x)
    for name, w in alone.weights.items():
        assert_same_bits(grads.weights[name], w)


@pytest.mark.parametrize("batch_first", [False, True])
def test_files_and_copies(tmp_path, batch_first):
    model = network(np.float32, batch_first)
    x = np.random.default_rng(0).standard_normal((5, 5, 3)).astype(np.float32)
    gru_native.save(model, tmp_path / "model.safetensors")
    again = gru_native.load(tmp_path / "model.safetensors")
    assert repr(again) == repr(model)
    assert list(again.weights) == list(model.weights)
    for twin in (again, copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same_bits(twin(x)[0], model(x)[0])
    with again.editing() as w:
        w["1.block.1.weight_hh_l0"] *= 0
    assert again(x)[0].tobytes() != model(x)[0].tobytes()
    few = model.quantize("int8")
    gru_native.save(few, tmp_path / "few.safetensors")
    assert_same_bits(gru_native.load(tmp_path / "few.safetensors")(x)[0], few(x)[0])
    assert_close(few(x)[0], model(x)[0], 0.1)
    assert few.precision == "int8"


def test_pools_side_by_side_and_an_embedding_before():
    model = Chain(
        [
            Embedding(9, 4, seed=0),
            Parallel([MaxPool1d(2), AvgPool1d(2)]),
            Parallel([Pool("mean"), Pool("max"), Pool("last")]),
            Dense(24, 2, seed=1),
        ]
    )
    ids = np.arange(14).reshape(7, 2) % 9
    y, _, tape = model.forward(ids, lengths=[7, 4])
    assert y.shape == (2, 2)
    assert model.backward(tape, y).x is None
    assert_close(model(ids[:4, 1:])[0][0], y[1], 1e-6)


def test_counts():
    d = complexity.Dense(4, 4)
    chain = complexity.Chain(
        [
            complexity.Residual(complexity.Dense(4, 4)),
            complexity.Parallel([complexity.Conv1d(4, 3, 2, stride=2), complexity.AvgPool1d(2)]),
            complexity.Residual(complexity.GRU(7, 7), "multiply"),
            complexity.Dense(7, 1),
        ]
    )
    c = complexity.count(chain, 6, batch=2)
    assert d.num_parameters == 20
    assert c.parameters == chain.num_parameters == 20 + 27 + 3 * 7 * 16 + 8
    rows = 2 * 3
    macs = 12 * 16 + rows * 8 * 3 + rows * 3 * 7 * 14 - 2 * 3 * 49 + rows * 7
    assert c.forward.macs == macs
    assert c.passes.forward.elementwise["divide"] >= rows * 4
    real = gru_native.Chain([Residual(Dense(4, 4, seed=0)), GRU(4, 2, seed=0)])
    assert complexity.count(real, 3).parameters == real.num_parameters


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: Chain([Parallel([Pool("mean"), Pool("max")]), Dense(6, 2)]),
            ValueError,
            "no size",
        ),
        (lambda: Residual(3), TypeError, "block is an int; expected a layer"),
        (lambda: Residual(Dense(3, 3), "sum"), ValueError, "join is 'sum'; expected one of"),
        (lambda: Residual(Dense(3, 3), 1), TypeError, "join is an int"),
        (lambda: Parallel([]), ValueError, "blocks is empty"),
        (lambda: Parallel([Dense(3, 2), 3]), TypeError, r"blocks\[1\] is an int"),
        (
            lambda: Chain([Dense(2, 3), Residual(Dense(3, 4))]),
            ValueError,
            r"join is 'add' of paths with \[3, 4\] numbers",
        ),
        (
            lambda: Chain([Dense(2, 3), Residual(Chain([Dense(3, 4), Dense(5, 3)]))]),
            ValueError,
            r"blocks\[1\] has input_size 5",
        ),
        (
            lambda: Chain([Dense(2, 3), Residual(Dense(4, 4))]),
            ValueError,
            r"blocks\[1\].block has input_size 4; expected 3",
        ),
        (
            lambda: Chain([Residual(Dense(3, 3, batch_first=True)), GRU(3, 2)]),
            ValueError,
            r"blocks\[1\] has batch_first=False",
        ),
        (lambda: Chain([Residual(Embedding(3, 1))]), ValueError, "can only be the first block"),
        (lambda: Chain([Residual(Pool("mean")), Dense(3, 3)]), ValueError, "expected all or none"),
        (
            lambda: Chain([Dense(3, 3), Residual(MaxPool1d(2))])(np.zeros((4, 1, 3), np.float32)),
            ValueError,
            r"blocks\[1\].join: its paths give shapes \(4, 1, 3\) and \(2, 1, 3\)",
        ),
        (
            lambda: Chain([Dense(3, 3), Parallel([MaxPool1d(2), AvgPool1d(2)])]).stream(),
            ValueError,
            "a MaxPool1d that changes steps has no stream within a branch",
        ),
        (
            lambda: Chain([Residual(GRU(3, 3, bidirectional=True), "concat")]).stream(),
            ValueError,
            "bidirectional",
        ),
        (
            lambda: Chain([Residual(GRU(3, 3))])(np.zeros((2, 3, 3), np.float32), [None, None]),
            ValueError,
            "state has 2 entries; expected 1",
        ),
        (lambda: Chain([Residual(Dense(3, 3))])(np.zeros((2, 3))), TypeError, "float32"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
