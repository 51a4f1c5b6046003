"""Activation, LayerNorm and Embedding against PyTorch in float64, alone and in chains."""

import copy
import pickle

import numpy as np
import pytest

import gru_native
from gru_native import GRU, LSTM, Activation, Chain, Dense, Embedding, LayerNorm, RowGradient
from helpers import assert_close, assert_same_bits

torch = pytest.importorskip("torch")
functional = torch.nn.functional

FUNCTIONS = {
    "identity": lambda a: a,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softsign": functional.softsign,
    "softplus": lambda a: functional.softplus(a, threshold=1e9),
    ("leaky_relu", 0.02): lambda a: functional.leaky_relu(a, 0.02),
    ("elu", 0.7): lambda a: functional.elu(a, 0.7),
    ("affine", 0.5, 1.0): lambda a: 0.5 * a + 1,
    ("hard_sigmoid", 0.2, 0.5): lambda a: torch.clamp(0.2 * a + 0.5, 0, 1),
}


def numbers(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def leaf(a):
    return torch.tensor(a, requires_grad=True)


@pytest.mark.parametrize("name", FUNCTIONS, ids=str)
@pytest.mark.parametrize("shape", [(7,), (4, 7), (5, 3, 17), (2, 3, 4, 5)])
def test_activation(name, shape):
    f = Activation(name, dtype=np.float64)
    x, dy = numbers(*shape), numbers(*shape, seed=1)
    y, tape = f.forward(x)
    expected_x = leaf(x)
    expected = FUNCTIONS[name](expected_x)
    expected.backward(torch.tensor(dy))
    assert_close(y, expected.detach().numpy(), 1e-14)
    assert_same_bits(f(x), y)
    x += 1  # the tape has copies of all it needs
    assert_close(f.backward(tape, dy).x, expected_x.grad.numpy(), 1e-13)


@pytest.mark.parametrize("seed", range(20))
def test_layer_norm(seed):
    random = np.random.default_rng(seed)
    size = int(random.integers(1 if seed else 2, 40))
    options = {
        "eps": float(random.choice([1e-5, 1e-3, 0.1])),
        "elementwise_affine": bool(random.integers(2)),
        "bias": bool(random.integers(2)),
    }
    ours = LayerNorm(size, **options, dtype=np.float64)
    theirs = torch.nn.LayerNorm(size, **options, dtype=torch.float64)
    assert {n: w.shape for n, w in ours.weights.items()} == {
        n: tuple(w.shape) for n, w in theirs.named_parameters()
    }
    for name, w in theirs.named_parameters():
        assert_same_bits(ours.weights[name], w.detach().numpy())  # as torch begins
    ours.load_state_dict({n: random.standard_normal(w.shape) for n, w in ours.weights.items()})
    theirs.load_state_dict({n: torch.tensor(w) for n, w in ours.state_dict().items()})
    x, dy = random.standard_normal((6, 3, size)), random.standard_normal((6, 3, size))
    y, tape = ours.forward(x)
    expected_x = leaf(x)
    expected = theirs(expected_x)
    expected.backward(torch.tensor(dy))
    assert_close(y, expected.detach().numpy(), 1e-12)
    assert_same_bits(ours(x), y)
    grads = ours.backward(tape, dy)
    assert_close(grads.x, expected_x.grad.numpy(), 1e-11)
    for name, w in theirs.named_parameters():
        assert_close(grads.weights[name], w.grad.numpy(), 1e-11)


@pytest.mark.parametrize("padding_idx", [None, 3, -1])
@pytest.mark.parametrize("shape", [(5,), (4, 3), (2, 3, 4)])
def test_embedding(padding_idx, shape):
    ours = Embedding(11, 5, padding_idx=padding_idx, dtype=np.float64, seed=1)
    theirs = torch.nn.Embedding(11, 5, padding_idx=padding_idx, dtype=torch.float64)
    if padding_idx is not None:
        assert not ours.weights["weight"][padding_idx].any()
    theirs.weight.data = torch.tensor(ours.weights["weight"])
    ids, dy = np.random.default_rng(2).integers(0, 11, shape), numbers(*shape, 5)
    ids.flat[:2] = 10, 3
    y, tape = ours.forward(ids)
    expected = theirs(torch.tensor(ids))
    expected.backward(torch.tensor(dy))
    assert_same_bits(y, expected.detach().numpy())
    assert_same_bits(ours(ids.tolist()), y)
    dx, weights = ours.backward(tape, dy)
    assert dx is None
    assert isinstance(weights["weight"], RowGradient)
    assert_close(weights["weight"].dense(11), theirs.weight.grad.numpy(), 1e-14)
    touched = set(ids.ravel().tolist()) - {ours.padding_idx}
    assert weights["weight"].rows.tolist() == sorted(touched)


@pytest.mark.parametrize("batch_first", [False, True])
def test_lengths(batch_first):
    swap = (lambda a: np.ascontiguousarray(a.swapaxes(0, 1))) if batch_first else (lambda a: a)
    lengths = [2, 5, 0]
    past = np.arange(5)[:, None] >= lengths
    for block, x in (
        (LayerNorm(4, batch_first=batch_first), numbers(5, 3, 4, dtype=np.float32)),
        (Activation("sigmoid", batch_first=batch_first), numbers(5, 3, 4, dtype=np.float32)),
        (Embedding(9, 4, batch_first=batch_first, seed=0), np.arange(15).reshape(5, 3) % 9),
    ):
        expected = swap(block(swap(x))).copy()
        expected[past] = 0
        y, tape = block.forward(swap(x), lengths=lengths)
        assert_same_bits(swap(y), expected)
        assert_same_bits(block(swap(x), lengths=lengths), y)
        dy = numbers(*y.shape, dtype=np.float32)
        dx, weights = block.backward(tape, dy)
        if dx is not None:
            assert not swap(dx)[past].any()
            assert swap(dx)[~past].any()
        else:
            assert set(weights["weight"].rows) == set(x[~past])


def text_model(dtype=np.float32, batch_first=False):
    common = {"dtype": dtype, "batch_first": batch_first}
    return Chain(
        [
            Embedding(20, 6, padding_idx=0, seed=1, **common),
            LayerNorm(6, **common),
            GRU(6, 8, seed=2, **common),
            Activation(("leaky_relu", 0.1), **common),
            LayerNorm(8, eps=1e-3, bias=False, **common),
            Dense(8, 4, seed=3, **common),
        ]
    )


def test_a_chain_trains_as_in_torch():
    model = text_model(np.float64)
    random = np.random.default_rng(5)
    model.load_state_dict({n: random.standard_normal(w.shape) for n, w in model.weights.items()})
    table = torch.nn.Embedding(20, 6, padding_idx=0, dtype=torch.float64)
    first = torch.nn.LayerNorm(6, dtype=torch.float64)
    gru = torch.nn.GRU(6, 8, dtype=torch.float64)
    second = torch.nn.LayerNorm(8, eps=1e-3, bias=False, dtype=torch.float64)
    head = torch.nn.Linear(8, 4, dtype=torch.float64)
    modules = torch.nn.ModuleList([table, first, gru, torch.nn.Identity(), second, head])
    modules.load_state_dict({n: torch.tensor(w) for n, w in model.state_dict().items()})
    ids, dy = random.integers(0, 20, (7, 3)), random.standard_normal((7, 3, 4))
    hidden, _ = gru(first(table(torch.tensor(ids))))
    expected = head(second(functional.leaky_relu(hidden, 0.1)))
    expected.backward(torch.tensor(dy))
    y, state, tape = model.forward(ids)
    assert_close(y, expected.detach().numpy(), 1e-11)
    assert len(state) == 1
    grads = model.backward(tape, dy)
    assert grads.x is None
    for name, w in modules.named_parameters():
        own = grads.weights[name]
        own = own.dense(20) if isinstance(own, RowGradient) else own
        assert_close(own, w.grad.numpy(), 1e-11)


def test_an_optimizer_takes_the_rows():
    model = text_model()
    before = model.state_dict()
    optimizer = gru_native.optim.Adam(model, lr=0.1)
    _, _, tape = model.forward(np.array([[3, 7]]))
    optimizer.step(model.backward(tape, np.ones((1, 2, 4), np.float32)).weights)
    changed = np.flatnonzero((model.weights["0.weight"] != before["0.weight"]).any(axis=1))
    assert changed.tolist() == [3, 7]


@pytest.mark.parametrize("batch_first", [False, True])
def test_streams_and_sessions_have_the_bits_of_whole_sequences(batch_first):
    model = text_model(batch_first=batch_first)
    ids = np.random.default_rng(0).integers(0, 20, (9, 2))
    swap = (lambda a: np.ascontiguousarray(a.swapaxes(0, 1))) if batch_first else (lambda a: a)
    whole, state = model(swap(ids))
    whole = swap(whole)
    stream = model.stream(2)
    assert_same_bits(swap(stream(swap(ids[:4, :, None]))), whole[:4])
    other = pickle.loads(pickle.dumps(stream))
    for each in (stream, copy.copy(stream), other):
        for t in range(4, 9):
            assert_same_bits(each(ids[t, :, None]), whole[t])
        assert_same_bits(each.state[0], state[0])
    pool = model.sessions(4)
    a, b = pool.open(), pool.open()
    for t in range(9):
        assert_same_bits(pool.step([a, b], ids[t, :, None]), whole[t])
    with pytest.raises(ValueError, match=r"sequence 1 at step 0 is 20; expected .* 0 to 19"):
        pool.step([a, b], [[1], [20]])
    with pytest.raises(ValueError, match=r"is 0\.5"):
        model.stream()([0.5])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_files(tmp_path, dtype):
    model = text_model(dtype)
    gru_native.save(model, tmp_path / "model.safetensors")
    again = gru_native.load(tmp_path / "model.safetensors")
    ids = np.arange(12).reshape(6, 2)
    assert_same_bits(again(ids)[0], model(ids)[0])
    assert repr(again) == repr(model)
    one = LayerNorm(3, eps=0.5, elementwise_affine=False)  # without a tensor
    gru_native.save(one, tmp_path / "one.safetensors")
    assert repr(gru_native.load(tmp_path / "one.safetensors")) == repr(one)


def test_copies_pickles_and_few_bits():
    model = text_model()
    ids = np.arange(12).reshape(6, 2)
    y, _ = model(ids)
    for twin in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same_bits(twin(ids)[0], y)
    few = model.quantize("int8")
    assert few.precision == "int8"
    assert few.blocks[0] is model.blocks[0]  # what has no matrix stays as it is
    assert_close(few(ids)[0], y, 0.1)
    for block in model.blocks[:2]:
        with pytest.raises(AttributeError, match="no form with weights of few bits"):
            block.quantize("int8")


def test_same_bits_for_any_batch_and_threads():
    model = text_model()
    ids = np.random.default_rng(0).integers(0, 20, (40, 64))
    y, _ = model(ids)
    assert_same_bits(model(ids[:, 5:6])[0], y[:, 5:6])
    before = gru_native.get_num_threads()
    gru_native.set_num_threads(1)
    try:
        one, _, tape = model.forward(ids)
        alone = model.backward(tape, y)
    finally:
        gru_native.set_num_threads(before)
    assert_same_bits(one, y)
    _, _, tape = model.forward(ids)
    both = model.backward(tape, y)
    for name, w in alone.weights.items():
        assert_same_bits(
            getattr(both.weights[name], "values", both.weights[name]), getattr(w, "values", w)
        )


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Activation("tahn"), ValueError, 'name is "tahn"; expected'),
        (lambda: Activation(3), TypeError, "name is an int"),
        (lambda: LayerNorm(0), ValueError, "normalized_shape is 0; expected at least 1"),
        (lambda: LayerNorm(3, eps=-1.0), ValueError, r"eps is -1\.0+; expected"),
        (lambda: LayerNorm(3, bias=1), TypeError, "bias is an int"),
        (lambda: Embedding(0, 3), ValueError, "num_embeddings is 0; expected at least 1"),
        (lambda: Embedding(2**24 + 1, 1), ValueError, r"num_embeddings is 16777217; .* float32"),
        (lambda: Embedding(3, 2, padding_idx=3), ValueError, "padding_idx is 3; expected"),
        (lambda: Embedding(3, 2)([0, 3]), ValueError, r"^ids\[1\] is 3; expected 0 to 2"),
        (lambda: Embedding(3, 2)([[0, 1], [2, -1]]), ValueError, r"^ids\[1, 1\] is -1; expected"),
        (lambda: Embedding(3, 2)(-(2**63)), ValueError, "^ids is -9223372036854775808; expected"),
        (
            lambda: Embedding(3, 2)([[0], [2**53 + 1]]),
            ValueError,
            r"^ids\[1, 0\] is 9007199254740993;",
        ),
        (
            lambda: Embedding(3, 2, batch_first=True)([[0, 4], [1, 5]], lengths=[1, 2]),
            ValueError,
            r"^ids\[1, 1\] is 5",
        ),
        (
            lambda: Chain([Embedding(3, 2), Dense(2, 1)])([[0], [10**18]]),
            ValueError,
            r"^blocks\[0\]: ids\[1, 0\] is 1000000000000000000; expected 0 to 2",
        ),
        (
            lambda: Chain([Embedding(3, 2), Dense(2, 1)]).stream()([2.0**80]),
            ValueError,
            "^x of sequence 0 at step 0 is 1208925819614629174706176; expected an id, 0 to 2",
        ),
        (lambda: Embedding(3, 2)([0.5]), TypeError, "ids"),
        (lambda: LayerNorm(3)(np.zeros((2, 4), np.float32)), ValueError, r"\(2, 4\); expected"),
        (lambda: LayerNorm(3)(np.zeros((2, 3))), TypeError, "float32"),
        (lambda: Activation("tanh")(np.zeros((0, 3), np.float32)), ValueError, "at least one row"),
        (lambda: Chain([Activation("tanh")]), ValueError, "no block with a size of its own"),
        (lambda: Chain([Dense(3, 1), Embedding(3, 2)]), ValueError, r"blocks\[1\] is an Embedding"),
        (
            lambda: Chain([LSTM(3, 4), Activation("tanh"), LayerNorm(5)]),
            ValueError,
            r"blocks\[2\] has input_size 5; expected 4",
        ),
        (lambda: Activation(("elu", -1.0)).forward([[1.0]]), ValueError, "alpha of at least 0"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_tapes_of_others_are_refused():
    one, other = LayerNorm(3), LayerNorm(3)
    y, tape = one.forward(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="another layer"):
        other.backward(tape, y)
    with pytest.raises(TypeError, match="expected a tape"):
        one.backward(None, y)
    with pytest.raises(ValueError, match="dy has shape"):
        one.backward(tape, y[:1])
