"""losses.SampledSoftmax and its kin against the formulas in float64, and what they promise."""

import copy
import pickle
import threading

import numpy as np
import pytest

import gru_native
from gru_native import RowGradient, losses, optim
from helpers import assert_same_bits
from reference import vocabulary as reference
from vocabularies import CLASSES, COLUMNS, COUNTS, KINDS, ROWS, WORDS, make, problem

PROPOSALS = ["uniform", "log_uniform", COUNTS]


def weights_of(layer):
    w = layer.weights
    return w["weight"], w.get("bias", np.zeros(len(w["weight"])))


def dense(layer, grads):
    """Gradients of all rows."""
    return {
        name: g.dense(len(layer.weights[name])) if isinstance(g, RowGradient) else g
        for name, g in grads.weights.items()
    }


def check_against(layer, x, targets, expected, dscores, seed):
    loss, tape = layer.forward(x, targets, seed=seed)
    grads = layer.backward(tape)
    w, _ = weights_of(layer)
    mean = dscores / len(x)
    assert loss == pytest.approx(expected.mean(), rel=1e-12)
    np.testing.assert_allclose(grads.x, mean @ w, atol=1e-12)
    own = dense(layer, grads)
    np.testing.assert_allclose(own["weight"], mean.T @ x, atol=1e-12)
    if layer.bias:
        np.testing.assert_allclose(own["bias"], mean.sum(0), atol=1e-12)
    assert np.array_equal(grads.weights["weight"].rows, np.flatnonzero(dscores.any(0)))


@pytest.mark.parametrize("proposal", PROPOSALS, ids=["uniform", "log_uniform", "counts"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("samples", [1, 12, 36])
@pytest.mark.parametrize(
    ("kind", "formula"),
    [("SampledSoftmax", reference.sampled), ("NoiseContrastive", reference.contrastive)],
)
def test_the_formulas(kind, formula, samples, bias, proposal):
    layer = make(kind, num_samples=samples, bias=bias, proposal=proposal)
    for seed in range(3):
        x, targets = problem(seed)
        expected, dscores = formula(*weights_of(layer), x, targets, proposal, samples, seed)
        check_against(layer, x, targets, expected, dscores, seed)


@pytest.mark.parametrize("proposal", PROPOSALS, ids=["uniform", "log_uniform", "counts"])
def test_all_words_as_samples_are_the_full_softmax(proposal):
    layer = make("SampledSoftmax", num_samples=WORDS, proposal=proposal)
    x, targets = problem()
    w, b = weights_of(layer)
    expected, dlogits = losses.cross_entropy(x @ w.T + b, targets)
    loss, tape = layer.forward(x, targets, seed=1)
    grads = layer.backward(tape)
    assert loss == pytest.approx(expected, rel=1e-13)
    assert loss == pytest.approx(layer(x, targets), rel=1e-13)
    np.testing.assert_allclose(grads.x, dlogits @ w, atol=1e-14)
    np.testing.assert_allclose(grads.weights["weight"].values, dlogits.T @ x, atol=1e-14)


def test_full_sampling_as_torch():
    torch = pytest.importorskip("torch")
    layer = make("SampledSoftmax", num_samples=WORDS)
    x, targets = problem()
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, *weights_of(layer))]
    loss = torch.nn.functional.cross_entropy(
        torch.nn.functional.linear(*tensors), torch.tensor(targets)
    )
    loss.backward()
    ours, tape = layer.forward(x, targets)
    grads = layer.backward(tape)
    assert ours == pytest.approx(loss.item(), rel=1e-11)
    for got, of in zip([grads.x, *dense(layer, grads).values()], tensors, strict=True):
        np.testing.assert_allclose(got, of.grad.numpy(), atol=1e-11)


@pytest.mark.parametrize("classes", [None, CLASSES, np.arange(WORDS), np.zeros(WORDS, int)])
def test_two_levels(classes):
    layer = make("ClassSoftmax", classes=classes)
    x, targets = problem()
    w = layer.weights
    of_words = np.arange(WORDS) // 7 if classes is None else classes  # 7: the root, rounded up
    expected = reference.two_levels(
        w["weight"], w["bias"], w["class_weight"], w["class_bias"], of_words, x
    )
    np.testing.assert_allclose(layer.log_probability(x), expected, atol=1e-12)
    loss, _ = layer.forward(x, targets)
    assert loss == pytest.approx(-expected[np.arange(ROWS), targets].mean(), rel=1e-12)


@pytest.mark.parametrize("words", [2, 3, 8, 37])
def test_a_balanced_tree(words):
    """Each way is as long as the logarithm says, and the nodes on it are those of the loss."""
    layer = losses.TreeSoftmax(1, words, bias=False, dtype=np.float64, seed=1)
    for word in range(words):
        _, tape = layer.forward([[1.0]], [word])
        rows = layer.backward(tape).weights["weight"].rows
        assert np.floor(np.log2(words)) <= len(rows) <= np.ceil(np.log2(words))
        with layer.editing() as w:  # then left and right are alike
            w["weight"][:] = 0
        assert layer.log_probability([[1.0]], [word])[0] == pytest.approx(-len(rows) * np.log(2))


def test_huffmans_tree_is_the_shortest():
    rng = np.random.default_rng(7)
    for counts in (COUNTS, rng.pareto(1, WORDS), 2.0 ** np.arange(WORDS), np.zeros(WORDS)):
        layer = losses.TreeSoftmax(1, WORDS, counts=counts, seed=1)
        depths = []
        for word in range(WORDS):
            _, tape = layer.forward([[1.0]], [word])
            depths.append(len(layer.backward(tape).weights["bias"].rows))
        assert counts @ depths == pytest.approx(reference.huffman_cost(counts))
        assert sum(0.5**d for d in depths) == pytest.approx(1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_probabilities(kind, dtype):
    """They sum to 1, are the same one by one, and their best are the top."""
    layer = make(kind, dtype)
    x, targets = problem(dtype=dtype)
    log_p = layer.log_probability(x)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    assert log_p.dtype == dtype
    np.testing.assert_allclose(np.exp(log_p).sum(1), 1, rtol=tolerance)
    ids = np.stack([targets, np.arange(ROWS), targets])
    some = layer.log_probability(x, ids.T)
    np.testing.assert_allclose(
        some, np.take_along_axis(log_p, ids.T, 1), rtol=tolerance, atol=tolerance
    )
    np.testing.assert_allclose(layer.log_probability(x, targets), some[:, 0], rtol=tolerance)
    assert layer(x, targets) == pytest.approx(-some[:, 0].mean(dtype=np.float64), rel=tolerance)
    for k in (1, 5, WORDS):
        best, values = layer.top_k(x.reshape(3, 3, COLUMNS), k)
        order = np.argsort(-log_p, axis=1, kind="stable")[:, :k]
        assert np.array_equal(best.reshape(ROWS, k), order)
        assert_same_bits(values.reshape(ROWS, k), np.take_along_axis(log_p, order, 1))


def test_equal_words_are_in_their_order():
    layer = make("SampledSoftmax")
    with layer.editing() as w:
        w["weight"][:] = 0
        w["bias"][:] = np.arange(WORDS) % 3
    best, _ = layer.top_k(np.zeros((1, COLUMNS)), 15)
    assert best[0].tolist() == [*range(2, WORDS, 3), *range(1, 10, 3)]


@pytest.mark.parametrize("kind", KINDS)
def test_differences(kind):
    layer = make(kind)
    x, targets = problem()
    rng = np.random.default_rng(8)
    loss, tape = layer.forward(x, targets, ignore=int(targets[2]), seed=4)
    grads = layer.backward(tape, 0.5)
    every = {"x": grads.x, **dense(layer, grads)}
    before = layer.state_dict()
    for name, gradient in every.items():
        direction = rng.standard_normal(gradient.shape)
        step = 1e-6

        def at(t, name=name, direction=direction):
            moved = x
            if name == "x":
                moved = x + t * direction
            else:
                layer.load_state_dict({**before, name: before[name] + t * direction})
            value, _ = layer.forward(moved, targets, ignore=int(targets[2]), seed=4)
            layer.load_state_dict(before)
            return 0.5 * value

        slope = (at(step) - at(-step)) / (2 * step)
        assert slope == pytest.approx((gradient * direction).sum(), rel=1e-6, abs=1e-8), name
    assert loss == layer.forward(x, targets, ignore=int(targets[2]), seed=4)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_ignored_rows_are_not_there(kind):
    layer = make(kind)
    x, targets = problem()
    x[[0, 4]] = np.nan
    targets[[0, 4]] = -1
    kept = targets >= 0
    loss, tape = layer.forward(x, targets, ignore=-1, seed=2)
    alone, own = layer.forward(x[kept], targets[kept], seed=2)
    assert loss == alone
    grads, expected = layer.backward(tape), layer.backward(own)
    assert_same_bits(grads.x[kept], expected.x)
    assert not grads.x[~kept].any()
    for name, g in dense(layer, grads).items():
        assert_same_bits(g, dense(layer, expected)[name], name)
    assert layer(x, targets, ignore=-1) == layer(x[kept], targets[kept])
    nothing, tape = layer.forward(x, np.full(ROWS, -1), ignore=-1)
    assert nothing == layer(x, np.full(ROWS, -1), ignore=-1) == 0
    assert not any(g.any() for g in dense(layer, layer.backward(tape)).values())


@pytest.mark.parametrize("kind", KINDS)
def test_samples_follow_from_the_seed(kind):
    layer = make(kind)
    x, targets = problem()
    again = make(kind)
    first = [layer.forward(x, targets, seed=s)[0] for s in (0, 1, 2**63 - 1)]
    assert first == [again.forward(x, targets, seed=s)[0] for s in (0, 1, 2**63 - 1)]
    drawn = kind in ("SampledSoftmax", "NoiseContrastive")
    assert len(set(first)) == (3 if drawn else 1)
    free = [layer.forward(x, targets)[0] for _ in range(3)]
    assert free == [again.forward(x, targets)[0] for _ in range(3)]  # of the layer's seed
    assert len(set(free)) == (3 if drawn else 1)


def run(layer, x, targets):
    loss, tape = layer.forward(x, targets, seed=6)
    grads = layer.backward(tape)
    return [np.array(loss), grads.x, *dense(layer, grads).values(), layer.log_probability(x)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_for_threads(kind, dtype, threads):
    """Of a call that is worth several threads."""
    options = {
        "SampledSoftmax": {"num_samples": 300},
        "NoiseContrastive": {"num_samples": 300},
    }.get(kind, {})
    layer = getattr(losses, kind)(65, 3001, dtype=dtype, seed=1, **options)
    rng = np.random.default_rng(9)
    x = rng.standard_normal((203, 65)).astype(dtype)
    targets = rng.integers(0, 3001, 203)
    threads(1)
    expected = run(layer, x, targets)
    for n in (2, 3, 5):
        threads(n)
        for i, (a, b) in enumerate(zip(run(layer, x, targets), expected, strict=True)):
            assert_same_bits(a, b, str(i))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_in_company(kind, dtype):
    """A row's numbers do not depend on others; the mean divides by a power of two."""
    layer = make(kind, dtype)
    x, targets = problem(dtype=dtype, rows=8)
    _, tape = layer.forward(x, targets, seed=6)
    together = layer.backward(tape).x * dtype(8)
    probabilities = layer.log_probability(x)
    for r in range(8):
        loss, tape = layer.forward(x[r], targets[r], seed=6)
        assert isinstance(loss, float)
        assert_same_bits(layer.backward(tape).x, together[r])
        assert_same_bits(layer.log_probability(x[r]), probabilities[r])


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_and_touches_no_other_rows(kind):
    layer = make(kind, np.float32)
    rng = np.random.default_rng(10)
    centres = rng.standard_normal((4, COLUMNS)).astype(np.float32)
    words = np.array([1, 5, 17, 36])
    adam = optim.Adam(layer, 0.05)
    start, before = layer(centres, words), layer.state_dict()
    touched = set()
    for _ in range(200):
        _, tape = layer.forward(centres, words)
        grads = layer.backward(tape)
        touched |= set(grads.weights["weight"].rows.tolist())
        adam.step(grads)
    assert layer(centres, words) < 0.35 * start
    assert layer.top_k(centres, 1)[0][:, 0].tolist() == words.tolist()
    others = [r for r in range(len(before["weight"])) if r not in touched]
    assert_same_bits(layer.weights["weight"][others], before["weight"][others])


def test_what_was_packed_follows_edits():
    layer = make("SampledSoftmax")
    x, targets = problem()
    first = layer.log_probability(x)
    with layer.editing() as w:
        w["bias"][3] += 1
    second = layer.log_probability(x)
    expected = reference.log_softmax(x @ layer.weights["weight"].T + layer.weights["bias"])
    assert (first[:, 3] < second[:, 3]).all()
    np.testing.assert_allclose(second, expected, atol=1e-13)
    _, tape = layer.forward(x, targets, seed=1)
    grads = layer.backward(tape)
    with layer.editing() as w:
        w["weight"][:] = 7
    for name, g in dense(layer, layer.backward(tape)).items():  # of the weights of its call
        assert_same_bits(g, dense(layer, grads)[name], name)


@pytest.mark.parametrize("kind", ["SampledSoftmax", "NoiseContrastive"])
def test_as_a_dense_layer(kind, tmp_path):
    layer = make(kind, np.float32)
    x, _ = problem(dtype=np.float32)
    head = layer.dense()
    np.testing.assert_allclose(head(x), layer.log_probability(x), atol=2e-6)
    gru_native.save(head, tmp_path / "head.safetensors")
    assert_same_bits(gru_native.load(tmp_path / "head.safetensors")(x), head(x))


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_what_there_is_not(kind):
    layer = make(kind)
    x, targets = problem()
    expected = run(layer, x, targets)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(twin) == repr(layer)
        for a, b in zip(run(twin, x, targets), expected, strict=True):
            assert_same_bits(a, b)
    other = type(layer)(**{**{n: getattr(layer, n) for n in layer._arguments}, "seed": 8})
    other.load_state_dict(layer.state_dict())
    for a, b in zip(run(other, x, targets), expected, strict=True):
        assert_same_bits(a, b)
    with pytest.raises(AttributeError, match=f"{kind} has no form with weights of few bits"):
        layer.quantize("int8")


@pytest.mark.parametrize("kind", KINDS)
def test_calls_beside_steps_have_the_weights_of_one_step(kind):
    """Weights are used where they are; who reads them while others write has those of one step."""
    layer, replay = make(kind), make(kind)
    x, targets = problem()
    grads = {name: np.ones_like(w) for name, w in layer.weights.items()}
    steps = optim.SGD(replay, 0.01), optim.SGD(layer, 0.01)

    def looked_at(one):
        return one.forward(x, targets, seed=3)[0], one.log_probability(x)[:, 5].tolist()

    # A step down from all rows alike changes nothing of a softmax; so only of some.
    grads["weight"][::2] = 0
    expected = [looked_at(replay)]
    for _ in range(30):
        steps[0].step(grads)
        expected.append(looked_at(replay))
    assert len({loss for loss, _ in expected}) == 31
    seen, done = [], threading.Event()

    def call() -> None:
        while not done.is_set():
            seen.append(looked_at(layer))

    caller = threading.Thread(target=call)
    caller.start()
    for _ in range(30):
        steps[1].step(grads)
    done.set()
    caller.join()
    losses_of_steps = {loss for loss, _ in expected}
    of_steps = [log_p for _, log_p in expected]
    assert seen
    assert all(loss in losses_of_steps and log_p in of_steps for loss, log_p in seen)
