"""losses.ctc against all paths one by one, PyTorch, differences, and what it promises."""

import numpy as np
import pytest

from gru_native import losses
from helpers import assert_near, assert_same_bits, assert_slopes
from reference.losses import ctc


def batch_of(rng, seq_len, batch, classes, longest, dtype=np.float64, blank=0, scale=2.0):
    """Logits and random labels, which often repeat, for sequences of all lengths."""
    logits = (scale * rng.standard_normal((seq_len, batch, classes))).astype(dtype)
    symbols = np.setdiff1d(np.arange(classes), [blank])
    targets = rng.choice(symbols, (batch, longest))
    repeat = rng.random((batch, longest)) < 0.3
    for u in range(1, longest):
        targets[repeat[:, u], u] = targets[repeat[:, u], u - 1]
    target_lengths = rng.integers(0, longest + 1, batch)
    input_lengths = rng.integers(0, seq_len + 1, batch)
    return logits, targets, input_lengths, target_lengths


@pytest.mark.parametrize("seed", range(8))
def test_every_path(seed):
    rng = np.random.default_rng(seed)
    classes, blank = (3, int(rng.integers(3))) if seed % 2 else (2, 0)
    logits, targets, steps, labels = batch_of(rng, 5, 12, classes, 4, blank=blank)
    result, dlogits = losses.ctc(logits, targets, steps, labels, blank=blank)
    for b in range(12):
        loss, gradient = ctc(logits[: steps[b], b], targets[b, : labels[b]], blank)
        assert_near(result[b], loss, 1e-12)
        assert_near(dlogits[: steps[b], b], gradient, 1e-12)
        assert not dlogits[steps[b] :, b].any()
        if loss == np.inf:
            assert not dlogits[:, b].any()


@pytest.mark.parametrize(
    ("seq_len", "batch", "classes", "longest"),
    [(1, 3, 4, 1), (30, 5, 7, 9), (50, 4, 40, 15), (40, 3, 5, 16), (90, 2, 20, 40)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_as_torch(seq_len, batch, classes, longest, dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seq_len)
    blank = int(rng.integers(classes))
    logits, targets, steps, labels = batch_of(rng, seq_len, batch, classes, longest, dtype, blank)
    steps = np.maximum(steps, 1)
    steps[0] = seq_len
    a = torch.tensor(logits.astype(np.float64), requires_grad=True)
    lengths = torch.tensor(steps), torch.tensor(labels)
    expected = torch.nn.functional.ctc_loss(
        torch.log_softmax(a, -1),
        torch.tensor(targets),
        *lengths,
        blank=blank,
        reduction="none",
    )
    expected[torch.isfinite(expected)].sum().backward()
    result, dlogits = losses.ctc(logits, targets, steps, labels, blank=blank)
    assert result.dtype == dlogits.dtype == dtype
    tolerance = {np.float32: 1e-6, np.float64: 1e-11}[dtype]
    assert_near(
        result, expected.detach().numpy(), tolerance * 100 if dtype == np.float32 else tolerance
    )
    gradient = np.where(np.isfinite(result)[None, :, None], a.grad.numpy(), 0)
    assert_near(dlogits, gradient, tolerance)


def test_long_float32_sequences_stay_exact():
    """Log probabilities of whole sequences are in the thousands; their differences count."""
    rng = np.random.default_rng(5)
    logits, targets, steps, labels = batch_of(rng, 3000, 2, 20, 300, np.float32, scale=5.0)
    steps[:], labels[:] = 3000, 300
    result, dlogits = losses.ctc(logits, targets, steps, labels)
    expected, gradient = losses.ctc(logits.astype(np.float64), targets, steps, labels)
    np.testing.assert_allclose(result, expected, 1e-6)
    assert_near(dlogits, gradient, 1e-6)


def test_gradient_by_differences():
    rng = np.random.default_rng(2)
    logits, targets, *_ = batch_of(rng, 20, 3, 6, 5)
    steps, labels, weights = [20, 15, 12], [5, 3, 0], rng.standard_normal(3)
    gradient = losses.ctc(logits, targets, steps, labels)[1] * weights[:, None]

    def loss():
        return losses.ctc(logits, targets, steps, labels)[0] @ weights

    for _ in range(5):
        assert_slopes(loss, {"logits": logits}, {"logits": gradient}, rng)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_impossible_targets(dtype):
    """Too few steps, a missing blank between equal labels, a class that is ruled out."""
    logits = np.zeros((3, 4, 3), dtype)
    logits[:, 3, 2] = -np.inf
    targets = [[1, 2, 1, 2], [1, 1, 2, 1], [1, 1, 0, 0], [2, 0, 0, 0]]
    result, dlogits = losses.ctc(logits, targets, None, [4, 3, 2, 1])
    assert list(np.isinf(result)) == [True, True, False, True]
    assert (result > 0).all()
    assert not dlogits[:, [0, 1, 3]].any()
    assert dlogits[:, 2].any()


def test_a_class_that_is_ruled_out_elsewhere():
    logits = np.zeros((4, 1, 3))
    logits[:, :, 2] = -np.inf
    result, dlogits = losses.ctc(logits, [[1, 1]], None, None)
    assert np.isfinite(result).all()
    assert not dlogits[..., 2].any()


def test_nothing_to_say():
    """Without labels all is blank; without steps nothing can be said."""
    logits = np.random.default_rng(1).standard_normal((4, 3, 5))
    result, dlogits = losses.ctc(logits, np.ones((3, 1), int), [4, 0, 0], [0, 0, 1])
    log_p = logits[:, 0] - np.log(np.exp(logits[:, 0]).sum(-1, keepdims=True))
    assert result[0] == pytest.approx(-log_p[:, 0].sum())
    assert list(result[1:]) == [0, np.inf]
    assert not dlogits[:, 1:].any()


def test_forms_of_targets():
    rng = np.random.default_rng(3)
    logits, targets, *_ = batch_of(rng, 12, 3, 6, 4, np.float32)
    labels = [2, 0, 4]
    expected, gradient = losses.ctc(logits, targets, [12, 12, 12], labels)
    joined = np.concatenate([targets[b, :n] for b, n in enumerate(labels)])
    result, dlogits = losses.ctc(logits, joined, None, labels)
    assert_same_bits(result, expected)
    assert_same_bits(dlogits, gradient)
    alone, dalone = losses.ctc(logits[:, 2], targets[2], 12, 4)
    assert alone.shape == ()
    assert_same_bits(alone.reshape(1), expected[2:])
    assert_same_bits(dalone, np.ascontiguousarray(gradient[:, 2]))
    assert_same_bits(losses.ctc(logits[:, 2], targets[2], None, None)[1], dalone)
    assert np.isfinite(losses.ctc(logits[:, :1], np.zeros((1, 0), int), None, None)[0]).all()


@pytest.mark.parametrize("batch", [1, 2, 5, 16])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits_for_threads_and_batch(threads, dtype, batch):
    rng = np.random.default_rng(batch)
    logits, targets, steps, labels = batch_of(rng, 120, batch, 50, 20, dtype)
    steps[0], labels[0] = 120, 20
    threads(1)
    expected, gradient = losses.ctc(logits, targets, steps, labels)
    for n in (2, 3, 4, 7):
        threads(n)
        result, dlogits = losses.ctc(logits, targets, steps, labels)
        assert_same_bits(result, expected)
        assert_same_bits(dlogits, gradient)
    for b in range(batch):
        one, done = losses.ctc(logits[:, b], targets[b], steps[b], labels[b])
        assert_same_bits(one.reshape(1), expected[b : b + 1])
        assert_same_bits(done, np.ascontiguousarray(gradient[:, b]))


def test_past_the_end_logits_may_hold_anything():
    logits = np.zeros((3, 1, 2))
    expected = losses.ctc(logits, [[1]], [2], [1])
    logits[2] = np.nan
    for actual, wanted in zip(losses.ctc(logits, [[1]], [2], [1]), expected, strict=True):
        assert_same_bits(actual, wanted)


NAN = np.nan
X = np.zeros((3, 2, 4), np.float32)
Y = [[1, 2], [3, 1]]


def with_nan(*where):
    x = X.copy()
    x[where] = NAN
    return x


BAD = [
    (lambda: losses.ctc(X[:, :, 0], Y, None, None), ValueError, "targets has shape"),
    (lambda: losses.ctc(X[0, 0], [1], None, None), ValueError, r"logits has shape \(4,\)"),
    (lambda: losses.ctc(X[:0], Y, None, None), ValueError, "logits has shape"),
    (lambda: losses.ctc(X[:, :0], Y[:0], None, None), ValueError, "logits has shape"),
    (lambda: losses.ctc(X, [[1, 2]], None, None), ValueError, "targets has shape"),
    (lambda: losses.ctc(X, [[1.0, 2], [1, 1]], None, None), TypeError, "targets"),
    (
        lambda: losses.ctc(X, [[1, 2], [1, 4]], None, None),
        ValueError,
        "targets: label 1 of seq.* 1",
    ),
    (lambda: losses.ctc(X, [[1, 0], [1, 3]], None, None), ValueError, "is 0; .* without blank=0"),
    (lambda: losses.ctc(X, Y, None, None, blank=1), ValueError, "without blank=1"),
    (lambda: losses.ctc(X, Y, None, None, blank=4), ValueError, "blank is 4; expected 0 to 3"),
    (lambda: losses.ctc(X, Y, None, None, blank=-1), ValueError, "blank is -1"),
    (lambda: losses.ctc(X, Y, None, None, blank=0.5), TypeError, "blank"),
    (lambda: losses.ctc(X, Y, [3, 4], None), ValueError, r"input_lengths\[1\] is 4; .* seq_len=3"),
    (lambda: losses.ctc(X, Y, [-1, 3], None), ValueError, r"input_lengths\[0\] is -1"),
    (lambda: losses.ctc(X, Y, [3], None), ValueError, "input_lengths has shape"),
    (lambda: losses.ctc(X, Y, [3.0, 3.0], None), TypeError, "input_lengths"),
    (lambda: losses.ctc(X, Y, None, [2, 3]), ValueError, r"target_lengths\[1\] is 3"),
    (lambda: losses.ctc(X, Y, None, [-1, 3]), ValueError, r"target_lengths\[0\] is -1"),
    (lambda: losses.ctc(X, Y, None, [2]), ValueError, "target_lengths has shape"),
    (lambda: losses.ctc(X, [1, 2, 3], None, [1, 1]), ValueError, "target_lengths has the sum 2"),
    (lambda: losses.ctc(X, [1, 2, 3], None, None), TypeError, "target_lengths is None"),
    (lambda: losses.ctc(X.astype(complex), Y, None, None), TypeError, "logits"),
    (lambda: losses.ctc(with_nan(2, 1, 3), Y, None, None), ValueError, "step 2 of sequence 1"),
    (lambda: losses.ctc(with_nan(0, 0, 0), Y, None, None), ValueError, "step 0 of sequence 0"),
    (lambda: losses.ctc(X + np.float32(np.inf), Y, None, None), ValueError, "logits: step 0 of"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
