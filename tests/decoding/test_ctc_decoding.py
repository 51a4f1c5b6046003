"""decoding.ctc_greedy and ctc_beam against every path, a plain search and losses.ctc."""

import numpy as np
import pytest

from gru_native import decoding, losses
from reference.decoding import collapsed, ctc_beam, ctc_labellings, log_softmax


def numbers(rng, *shape, dtype=np.float64, scale=2.0):
    return (scale * rng.standard_normal(shape)).astype(dtype)


def assert_same(found, expected, tolerance=1e-12):
    assert [tuple(h.ids) for h in found] == [labels for labels, _ in expected]
    np.testing.assert_allclose([h.score for h in found], [p for _, p in expected], 0, tolerance)


def same(found, other):
    return [[(tuple(h.ids), h.score) for h in row] for row in found] == [
        [(tuple(h.ids), h.score) for h in row] for row in other
    ]


@pytest.mark.parametrize("seed", range(6))
def test_a_beam_that_holds_all_is_exhaustive(seed):
    rng = np.random.default_rng(seed)
    steps, classes, blank = (5, 3, seed % 3) if seed % 2 else (4, 4, seed % 4)
    logits = numbers(rng, steps, 3, classes)
    lengths = rng.integers(0, steps + 1, 3)
    for b, found in enumerate(decoding.ctc_beam(logits, lengths, beam_size=1000, blank=blank)):
        every = ctc_labellings(logits[: lengths[b], b], blank)
        assert len(found) == len(every)
        assert_same(found, sorted(every.items(), key=lambda item: -item[1]))


@pytest.mark.parametrize("beam_size", [1, 2, 3, 5, 8, 16, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_as_a_plain_search(beam_size, dtype):
    rng = np.random.default_rng(beam_size)
    for classes, scale in ((2, 1.0), (3, 2.0), (6, 0.3), (30, 1.0), (30, 6.0)):
        blank = int(rng.integers(classes))
        logits = numbers(rng, 25, 3, classes, dtype=dtype, scale=scale)
        found = decoding.ctc_beam(logits, beam_size=beam_size, blank=blank)
        for b in range(3):
            expected = ctc_beam(logits[:, b], beam_size, blank)
            assert_same(found[b], expected, 1e-11 if dtype == np.float64 else 1e-5)


@pytest.mark.parametrize("beam_size", [1, 2, 4, 7, 30])
def test_ties_and_classes_that_are_ruled_out(beam_size):
    """Small whole numbers, and -inf: equal scores all the time."""
    rng = np.random.default_rng(beam_size)
    for seed in range(12):
        logits = rng.integers(0, 2 if seed % 2 else 3, (9, 5)).astype(np.float64)
        logits[rng.random(logits.shape) < 0.2 * (seed % 3)] = -np.inf
        logits[np.isinf(logits).all(1), 1] = 0
        found = decoding.ctc_beam(logits, beam_size=beam_size, blank=seed % 5)
        every = ctc_labellings(logits[:5], seed % 5)
        exhaustive = decoding.ctc_beam(logits[:5], beam_size=4000, blank=seed % 5)
        assert sum(p > -np.inf for p in every.values()) == len(exhaustive)
        assert all(np.isfinite(h.score) for h in found)
        assert len({tuple(h.ids) for h in found}) == len(found) <= beam_size


def test_equal_logits():
    """Every candidate of a step is as good as others: the order is the documented one."""
    found = decoding.ctc_beam(np.zeros((1, 4)), beam_size=3)
    assert [tuple(h.ids) for h in found] == [(), (1,), (2,)]
    found = decoding.ctc_beam(np.array([[0.0, -1, 2, 2]]), beam_size=3)
    assert [tuple(h.ids) for h in found] == [(2,), (3,), ()]


def test_a_prefix_that_comes_back():
    """It left the beam while what begins with it stayed: both are one when it is there again."""
    rng = np.random.default_rng(3)
    for _ in range(300):
        logits = numbers(rng, 30, 3, scale=3.0)
        assert_same(decoding.ctc_beam(logits, beam_size=2), ctc_beam(logits, 2, 0), 1e-11)


def test_scores_are_those_of_the_loss():
    rng = np.random.default_rng(5)
    logits = numbers(rng, 5, 4)
    for h in decoding.ctc_beam(logits, beam_size=1000):
        assert h.score == pytest.approx(-losses.ctc(logits, h.ids, None, None)[0], abs=1e-12)


@pytest.mark.parametrize("classes", [2, 5, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_greedy(classes, dtype):
    rng = np.random.default_rng(classes)
    logits, lengths = numbers(rng, 40, 5, classes, dtype=dtype), [40, 0, 17, 1, 39]
    blank = int(rng.integers(classes))
    for b, (found,) in enumerate(decoding.ctc_greedy(logits, lengths, blank=blank)):
        a = logits[: lengths[b], b]
        assert tuple(found.ids) == collapsed(a.argmax(1), blank)
        assert found.score == pytest.approx(log_softmax(a).max(1).sum() if len(a) else 0, rel=1e-6)
        assert found.ids.dtype == np.int64


def test_many_classes():
    """Far more of them than enter the beam, in ascending and descending order, too."""
    rng = np.random.default_rng(9)
    logits = numbers(rng, 8, 3, 1000)
    logits[:, 1].sort(-1)
    logits[:, 2] = np.sort(logits[:, 2])[:, ::-1]
    for b, found in enumerate(decoding.ctc_beam(logits, beam_size=6, blank=999)):
        assert_same(found, ctc_beam(logits[:, b], 6, 999), 1e-11)


def test_without_steps_and_without_a_batch():
    logits = numbers(np.random.default_rng(1), 6, 2, 4)
    for decode in (decoding.ctc_greedy, decoding.ctc_beam):
        found = decode(logits, [0, 6])
        assert [(tuple(h.ids), h.score) for h in found[0]] == [((), 0.0)]
        assert same([decode(logits[:, 1])], found[1:])
        assert same([decode(logits[:, 1], 6)], found[1:])
        assert same(
            [decode(logits[:, 1].astype(np.float32).tolist())], [decode(logits.astype("f")[:, 1])]
        )
        only_blank = decode(np.zeros((3, 1)))
        assert [(tuple(h.ids), h.score) for h in only_blank] == [((), 0.0)]


def test_far_numbers():
    logits = np.array([[-1e30, 1e30, 0], [3e38, -3e38, 3e38]], np.float32)
    assert tuple(decoding.ctc_beam(logits)[0].ids) == (1,)
    assert decoding.ctc_greedy(logits)[0].score == pytest.approx(-np.log(2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits_for_threads_and_batch(threads, dtype):
    rng = np.random.default_rng(2)
    logits = numbers(rng, 120, 7, 50, dtype=dtype)
    lengths = [120, 3, 77, 0, 119, 60, 12]
    threads(1)
    expected = decoding.ctc_beam(logits, lengths)
    greedy = decoding.ctc_greedy(logits, lengths)
    for n in (2, 3, 7):
        threads(n)
        assert same(decoding.ctc_beam(logits, lengths), expected)
        assert same(decoding.ctc_greedy(logits, lengths), greedy)
    for b in range(7):
        assert same([decoding.ctc_beam(logits[:, b], lengths[b])], expected[b : b + 1])


def test_past_the_end_logits_may_hold_anything():
    logits = np.zeros((3, 1, 2))
    expected = decoding.ctc_beam(logits, [2])
    logits[2] = np.nan
    assert same(decoding.ctc_beam(logits, [2]), expected)


X = np.zeros((3, 2, 4), np.float32)


def with_number(value, *where):
    x = X.copy()
    x[where] = value
    return x


BAD = [
    (lambda f: f(X[0, 0]), ValueError, r"logits has shape \(4,\)"),
    (lambda f: f(X[:0]), ValueError, "logits has shape"),
    (lambda f: f(X[..., :0]), ValueError, "logits has shape"),
    (lambda f: f(X.astype(complex)), TypeError, "logits"),
    (lambda f: f(X, [3, 4]), ValueError, r"lengths\[1\] is 4; expected 0 to seq_len=3"),
    (lambda f: f(X, [-1, 3]), ValueError, r"lengths\[0\] is -1"),
    (lambda f: f(X, [3]), ValueError, "lengths has shape"),
    (lambda f: f(X, [3.0, 3.0]), TypeError, "lengths"),
    (lambda f: f(X, blank=4), ValueError, "blank is 4; expected 0 to 3"),
    (lambda f: f(X, blank=-1), ValueError, "blank is -1"),
    (lambda f: f(X, blank=0.5), TypeError, "blank"),
    (lambda f: f(with_number(np.nan, 2, 1, 3)), ValueError, "logits: step 2 of sequence 1"),
    (lambda f: f(with_number(np.inf, 0, 0, 0)), ValueError, "step 0 of sequence 0"),
    (lambda f: f(with_number(-np.inf, 1, 1)), ValueError, "step 1 of sequence 1 has no softmax"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD)
@pytest.mark.parametrize("decode", [decoding.ctc_greedy, decoding.ctc_beam])
def test_errors(decode, call, kind, text):
    with pytest.raises(kind, match=text):
        call(decode)


@pytest.mark.parametrize("bad", [0, -1, -(2**62)])
def test_a_beam_of_nothing(bad):
    with pytest.raises(ValueError, match=f"beam_size is {bad}; expected at least 1"):
        decoding.ctc_beam(X, beam_size=bad)
    with pytest.raises(TypeError, match="beam_size"):
        decoding.ctc_beam(X, beam_size=1.0)
    assert decoding.ctc_beam(X, beam_size=2**62)
