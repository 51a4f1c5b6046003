"""losses.cross_entropy against its definition, PyTorch, differences, and what it promises."""

import numpy as np
import pytest

from gru_native import losses
from helpers import assert_close, assert_same_bits, assert_slopes
from reference.losses import cross_entropy

TOLERANCE = {np.float32: 2e-6, np.float64: 1e-14}


def problem(rng, *shape, dtype=np.float64, scale=3.0):
    """Logits, and targets of which row 0's first is also the one to ignore."""
    logits = (scale * rng.standard_normal(shape)).astype(dtype)
    return logits, rng.integers(0, shape[-1], shape[:-1])


@pytest.mark.parametrize("smoothing", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("classes", [1, 2, 7, 16, 33, 1000])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_definition(dtype, classes, smoothing):
    logits, targets = problem(np.random.default_rng(classes), 5, 3, classes, dtype=dtype)
    for ignore in (None, int(targets[1, 1])):
        loss, dlogits = losses.cross_entropy(
            logits, targets, ignore=ignore, label_smoothing=smoothing
        )
        expected, gradient = cross_entropy(
            logits.reshape(-1, classes).astype(np.float64), targets.ravel(), ignore, smoothing
        )
        assert isinstance(loss, float)
        assert dlogits.dtype == dtype
        assert loss == pytest.approx(expected, rel=TOLERANCE[dtype], abs=TOLERANCE[dtype])
        difference = np.abs(dlogits - gradient.reshape(dlogits.shape)).max()
        assert difference <= TOLERANCE[dtype]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ignore", [None, -100, 2])
def test_as_torch(ignore, smoothing):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    logits, targets = problem(rng, 20, 9)
    logits[3, targets[3] - 1] = -np.inf if smoothing == 0 else -40
    if ignore is not None:
        targets[[4, 7]] = ignore
    a = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        a,
        torch.tensor(targets),
        ignore_index=-1 if ignore is None else ignore,
        label_smoothing=smoothing,
    )
    expected.backward()
    loss, dlogits = losses.cross_entropy(logits, targets, ignore=ignore, label_smoothing=smoothing)
    assert loss == pytest.approx(expected.item(), rel=1e-14)
    assert_close(dlogits, a.grad.numpy(), 1e-14)


def test_gradient_by_differences():
    rng = np.random.default_rng(2)
    logits, targets = problem(rng, 6, 5)

    def loss():
        return losses.cross_entropy(logits, targets, ignore=3, label_smoothing=0.2)[0]

    gradient = losses.cross_entropy(logits, targets, ignore=3, label_smoothing=0.2)[1]
    for _ in range(5):
        assert_slopes(loss, {"logits": logits}, {"logits": gradient}, rng)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_any_scale(dtype):
    """e^a would overflow, or all but one vanish; only differences between logits count."""
    logits = np.array([[1e4, 1e4 - 2, -1e4], [-1e4, 3 - 1e4, -1e4]], dtype)
    loss, dlogits = losses.cross_entropy(logits, [1, 1])
    first = 2 + np.log1p(np.exp(-2))
    second = np.log1p(2 * np.exp(-3))
    assert loss == pytest.approx((first + second) / 2, rel=TOLERANCE[dtype])
    assert np.isfinite(dlogits).all()


def test_infinities():
    """A class that is ruled out has no gradient; as the target it is an infinite loss."""
    logits = np.array([[0.0, -np.inf, 1.0]])
    loss, dlogits = losses.cross_entropy(logits, [0])
    assert loss == pytest.approx(np.log1p(np.e))
    assert dlogits[0, 1] == 0
    assert losses.cross_entropy(logits, [1])[0] == np.inf
    assert losses.cross_entropy(logits, [0], label_smoothing=0.5)[0] == np.inf
    assert losses.cross_entropy(logits, [1], label_smoothing=1.0)[0] == np.inf


def test_all_rows_ignored():
    loss, dlogits = losses.cross_entropy(np.ones((2, 3)), [7, 7], ignore=7)
    assert loss == 0
    assert not dlogits.any()


def test_one_row_and_lists():
    loss, dlogits = losses.cross_entropy([0.0, 1.0], 1)
    assert loss == pytest.approx(np.log1p(np.exp(-1)))
    assert dlogits.shape == (2,)
    assert dlogits.dtype == np.float32


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_same_bits_for_threads_and_batch(threads, smoothing):
    """A row's gradient is the same alone, but for the mean's factor, here a power of two."""
    logits, targets = problem(np.random.default_rng(3), 64, 1003, dtype=np.float32)
    threads(1)
    loss, expected = losses.cross_entropy(logits, targets, label_smoothing=smoothing)
    for n in (2, 3, 7):
        threads(n)
        again, dlogits = losses.cross_entropy(logits, targets, label_smoothing=smoothing)
        assert again == loss
        assert_same_bits(dlogits, expected)
    alone = losses.cross_entropy(logits[5], targets[5], label_smoothing=smoothing)[1]
    assert_same_bits(alone / np.float32(64), expected[5])


NAN, INF = np.nan, np.inf
X = np.zeros((2, 3), np.float32)
BAD = [
    (lambda: losses.cross_entropy(X, [0, 3]), ValueError, "targets: row 1 is 3; expected 0 to 2"),
    (lambda: losses.cross_entropy(X, [-1, 0]), ValueError, "targets: row 0 is -1"),
    (lambda: losses.cross_entropy(X, [-1, 4], ignore=4), ValueError, "or ignore=4"),
    (lambda: losses.cross_entropy(X, [0]), ValueError, r"targets has shape \(1,\)"),
    (lambda: losses.cross_entropy(X, [0.0, 1.0]), TypeError, "targets"),
    (lambda: losses.cross_entropy(X, [True, False]), TypeError, "targets"),
    (lambda: losses.cross_entropy(X.astype(complex), [0, 1]), TypeError, "logits"),
    (lambda: losses.cross_entropy("no", [0, 1]), TypeError, "logits"),
    (lambda: losses.cross_entropy(1.0, 0), ValueError, r"logits has shape \(\)"),
    (lambda: losses.cross_entropy(X[:0], X[:0, 0].astype(int)), ValueError, "logits has shape"),
    (lambda: losses.cross_entropy(X[:, :0], [0, 0]), ValueError, "logits has shape"),
    (lambda: losses.cross_entropy(X, [0, 0], ignore=0.5), TypeError, "ignore"),
    (lambda: losses.cross_entropy(X, [0, 0], label_smoothing=1.5), ValueError, "label_smoothing"),
    (lambda: losses.cross_entropy(X, [0, 0], label_smoothing=NAN), ValueError, "label_smoothing"),
    (lambda: losses.cross_entropy(X, [0, 0], label_smoothing="a"), TypeError, "label_smoothing"),
    (lambda: losses.cross_entropy([[0, NAN]], [0]), ValueError, "logits: row 0 has no softmax"),
    (lambda: losses.cross_entropy([[0, 1], [0, INF]], [0, 0]), ValueError, "logits: row 1"),
    (lambda: losses.cross_entropy([[-INF, -INF]], [0]), ValueError, "logits: row 0"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_ignored_rows_may_hold_anything():
    loss, dlogits = losses.cross_entropy(np.array([[NAN, NAN], [0.0, 0.0]]), [5, 0], ignore=5)
    assert loss == pytest.approx(np.log(2))
    assert not dlogits[0].any()
