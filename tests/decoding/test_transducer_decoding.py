"""decoding.transducer_beam and TransducerStream against every way, a plain search and the loss."""

import functools

import numpy as np
import pytest

from gru_native import GRU, LSTM, RNN, Chain, Dense, decoding, losses
from reference.decoding import log_softmax, transducer_beam, transducer_labellings

ENCODED = 4


def networks(seed, classes=4, dtype=np.float64, blank=0, join="concat", scale=3.0, **options):
    """A joint of random networks, whose outputs are far from even."""
    rng = np.random.default_rng(seed)
    kind = (LSTM, GRU, RNN)[seed % 3]
    hidden = ENCODED if join == "add" else 5
    prediction = kind(3, hidden, 1 + seed % 2, dtype=dtype, seed=seed)
    output = Dense(ENCODED if join == "add" else ENCODED + hidden, classes, dtype=dtype, seed=seed)
    with output.editing() as weights:
        for name in weights:
            weights[name] *= scale
    embedding = rng.standard_normal((classes, 3)).astype(dtype)
    return decoding.TransducerJoint(
        prediction, output, embedding=embedding, join=join, blank=blank, **options
    )


def next_log_p(joint, encoded):
    """What the definition says of the next symbol at step t, of (seq, encoded_size)."""

    @functools.cache
    def predicted(labels):
        fed = joint.embedding[[joint.blank, *labels]]
        return joint.prediction(fed)[0][-1]

    @functools.cache
    def log_p(t, labels):
        e, g = encoded[t], predicted(labels)
        joined = e + g if joint.join == "add" else np.concatenate([e, g])
        f = {"identity": lambda a: a, "tanh": np.tanh}[joint.activation]
        return log_softmax(f(joined) if joint.output is None else joint.output(f(joined)[None])[0])

    return log_p


def encodings(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed + 100).standard_normal((*shape, ENCODED)).astype(dtype)


def assert_same(found, expected, tolerance=1e-11):
    assert [tuple(h.ids) for h in found] == [labels for labels, _ in expected]
    np.testing.assert_allclose([h.score for h in found], [p for _, p in expected], 0, tolerance)


def same(found, other):
    return [[(tuple(h.ids), h.score) for h in row] for row in found] == [
        [(tuple(h.ids), h.score) for h in row] for row in other
    ]


@pytest.mark.parametrize("seed", range(6))
def test_a_beam_that_holds_all_is_exhaustive(seed):
    joint = networks(seed, 3, blank=seed % 3, join=("concat", "add")[seed % 2], activation="tanh")
    encoded, lengths = encodings(seed, 3, 3), [3, 1, 2]
    found = decoding.transducer_beam(joint, encoded, lengths, beam_size=5000, max_symbols=2)
    for b in range(3):
        log_p = next_log_p(joint, encoded[:, b])
        every = transducer_labellings(log_p, lengths[b], joint.blank, 2)
        assert len(found[b]) == len(every)
        assert_same(found[b], sorted(every.items(), key=lambda item: -item[1]))


@pytest.mark.parametrize("beam_size", [1, 2, 3, 8, 20])
@pytest.mark.parametrize("seed", range(4))
def test_as_a_plain_search(beam_size, seed):
    for classes, steps, scale in ((2, 6, 1.0), (6, 8, 3.0), (30, 5, 3.0)):
        blank = seed % classes
        joint = networks(seed, classes, blank=blank, scale=scale)
        encoded = encodings(seed, steps, 2)
        found = decoding.transducer_beam(joint, encoded, beam_size=beam_size, max_symbols=3)
        for b in range(2):
            log_p = next_log_p(joint, encoded[:, b])
            assert_same(found[b], transducer_beam(log_p, steps, blank, beam_size, 3))


def test_scores_are_those_of_the_loss():
    """With few labels a limit of 10 at each step is none."""
    joint = networks(1, 2)
    encoded = encodings(1, 3)
    log_p = next_log_p(joint, encoded)
    for h in decoding.transducer_beam(joint, encoded, beam_size=100, max_symbols=5):
        if len(h.ids) > 5:
            continue
        labels = tuple(map(int, h.ids))
        logits = [[log_p(t, labels[:u]) for u in range(len(labels) + 1)] for t in range(3)]
        loss, _ = losses.transducer(np.array(logits), h.ids, None, None)
        assert h.score == pytest.approx(-loss, abs=1e-11)


def test_the_sum_of_two_networks():
    """Graves 2012: logits are the sum of both, and there is no output network."""
    prediction = Chain(
        [LSTM(4, 6, dtype=np.float64, seed=1), Dense(6, 4, dtype=np.float64, seed=2)]
    )
    joint = decoding.TransducerJoint(prediction, None, join="add")
    assert joint.classes == joint.encoded_size == 4
    assert not joint.embedding[0].any()
    log_p = {}
    for h in decoding.transducer_beam(joint, encodings(2, 3) * 3, beam_size=300, max_symbols=2):
        log_p[tuple(h.ids)] = h.score
    every = transducer_labellings(next_log_p(joint, encodings(2, 3) * 3), 3, 0, 2)
    assert log_p.keys() <= every.keys()
    best = max(every, key=every.get)
    assert log_p[best] == pytest.approx(every[best])


def test_a_callable():
    joint = networks(2, 6)
    sizes = []

    def output(e, g):
        sizes.append((e.shape, g.shape))
        return joint.output(np.concatenate([e, g], 1))

    other = decoding.TransducerJoint(
        joint.prediction, output, embedding=joint.embedding, encoded_size=ENCODED
    )
    encoded, lengths = encodings(3, 5, 3), [5, 2, 4]
    expected = decoding.transducer_beam(joint, encoded, lengths)
    assert same(decoding.transducer_beam(other, encoded, lengths), expected)
    assert all(e[0] == g[0] and e[1] == ENCODED and g[1] == 5 for e, g in sizes)
    assert max(e[0] for e, _ in sizes) > 3  # all sequences at once
    assert other.stream()(encoded[:, 0]).tolist() == joint.stream()(encoded[:, 0]).tolist()


def test_a_callable_that_fails():
    def raises(e, g):
        raise KeyError("mine")

    given = {"embedding": np.ones((3, 2), np.float32), "encoded_size": 4}
    encoded = np.ones((3, 4), np.float32)
    joint = decoding.TransducerJoint(GRU(2, 5, seed=0), raises, **given)
    with pytest.raises(KeyError, match="mine"):
        decoding.transducer_beam(joint, encoded)
    for result, kind in ((np.ones((1, 4), "f"), ValueError), ("x", TypeError), (None, TypeError)):
        joint = decoding.TransducerJoint(GRU(2, 5, seed=0), lambda e, g, r=result: r, **given)
        with pytest.raises(kind, match="what output returned"):
            joint.stream()(encoded)


def greedy(log_p, steps, blank, max_symbols):
    labels, score = (), 0.0
    for t in range(steps):
        for here in range(max_symbols + 1):
            p = log_p(t, labels)
            k = blank if here == max_symbols else int(p.argmax())
            score += p[k]
            if k == blank:
                break
            labels = (*labels, k)
    return list(labels), score


@pytest.mark.parametrize("seed", range(6))
def test_stream(seed):
    joint = networks(seed, 5, blank=seed % 5)
    encoded = encodings(seed, 21, 3)
    stream = joint.stream(3, max_symbols=2)
    said = [[], [], []]
    at = 0
    for n in (1, 7, 0, 3, 9):
        chunk = stream(encoded[at : at + n] if n else encoded[at])
        for b in range(3):
            assert chunk[b].dtype == np.int64
            said[b] += chunk[b].tolist()
        at += max(n, 1)
    for b in range(3):
        labels, score = greedy(next_log_p(joint, encoded[:at, b]), at, joint.blank, 2)
        assert said[b] == labels
        assert stream.scores[b] == pytest.approx(score, abs=1e-10)
    stream.reset()
    assert not stream.scores.any()
    again = stream(encoded[:at])
    assert [ids.tolist() for ids in again] == said
    alone = joint.stream(max_symbols=2)
    assert alone(encoded[:at, 1]).tolist() == said[1]


def test_a_stream_after_an_error():
    joint = networks(1, 5)
    encoded = encodings(4, 12)
    expected = joint.stream()(encoded).tolist()
    stream = joint.stream()
    said = stream(encoded[:5]).tolist()
    bad = encoded[5:].copy()
    bad[3, 1] = np.nan
    scores = stream.scores
    for _ in range(20):
        with pytest.raises(ValueError, match="logits: step 3 of sequence 0 has no softmax"):
            stream(bad)
    assert (stream.scores == scores).all()
    assert said + stream(encoded[5:]).tolist() == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits_for_threads_and_batch(threads, dtype):
    rng = np.random.default_rng(7)
    prediction = GRU(16, 96, dtype=dtype, seed=1)
    output = Dense(96 + 64, 300, dtype=dtype, seed=2)
    embedding = rng.standard_normal((300, 16)).astype(dtype)
    joint = decoding.TransducerJoint(prediction, output, embedding=embedding)
    encoded = (3 * rng.standard_normal((12, 6, 64))).astype(dtype)
    lengths = [12, 3, 0, 11, 7, 12]
    threads(1)
    expected = decoding.transducer_beam(joint, encoded, lengths, max_symbols=3)
    assert expected[2] == [(pytest.approx([]), 0.0)] or len(expected[2][0].ids) == 0
    for n in (2, 3, 7):
        threads(n)
        found = decoding.transducer_beam(joint, encoded, lengths, max_symbols=3)
        assert same(found, expected)
    for b in (0, 1, 4):
        alone = decoding.transducer_beam(joint, encoded[:, b], lengths[b], max_symbols=3)
        assert same([alone], expected[b : b + 1])


def test_weights_of_the_moment():
    joint = networks(3, 5)
    encoded = encodings(5, 10)
    stream = joint.stream()
    before = joint.stream()(encoded).tolist()
    for layer in (joint.prediction, joint.output):
        with layer.editing() as weights:
            for name in weights:
                weights[name] *= -1
    assert stream(encoded).tolist() == before
    assert decoding.transducer_beam(joint, encoded)[0].score == pytest.approx(
        transducer_beam(next_log_p(joint, encoded), 10, 0, 8, 10)[0][1]
    )


def test_a_blank_that_never_comes():
    """Then there is no way to the end."""
    dense = Dense(2, 3, seed=0)
    with dense.editing() as weights:
        weights["bias"][0] = -np.inf
    joint = decoding.TransducerJoint(GRU(3, 1, seed=0), dense)
    assert decoding.transducer_beam(joint, np.ones((2, 1), "f"), max_symbols=3) == []
    assert len(joint.stream(max_symbols=3)(np.ones((2, 1), "f"))) == 6


G, D = GRU(3, 5, seed=0), Dense(9, 3, seed=0)
E = np.ones((3, 3), np.float32)
J = decoding.TransducerJoint(G, D)
X = np.zeros((3, 2, ENCODED), np.float32)
make = decoding.TransducerJoint
beam = decoding.transducer_beam
BAD = [
    (lambda: make(D, D), TypeError, "prediction is a Dense; expected RNN, LSTM, GRU or Chain"),
    (lambda: make(G, 3), TypeError, "output is an int"),
    (lambda: make(G, G), TypeError, "output is a GRU"),
    (lambda: make(G, Dense(9, 3, dtype=np.float64)), ValueError, "output has dtype float64"),
    (lambda: make(G, Chain([GRU(9, 3)])), ValueError, "output is a model with a recurrent layer"),
    (lambda: make(GRU(3, 2, bidirectional=True), D), ValueError, "prediction is .* bidirectional"),
    (lambda: make(G, Dense(9, 4)), ValueError, r"output->output_size\(\) is 4; .* classes=3"),
    (lambda: make(G, Dense(5, 3)), ValueError, "encoded_size is 0; expected at least 1"),
    (lambda: make(G, D, join="add"), ValueError, r"output->input_size\(\) is 9; expected 5"),
    (lambda: make(G, D, join="sub"), ValueError, "join is"),
    (lambda: make(G, D, join=1), TypeError, "join"),
    (lambda: make(G, D, activation="softmax"), ValueError, "activation"),
    (lambda: make(G, D, blank=3), ValueError, "blank is 3; expected 0 to 2"),
    (lambda: make(G, D, blank=-1), ValueError, "blank is -1"),
    (lambda: make(G, D, blank=0.0), TypeError, "blank"),
    (lambda: make(G, D, embedding=E[:, :2]), ValueError, "embedding has shape"),
    (lambda: make(G, D, embedding=E[0]), ValueError, "embedding has shape"),
    (lambda: make(G, D, embedding=E.astype(float)), TypeError, "embedding"),
    (lambda: make(G, D, encoded_size=4), TypeError, "encoded_size is 4; expected None"),
    (lambda: make(G, lambda e, g: e), TypeError, "encoded_size is None"),
    (lambda: make(G, len, encoded_size=2**62), ValueError, "^encoded_size=4611686018427387904"),
    (lambda: make(G, None, join="add"), ValueError, "output is null"),
    (lambda: beam(G, X), TypeError, "joint is a GRU; expected a TransducerJoint"),
    (lambda: beam(J, X[..., :3]), ValueError, "encoded has shape"),
    (lambda: beam(J, X[0, 0]), ValueError, "encoded has shape"),
    (lambda: beam(J, X[:0]), ValueError, "encoded has shape"),
    (lambda: beam(J, X.astype(float)), TypeError, "encoded"),
    (lambda: beam(J, X, [3, 4]), ValueError, r"lengths\[1\] is 4; expected 0 to seq_len=3"),
    (lambda: beam(J, X, [3]), ValueError, "lengths has shape"),
    (lambda: beam(J, X, beam_size=0), ValueError, "beam_size is 0; expected at least 1"),
    (lambda: beam(J, X, beam_size=1.0), TypeError, "beam_size"),
    (lambda: beam(J, X, max_symbols=0), ValueError, "max_symbols is 0; expected at least 1"),
    (lambda: beam(J, X + np.float32(np.nan)), ValueError, "logits: step 0 of sequence 0"),
    (lambda: J.stream(0), ValueError, "batch_size is 0"),
    (lambda: J.stream(2**62), ValueError, "batch_size"),
    (lambda: J.stream(max_symbols=0), ValueError, "max_symbols is 0"),
    (lambda: J.stream()(X), ValueError, "encoded has shape"),
    (lambda: J.stream(2)(X[..., :2]), ValueError, "encoded has shape"),
    (lambda: J.stream(2)(X[:0]), ValueError, "encoded has shape"),
    (lambda: decoding.TransducerStream(G), TypeError, "joint is a GRU"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_a_score_is_a_probability():
    joint = networks(4, 3)
    found = beam(joint, encodings(6, 3), beam_size=3000, max_symbols=3)
    assert 0.5 < np.exp([h.score for h in found]).sum() < 1 + 1e-12
