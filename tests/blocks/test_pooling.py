"""Pool, MaxPool1d and AvgPool1d against PyTorch in float64, alone, in chains and in streams."""

import copy
import pickle

import numpy as np
import pytest

import gru_native
from gru_native import GRU, Activation, AvgPool1d, Chain, Conv1d, Dense, MaxPool1d, Pool, complexity
from helpers import assert_close, assert_same_bits

torch = pytest.importorskip("torch")
functional = torch.nn.functional

WHOLE = {
    "last": lambda x: x[-1],
    "mean": lambda x: x.mean(0),
    "max": lambda x: x.max(0).values,
}


def random_pool(seed, dtype=np.float64):
    """A pool with random options, which torch takes, too."""
    random = np.random.default_rng(seed)
    kernel = int(random.integers(1, 6))
    options = {
        "kernel_size": kernel,
        "stride": int(random.integers(1, 5)) if random.integers(3) else None,
        "padding": int(random.integers(0, kernel // 2 + 1)),
        "ceil_mode": bool(random.integers(2)),
    }
    if seed % 2:
        options["dilation"] = int(random.integers(1, 4))
        return MaxPool1d(**options, dtype=dtype), functional.max_pool1d, options, random
    options["count_include_pad"] = bool(random.integers(2))
    return AvgPool1d(**options, dtype=dtype), functional.avg_pool1d, options, random


def compare(layer, by_torch, least, random, behind=False):
    """Forward and backward of a random call; by_torch: of (seq, channels)."""
    batch, seq_len, channels = int(random.integers(1, 4)), least + int(random.integers(0, 12)), 19
    x = random.standard_normal((seq_len, batch, channels))
    ragged = bool(random.integers(2))
    lengths = random.integers(least, seq_len + 1, batch) if ragged else np.full(batch, seq_len)
    options = {"lengths": lengths} if ragged else {}
    inputs = [torch.tensor(x[:n, b], requires_grad=True) for b, n in enumerate(lengths)]
    y, tape = layer.forward(x, **options)
    assert_same_bits(layer(x, **options), y)
    dy, loss = random.standard_normal(y.shape), 0
    for b, part in enumerate(inputs):
        expected = by_torch(part)
        own, weight = (y[b], dy[b]) if behind else (y[: len(expected), b], dy[: len(expected), b])
        assert_close(own, expected.detach().numpy(), 1e-11)
        assert behind or not y[len(expected) :, b].any()
        loss = loss + (expected * torch.tensor(weight)).sum()
    loss.backward()
    x += 1  # the tape has copies of all it needs
    grads = layer.backward(tape, dy)
    assert grads.weights == {}
    for b, part in enumerate(inputs):
        assert_close(grads.x[: len(part), b], part.grad.numpy(), 1e-11)
        assert not grads.x[len(part) :, b].any()


@pytest.mark.parametrize("seed", range(60))
def test_windows_as_torch(seed):
    layer, function, options, random = random_pool(seed)
    least = (options["kernel_size"] - 1) * options.get("dilation", 1) + 1
    compare(layer, lambda part: function(part.T[None], **options)[0].T, least, random)


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("seed", range(5))
def test_pool_as_torch(kind, seed):
    layer = Pool(kind, dtype=np.float64)
    compare(layer, WHOLE[kind], 1, np.random.default_rng(seed), behind=True)


def test_sequences_without_steps_give_zeros_and_nan_stays():
    x = np.random.default_rng(0).standard_normal((4, 3, 5)).astype(np.float32)
    x[1, 1, 2] = np.nan
    for kind in WHOLE:
        y = Pool(kind, batch_first=True)(x.swapaxes(0, 1), lengths=[2, 3, 0])
        assert not y[2].any()
        assert np.isnan(y[1, 2]) == (kind != "last")
        assert np.isfinite(np.delete(y[1], 2)).all()
    y = Pool("max")(x)
    assert Pool("max")(x[:, 0]).shape == (5,)
    assert_same_bits(Pool("max")(x[:, 0]), y[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(6))
def test_same_bits_alone_and_together(seed, dtype, threads):
    layer, _, _, random = random_pool(seed, dtype)
    x = random.standard_normal((300, 5, 40)).astype(dtype)
    for pool in (layer, Pool([*WHOLE][seed % 3], dtype=dtype)):
        y, tape = pool.forward(x)
        alone = pool(x[:, 2:3])
        assert_same_bits(alone, y[2:3] if isinstance(pool, Pool) else y[:, 2:3])
        grads = pool.backward(tape, y)
        threads(1)
        one, tape = pool.forward(x)
        assert_same_bits(one, y)
        assert_same_bits(pool.backward(tape, y).x, grads.x)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "pool", [MaxPool1d(3), MaxPool1d(2, 1, dilation=3), AvgPool1d(2), AvgPool1d(3, 2)], ids=repr
)
def test_a_stream_has_the_bits_of_the_whole_sequence(pool, batch):
    model = Chain([pool, Conv1d(3, 4, 2, seed=1), AvgPool1d(3, 1), GRU(4, 2, seed=2)])
    random = np.random.default_rng(0)
    x = random.standard_normal((700, batch, 3)).astype(np.float32)
    whole, _ = model(x)
    stream = model.stream(batch)
    parts, begin = [], 0
    while begin < len(x):
        end = min(len(x), begin + int(random.choice([1, 2, 7, 300])))
        parts.append(stream(x[begin:end].reshape(-1, batch, 3)).reshape(-1, batch, 2))
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


def classifier(dtype=np.float32, batch_first=False):
    common = {"dtype": dtype, "batch_first": batch_first}
    return Chain(
        [
            MaxPool1d(2, padding=1, **common),
            GRU(3, 5, seed=1, **common),
            Pool("mean", **common),
            Activation("tanh", **common),
            Dense(5, 2, seed=2, **common),
        ]
    )


def test_a_chain_trains_as_in_torch():
    model = classifier(np.float64)
    gru, dense = torch.nn.GRU(3, 5), torch.nn.Linear(5, 2)
    modules = torch.nn.ModuleDict({"1": gru, "4": dense}).double()
    modules.load_state_dict({n: torch.tensor(w) for n, w in model.state_dict().items()})
    random = np.random.default_rng(0)
    x, lengths = random.standard_normal((9, 3, 3)), [9, 4, 6]
    y, _, tape = model.forward(x, lengths=lengths)
    assert y.shape == (3, 2)
    assert_same_bits(model(x, lengths=lengths)[0], y)
    dy = random.standard_normal(y.shape)
    grads = model.backward(tape, dy)
    loss, given = 0, torch.tensor(x, requires_grad=True)
    for b, n in enumerate(lengths):
        hidden = functional.max_pool1d(given[:n, b].T[None], 2, padding=1)[0].T
        out = dense(torch.tanh(gru(hidden[:, None])[0].mean(0)))[0]
        assert_close(y[b], out.detach().numpy(), 1e-11)
        loss = loss + (out * torch.tensor(dy[b])).sum()
    loss.backward()
    assert_close(grads.x, given.grad.numpy(), 1e-11)
    for name, w in modules.named_parameters():
        assert_close(grads.weights[name], w.grad.numpy(), 1e-11)


@pytest.mark.parametrize("batch_first", [False, True])
def test_files_and_copies(tmp_path, batch_first):
    model = classifier(batch_first=batch_first)
    x = np.random.default_rng(0).standard_normal((9, 2, 3)).astype(np.float32)
    x = x.swapaxes(0, 1) if batch_first else x
    gru_native.save(model, tmp_path / "model.safetensors")
    again = gru_native.load(tmp_path / "model.safetensors")
    assert repr(again) == repr(model)
    for twin in (again, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same_bits(twin(x)[0], model(x)[0])
    assert model.quantize("int8")(x)[0].shape == (2, 2)
    one = x[0] if batch_first else x[:, 0]
    assert_same_bits(model(one)[0], model(x)[0][0])


@pytest.mark.parametrize("seed", range(8))
def test_counts(seed):
    layer, function, options, _ = random_pool(seed)
    for n in (13, 14):
        ones = torch.ones(1, 1, n)
        made = function(ones, **options).shape[-1]
        described = getattr(complexity, type(layer).__name__)(**options)
        c = complexity.count(complexity.Chain([described, complexity.Dense(1, 1)]), n)
        assert c.forward.macs == made
        assert c.passes.forward.elementwise["divide"] == (0 if seed % 2 else made)
    pool = complexity.count(
        complexity.Chain([complexity.Pool("mean"), complexity.Dense(3, 2)]), 7, 2
    )
    assert pool.passes.forward.elementwise == {"add": 6 * 2 * 3, "divide": 2 * 3}
    assert pool.forward.macs == 2 * 3 * 2


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Pool("min"), ValueError, 'kind is "min"; expected'),
        (lambda: Pool(1), TypeError, "kind is an int"),
        (lambda: MaxPool1d(0), ValueError, "kernel_size is 0; expected at least 1"),
        (lambda: MaxPool1d(3, 0), ValueError, "stride is 0; expected at least 1"),
        (lambda: MaxPool1d(3, padding=2), ValueError, "padding is 2; expected 0 to 1"),
        (lambda: AvgPool1d(3, padding=-1), ValueError, "padding is -1; expected 0 to 1"),
        (lambda: MaxPool1d(3, dilation=0), ValueError, "dilation is 0"),
        (lambda: MaxPool1d(2**40, dilation=2**40), ValueError, "kernel_size"),
        (lambda: AvgPool1d(3, ceil_mode=1), TypeError, "ceil_mode is an int"),
        (
            lambda: AvgPool1d(5)(np.zeros((4, 1, 3), np.float32)),
            ValueError,
            r"x has shape \(4, 1, 3\); expected at least 5 steps",
        ),
        (lambda: Chain([Pool("last"), Dense(3, 2)]).stream(), ValueError, "a Pool has no stream"),
        (
            lambda: Chain([Dense(3, 2), MaxPool1d(2, padding=1)]).stream(),
            ValueError,
            "a MaxPool1d with windows beyond the end .* has no stream",
        ),
        (lambda: Chain([Dense(3, 2), AvgPool1d(2)]).sessions(1), ValueError, "has no sessions"),
        (
            lambda: Chain([Pool("last"), GRU(3, 2)]),
            ValueError,
            r"blocks\[1\] is a GRU, which reads steps; blocks\[0\], a Pool, leaves none",
        ),
        (lambda: Chain([Dense(3, 2), Pool("max"), MaxPool1d(2)]), ValueError, r"blocks\[2\] is a"),
        (lambda: Chain([MaxPool1d(2), Pool("max")]), ValueError, "no block with a size of its own"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
