"""BatchNorm1d against PyTorch in float64: inference, training, running statistics, files."""

import copy
import pickle

import numpy as np
import pytest

import gru_native
from gru_native import GRU, BatchNorm1d, Chain, Dense, LayerNorm, Residual, complexity, optim
from helpers import assert_close, assert_same_bits

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")


def pair(seed, size):
    """One of ours and torch's with random options and weights."""
    random = np.random.default_rng(seed)
    options = {
        "eps": float(random.choice([1e-5, 1e-3, 0.1])),
        "momentum": float(random.choice([0.1, 0.25, 1.0])),
        "affine": bool(random.integers(2)),
    }
    ours = BatchNorm1d(size, **options, dtype=np.float64)
    theirs = torch.nn.BatchNorm1d(size, **options, dtype=torch.float64)
    state = theirs.state_dict()
    state.pop("num_batches_tracked")
    assert {n: w.shape for n, w in ours.weights.items()} == {
        n: tuple(w.shape) for n, w in state.items()
    }
    for name, w in state.items():
        assert_same_bits(ours.weights[name], w.numpy())  # as torch begins
    ours.load_state_dict({n: random.uniform(0.5, 2, w.shape) for n, w in ours.weights.items()})
    theirs.load_state_dict({n: torch.tensor(w) for n, w in ours.state_dict().items()}, strict=False)
    return ours, theirs, random


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_as_torch(seed, training):
    size = int(np.random.default_rng(seed).integers(1, 40))
    ours, theirs, random = pair(seed, size)
    theirs.train(training)
    ragged = bool(random.integers(2))
    lengths = random.integers(1, 8, 3) if ragged else np.full(3, 7)
    x, dy = random.standard_normal((7, 3, size)) + 3, random.standard_normal((7, 3, size))
    present = np.arange(7)[:, None] < lengths
    x[~present] = np.nan
    dy[~present] = np.nan  # is not read
    options = {"lengths": lengths} if ragged else {}
    before = ours.state_dict()
    y, tape = ours.forward(x, training=training, **options)
    if not training:
        assert_same_bits(ours(x, **options), y)
    packed = torch.tensor(x[present], requires_grad=True)
    expected = theirs(packed)
    expected.backward(torch.tensor(dy[present]))
    assert_close(y[present], expected.detach().numpy(), 1e-11)
    assert not y[~present].any()
    x[...] = 7  # the tape has copies of all it needs
    grads = ours.backward(tape, dy)
    assert_close(grads.x[present], packed.grad.numpy(), 1e-11)
    assert not grads.x[~present].any()
    assert set(grads.weights) == {n for n, _ in theirs.named_parameters()}
    for name, w in theirs.named_parameters():
        assert_close(grads.weights[name], w.grad.numpy(), 1e-11)
    for name, w in before.items():
        assert_same_bits(ours.weights[name], w)  # no call changes it
    if not training:
        with pytest.raises(ValueError, match="expected that of a training call"):
            ours.update_statistics(tape)
        return
    ours.update_statistics(tape)
    for name in ("running_mean", "running_var"):
        assert_close(ours.weights[name], theirs.state_dict()[name].numpy(), 1e-11)


def network(dtype=np.float32, batch_first=False):
    o = {"dtype": dtype, "batch_first": batch_first}
    return Chain(
        [
            BatchNorm1d(3, **o),
            GRU(3, 6, seed=1, **o),
            Residual(Chain([BatchNorm1d(6, momentum=0.3, **o), Dense(6, 6, seed=2, **o)])),
            Dense(6, 2, seed=3, **o),
        ]
    )


def test_a_chain_trains_with_it():
    model, random = network(np.float64), np.random.default_rng(0)
    first, second = (torch.nn.BatchNorm1d(n, momentum=m).double() for n, m in ((3, 0.1), (6, 0.3)))
    gru, dense, head = torch.nn.GRU(3, 6), torch.nn.Linear(6, 6), torch.nn.Linear(6, 2)
    names = {"0": first, "1": gru, "2_block_0": second, "2_block_1": dense, "3": head}
    modules = torch.nn.ModuleDict(names).double()
    state = {
        n.replace("2.block.", "2_block_"): torch.tensor(w) for n, w in model.state_dict().items()
    }
    modules.load_state_dict(state, strict=False)
    step, theirs = optim.SGD(model, lr=0.1), torch.optim.SGD(modules.parameters(), lr=0.1)
    rows = lambda norm, a: norm(a.reshape(-1, a.shape[-1])).reshape(a.shape)  # noqa: E731
    for _ in range(3):
        x, dy = random.standard_normal((5, 4, 3)), random.standard_normal((5, 4, 2))
        y, _, tape = model.forward(x)
        hidden = gru(rows(first, torch.tensor(x)))[0]
        expected = head(hidden + dense(rows(second, hidden)))
        assert_close(y, expected.detach().numpy(), 1e-11)
        theirs.zero_grad()
        expected.backward(torch.tensor(dy))
        step.step(model.backward(tape, dy))
        theirs.step()
        model.update_statistics(tape)
    for name, w in modules.state_dict().items():
        if "tracked" not in name:
            own = model.weights[name.replace("2_block_", "2.block.")]
            assert_close(own, w.numpy(), 1e-11)
    modules.eval()
    hidden = gru(rows(first, torch.tensor(x)))[0]
    expected = head(hidden + dense(rows(second, hidden)))
    assert_close(model(x)[0], expected.detach().numpy(), 1e-11)
    assert_same_bits(model.forward(x, training=False)[0], model(x)[0])
    with pytest.raises(ValueError, match=r"blocks\[0\]: tape has no statistics"):
        model.update_statistics(model.forward(x, training=False)[2])
    with pytest.raises(TypeError, match="expected a tape of this chain"):
        model.update_statistics(None)


@pytest.mark.parametrize("batch_first", [False, True])
def test_streams_files_and_copies(tmp_path, batch_first):
    model, random = network(batch_first=batch_first), np.random.default_rng(0)
    _, _, tape = model.forward(random.standard_normal((6, 6, 3)).astype(np.float32))
    model.update_statistics(tape)
    x = random.standard_normal((6, 6, 3)).astype(np.float32)
    y, _ = model(x)
    gru_native.save(model, tmp_path / "model.safetensors")
    again = gru_native.load(tmp_path / "model.safetensors")
    assert repr(again) == repr(model)
    for twin in (again, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same_bits(twin(x)[0], y)
        assert_same_bits(twin.stream(6)(x), y)
    assert model.blocks[0].num_parameters == 6
    assert complexity.count(model, 4).parameters == model.num_parameters


def test_a_state_dict_of_pytorch_says_what_it_is(tmp_path):
    modules = torch.nn.ModuleList(
        [torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.LayerNorm(4)]
    )
    modules[1](torch.randn(9, 4))
    safetensors.save_file(modules.state_dict(), tmp_path / "model.safetensors")
    model = gru_native.load(tmp_path / "model.safetensors")
    assert [type(block) for block in model.blocks] == [Dense, BatchNorm1d, LayerNorm]
    x = np.random.default_rng(0).standard_normal((5, 2, 3)).astype(np.float32)
    with torch.no_grad():
        modules.eval()
        hidden = modules[0](torch.tensor(x)).reshape(-1, 4)
        expected = modules[2](modules[1](hidden)).reshape(5, 2, 4)
    assert_close(model(x)[0], expected.numpy(), 1e-5)


def test_same_bits_for_any_threads(threads):
    norm, random = BatchNorm1d(70), np.random.default_rng(0)
    x = random.standard_normal((300, 20, 70)).astype(np.float32)
    assert_same_bits(norm(x[:, 3:4]), norm(x)[:, 3:4])
    y, tape = norm.forward(x)
    grads = norm.backward(tape, y)
    threads(1)
    one, tape = norm.forward(x)
    alone = norm.backward(tape, y)
    assert_same_bits(one, y)
    assert_same_bits(alone.x, grads.x)
    for name, w in alone.weights.items():
        assert_same_bits(grads.weights[name], w)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: BatchNorm1d(0), ValueError, "num_features is 0; expected at least 1"),
        (lambda: BatchNorm1d(3, eps=-1.0), ValueError, r"eps is -1\.0+; expected"),
        (lambda: BatchNorm1d(3, momentum=1.5), ValueError, r"momentum is 1\.50+; expected"),
        (lambda: BatchNorm1d(3, momentum=None), TypeError, "momentum is a NoneType"),
        (lambda: BatchNorm1d(3, affine=1), TypeError, "affine is an int"),
        (
            lambda: BatchNorm1d(3).forward(np.ones((1, 1, 3), np.float32)),
            ValueError,
            "x has 1 row; expected at least 2 in training",
        ),
        (
            lambda: BatchNorm1d(3).forward(np.ones((2, 3), np.float32), training=1),
            TypeError,
            "training is an int",
        ),
        (
            lambda: BatchNorm1d(3).update_statistics(
                BatchNorm1d(3).forward(np.ones((2, 3), np.float32))[1]
            ),
            ValueError,
            "another layer",
        ),
        (lambda: BatchNorm1d(3).update_statistics(None), TypeError, "expected a tape"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
