"""losses.transducer against all ways one by one, PyTorch's autograd, differences, and promises."""

import numpy as np
import pytest

from gru_native import losses
from helpers import assert_near, assert_same_bits, assert_slopes
from reference.losses import transducer


def batch_of(rng, batch, seq_len, longest, classes, dtype=np.float64, blank=0, scale=2.0):
    """Logits and random labels for sequences of all lengths."""
    logits = (scale * rng.standard_normal((batch, seq_len, longest + 1, classes))).astype(dtype)
    targets = rng.choice(np.setdiff1d(np.arange(classes), [blank]), (batch, longest))
    return (
        logits,
        targets,
        rng.integers(0, seq_len + 1, batch),
        rng.integers(0, longest + 1, batch),
    )


@pytest.mark.parametrize(("seq_len", "longest"), [(4, 3), (2, 5), (1, 4), (5, 0)])
@pytest.mark.parametrize("seed", range(3))
def test_every_way(seed, seq_len, longest):
    rng = np.random.default_rng(seed)
    blank = int(rng.integers(4))
    logits, targets, steps, labels = batch_of(rng, 12, seq_len, longest, 4, blank=blank)
    result, dlogits = losses.transducer(logits, targets, steps, labels, blank=blank)
    for b in range(12):
        part = b, slice(steps[b]), slice(labels[b] + 1)
        loss, gradient = transducer(logits[part], targets[b, : labels[b]], blank)
        assert_near(result[b], loss, 1e-12)
        assert_near(dlogits[part], gradient, 1e-12)
        elsewhere = dlogits[b].copy()
        elsewhere[part[1:]] = 0
        assert not elsewhere.any()


@pytest.mark.parametrize(
    ("batch", "seq_len", "longest", "classes"),
    [(3, 12, 9, 5), (2, 9, 12, 5), (2, 40, 7, 20), (2, 8, 33, 17), (1, 16, 16, 3)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_as_torch_written_out(batch, seq_len, longest, classes, dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seq_len)
    logits, targets, steps, labels = batch_of(rng, batch, seq_len, longest, classes, dtype)
    steps[0], labels[0] = seq_len, longest
    steps = np.maximum(steps, 1)
    a = torch.tensor(logits.astype(np.float64), requires_grad=True)
    log_p = torch.log_softmax(a, -1)
    expected = []
    for b in range(batch):
        alpha = {(0, 0): torch.zeros((), dtype=torch.float64)}
        for t in range(steps[b]):
            for u in range(labels[b] + 1):
                ways = []
                if t > 0:
                    ways.append(alpha[t - 1, u] + log_p[b, t - 1, u, 0])
                if u > 0:
                    ways.append(alpha[t, u - 1] + log_p[b, t, u - 1, targets[b, u - 1]])
                if ways:
                    alpha[t, u] = torch.logsumexp(torch.stack(ways), 0)
        end = steps[b] - 1, labels[b]
        expected.append(-alpha[end] - log_p[(b, *end, 0)])
    sum(expected).backward()
    result, dlogits = losses.transducer(logits, targets, steps, labels)
    assert result.dtype == dlogits.dtype == dtype
    single = dtype == np.float32
    assert_near(result, [loss.item() for loss in expected], 1e-4 if single else 1e-11)
    assert_near(dlogits, a.grad.numpy(), 1e-6 if single else 1e-11)


def test_gradient_by_differences():
    rng = np.random.default_rng(2)
    logits, targets, *_ = batch_of(rng, 3, 9, 5, 6)
    steps, labels, weights = [9, 7, 2], [5, 3, 5], rng.standard_normal(3)
    gradient = losses.transducer(logits, targets, steps, labels)[1] * weights[:, None, None, None]

    def loss():
        return losses.transducer(logits, targets, steps, labels)[0] @ weights

    for _ in range(5):
        assert_slopes(loss, {"logits": logits}, {"logits": gradient}, rng)


def test_impossible_targets():
    """No step, a label that is ruled out everywhere, a last blank that is."""
    logits = np.zeros((4, 3, 3, 3))
    logits[1, :, :, 2] = -np.inf
    logits[2, 2, :, 0] = -np.inf
    targets = [[1, 2]] * 4
    result, dlogits = losses.transducer(logits, targets, [0, 3, 3, 3], [1, 2, 2, 2])
    assert list(np.isinf(result)) == [True, True, True, False]
    assert (result > 0).all()
    assert not dlogits[:3].any()
    assert dlogits[3].any()
    assert losses.transducer(logits, targets, [0, 0, 0, 0], [0, 0, 0, 0])[0].tolist() == [0] * 4


def test_without_a_batch():
    rng = np.random.default_rng(3)
    logits, targets, *_ = batch_of(rng, 2, 6, 4, 5, np.float32)
    expected, gradient = losses.transducer(logits, targets, [6, 4], [4, 2])
    for b, (steps, labels) in enumerate([(6, 4), (4, 2)]):
        loss, dlogits = losses.transducer(logits[b], targets[b], steps, labels)
        assert loss.shape == ()
        assert_same_bits(loss.reshape(1), expected[b : b + 1])
        assert_same_bits(dlogits, gradient[b])
    assert_same_bits(losses.transducer(logits[0], targets[0], None, None)[1], gradient[0])


@pytest.mark.parametrize("batch", [1, 2, 5, 12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits_for_threads_and_batch(threads, dtype, batch):
    rng = np.random.default_rng(batch)
    logits, targets, steps, labels = batch_of(rng, batch, 60, 20, 30, dtype)
    steps[0], labels[0] = 60, 20
    threads(1)
    expected, gradient = losses.transducer(logits, targets, steps, labels)
    for n in (2, 3, 4, 7):
        threads(n)
        result, dlogits = losses.transducer(logits, targets, steps, labels)
        assert_same_bits(result, expected)
        assert_same_bits(dlogits, gradient)
    for b in range(batch):
        loss, dlogits = losses.transducer(logits[b], targets[b], steps[b], labels[b])
        assert_same_bits(loss.reshape(1), expected[b : b + 1])
        assert_same_bits(dlogits, gradient[b])


NAN = np.nan
X = np.zeros((2, 3, 3, 4), np.float32)
Y = [[1, 2], [3, 1]]


def with_nan(*where):
    x = X.copy()
    x[where] = NAN
    return x


def loss_of(logits=X, targets=Y, input_lengths=None, target_lengths=None, **options):
    return lambda: losses.transducer(logits, targets, input_lengths, target_lengths, **options)


BAD = [
    (loss_of(X[0, 0]), ValueError, r"logits has shape \(3, 4\)"),
    (loss_of(X[:0]), ValueError, "logits has shape"),
    (loss_of(X[:, :, :0]), ValueError, "logits has shape"),
    (loss_of(X[:, :, :2]), ValueError, r"targets has shape \(2, 2\); expected \(.*labels=1\)"),
    (loss_of(targets=[1, 2]), ValueError, "targets has shape"),
    (loss_of(targets=[[1.0, 2], [1, 1]]), TypeError, "targets"),
    (loss_of(targets=[[1, 2], [1, 4]]), ValueError, "targets: label 1 of sequence 1 is 4"),
    (loss_of(targets=[[1, 0], [1, 3]]), ValueError, "without blank=0"),
    (loss_of(blank=1), ValueError, "without blank=1"),
    (loss_of(blank=4), ValueError, "blank is 4; expected 0 to 3"),
    (loss_of(blank="0"), TypeError, "blank"),
    (loss_of(input_lengths=[3, 4]), ValueError, r"input_lengths\[1\] is 4; .* seq_len=3"),
    (loss_of(input_lengths=[3]), ValueError, "input_lengths has shape"),
    (loss_of(target_lengths=[2, 3]), ValueError, r"target_lengths\[1\] is 3; .* labels=2"),
    (loss_of(target_lengths=[-1, 2]), ValueError, r"target_lengths\[0\] is -1"),
    (loss_of(target_lengths=[0.5, 2]), TypeError, "target_lengths"),
    (loss_of(with_nan(1, 2, 1, 0)), ValueError, "logits: step 2, label 1 of sequence 1"),
    (loss_of(X + np.float32(np.inf)), ValueError, "logits: step 0, label 0 of sequence 0"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
