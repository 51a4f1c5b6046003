"""AttentionDecoder.generate and stream against plain searches over teacher-forced logits."""

import functools
import itertools

import numpy as np
import pytest

import gru_native as gn
from gru_native import AttentionDecoder
from helpers import assert_near, assert_same_bits
from reference.decoding import generate, log_softmax

START, END = 1, 0


def decoder_of(seed, vocab=6, attention="additive", scale=4.0, dtype=np.float64, **options):
    """A decoder of random weights, whose outputs are far from even."""
    memory_size = 5 if attention != "dot" else 7
    sizes = {"embedding_dim": 3, "hidden_size": 7, "memory_size": memory_size}
    decoder = AttentionDecoder(
        vocab,
        **sizes,
        cell=("lstm", "gru")[seed % 2],
        attention=attention,
        seed=seed,
        dtype=dtype,
        **options,
    )
    with decoder.editing() as weights:
        for name in weights:
            weights[name] *= scale
    return decoder


def memory_of(decoder, src, batch, seed=0):
    shape = (batch, decoder.memory_size)
    if decoder.attention is not None:
        shape = (src, *shape)
    rng = np.random.default_rng(seed)
    found = [rng.standard_normal(shape).astype(decoder.dtype) for _ in range(decoder.num_memories)]
    return found if decoder.num_memories > 1 else found[0]


def next_log_p(decoder, memory, **given):
    """The definition: the whole sequence anew, with teacher forcing."""

    @functools.cache
    def log_p(tokens):
        return log_softmax(decoder(np.array(tokens), memory, **given)[0][-1])

    return log_p


def row_of(decoder, memory, b, length=None):
    if decoder.num_memories > 1:
        return [h[:length, b] for h in memory]
    return memory[b] if decoder.attention is None else memory[:length, b]


def assert_same(found, expected, tolerance=1e-10):
    assert [tuple(h.ids) for h in found] == [tokens for tokens, _ in expected]
    np.testing.assert_allclose([h.score for h in found], [p for _, p in expected], 0, tolerance)


def same(found, other):
    return [[(tuple(h.ids), h.score) for h in row] for row in found] == [
        [(tuple(h.ids), h.score) for h in row] for row in other
    ]


KINDS = [
    {"attention": "additive"},
    {"attention": "dot", "num_layers": 2},
    {"attention": "general", "input_feeding": False, "readout": "maxout"},
    {"attention": "location", "location_width": 3, "location_channels": 2},
    {"attention": "additive", "num_memories": 2},
    {"attention": None},
]


@pytest.mark.parametrize("options", KINDS, ids=lambda o: str(o["attention"]))
@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_as_a_plain_search(options, beam_size):
    for seed in range(3):
        decoder = decoder_of(seed, **options)
        memory = memory_of(decoder, 6, 3, seed)
        lengths = None if decoder.attention is None else [6, 2, 5]
        if decoder.num_memories > 1:
            lengths = [lengths, lengths]
        for penalty in (0.0, 0.7, -0.5):
            found = decoder.generate(
                memory,
                memory_lengths=lengths,
                start=START,
                end=END,
                max_steps=7,
                beam_size=beam_size,
                length_penalty=penalty,
            )
            for b in range(3):
                length = None if lengths is None else [6, 2, 5][b]
                log_p = next_log_p(decoder, row_of(decoder, memory, b, length))
                assert_same(found[b], generate(log_p, START, END, 7, beam_size, penalty))


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_that_holds_all_is_exhaustive(seed):
    decoder = decoder_of(seed, vocab=3)
    memory = memory_of(decoder, 4, 2, seed)
    found = decoder.generate(memory, start=START, end=END, max_steps=4, beam_size=1000)
    for b in range(2):
        log_p = next_log_p(decoder, row_of(decoder, memory, b))
        every = []
        for n in range(5):
            for tokens in itertools.product([1, 2], repeat=n):
                ended = tokens if n == 4 else (*tokens, END)
                score = sum(log_p((START, *ended[:i]))[k] for i, k in enumerate(ended))
                every.append((tokens, score))
        assert len(found[b]) == len(every) == 31
        assert_same(found[b], sorted(every, key=lambda item: -item[1]))
        assert np.exp([h.score for h in found[b]]).sum() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(6))
def test_beam_of_one_is_greedy(seed):
    decoder = decoder_of(seed, vocab=9, scale=3.0)
    memory = memory_of(decoder, 5, 1, seed)
    ((found,),) = decoder.generate(memory, start=START, end=END, max_steps=12)
    tokens, score, state, fed = [], 0.0, None, START
    while len(tokens) < 12:
        logits, state = decoder([[fed]], memory, state=state)
        fed = int(logits[0, 0].argmax())
        score += log_softmax(logits[0, 0])[fed]
        if fed == END:
            break
        tokens.append(fed)
    assert found.ids.tolist() == tokens
    assert found.ids.dtype == np.int64
    assert found.score == pytest.approx(score)


@pytest.mark.parametrize("options", KINDS[:5], ids=lambda o: str(o["attention"]))
def test_attention(options):
    decoder = decoder_of(2, **options)
    memory = memory_of(decoder, 6, 2)
    lengths = [6, 3] if decoder.num_memories == 1 else [[6, 3], [2, 6]]
    given = {"start": START, "end": END, "max_steps": 5, "beam_size": 3, "memory_lengths": lengths}
    found = decoder.generate(memory, **given, return_attention=True)
    assert same(found, decoder.generate(memory, **given))
    for row, hypotheses in enumerate(found):
        for h in hypotheses:
            each = [h.attention] if decoder.num_memories == 1 else h.attention
            ends = [lengths] if decoder.num_memories == 1 else lengths
            assert len(each) == decoder.num_memories
            for a, of_memory in zip(each, ends, strict=True):
                assert a.shape == (len(h.ids), 6)
                assert a.dtype == decoder.dtype
                assert_near(a.sum(1), np.ones(len(h.ids)), 1e-12)
                assert not a[:, of_memory[row] :].any()


def test_where_it_looks():
    """With location attention the state has the weights: those of a step after these tokens."""
    decoder = decoder_of(1, attention="location", location_width=3)
    memory = memory_of(decoder, 6, 1)
    for h in decoder.generate(
        memory, start=START, end=END, max_steps=6, beam_size=4, return_attention=True
    )[0]:
        for n in range(len(h.ids)):
            state = decoder(np.array([[START, *h.ids[:n]]]).T, memory)[1]
            assert_near(h.attention[n], state.weights[0][0], 1e-12)


def test_without_a_batch_and_from_a_state():
    decoder = decoder_of(0)
    memory = memory_of(decoder, 6, 2)
    given = {"start": START, "end": END, "max_steps": 6, "beam_size": 3}
    batch = decoder.generate(memory, **given)
    assert same([decoder.generate(memory[:, 1], **given)], batch[1:])
    state = decoder(np.array([[2, 3]]), memory)[1]
    found = decoder.generate(memory, state=state, **given)
    for b in range(2):
        log_p = next_log_p(decoder, memory[:, b])
        expected = generate(lambda t, p=log_p, b=b: p((2 + b, *t)), START, END, 6, 3, 0.0)
        assert_same(found[b], expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits_for_threads_and_batch(threads, dtype):
    decoder = AttentionDecoder(200, 16, 64, 32, seed=3, dtype=dtype)
    memory = memory_of(decoder, 12, 7)
    lengths = [12, 1, 5, 12, 7, 3, 12]
    given = {"start": START, "end": END, "max_steps": 10, "beam_size": 4, "length_penalty": 0.6}
    threads(1)
    expected = decoder.generate(memory, memory_lengths=lengths, **given, return_attention=True)
    for n in (2, 3, 7):
        threads(n)
        found = decoder.generate(memory, memory_lengths=lengths, **given, return_attention=True)
        assert same(found, expected)
        for row, other in zip(found, expected, strict=True):
            for h, e in zip(row, other, strict=True):
                assert_same_bits(h.attention, e.attention)
    for b in (0, 1, 4):
        alone = decoder.generate(memory[:, b], memory_lengths=lengths[b], **given)
        assert same([alone], expected[b : b + 1])


def test_tokens_that_are_ruled_out():
    decoder = decoder_of(0, vocab=4)
    with decoder.editing() as weights:
        weights["bias_output"][[END, 2]] = -np.inf
    found = decoder.generate(
        memory_of(decoder, 3, 1), start=START, end=END, max_steps=3, beam_size=50
    )
    assert {tuple(h.ids) for h in found[0]} == set(itertools.product([1, 3], repeat=3))


D = AttentionDecoder(5, 3, 7, 4, seed=0)
TWO = AttentionDecoder(5, 3, 7, 4, num_memories=2, seed=0)
NONE = AttentionDecoder(5, 3, 7, 4, attention=None, seed=0)
M = np.zeros((3, 2, 4), np.float32)
WITH_NAN = M.copy()
WITH_NAN[2, 1, 3] = np.nan
BAD_STATE = (np.full((1, 2, 7), np.nan, np.float32),) * 2
GIVEN = {"start": 1, "end": 0, "max_steps": 3}
BAD = [
    (lambda: D.generate(M, **GIVEN | {"start": 5}), ValueError, "start is 5; expected 0 to 4"),
    (lambda: D.generate(M, **GIVEN | {"start": -1}), ValueError, "start is -1"),
    (lambda: D.generate(M, **GIVEN | {"end": 5}), ValueError, "end is 5; expected 0 to 4"),
    (lambda: D.generate(M, **GIVEN | {"end": 0.0}), TypeError, "end"),
    (lambda: D.generate(M, **GIVEN | {"max_steps": 0}), ValueError, "max_steps is 0"),
    (lambda: D.generate(M, **GIVEN, beam_size=0), ValueError, "beam_size is 0; expected at least"),
    (lambda: D.generate(M, **GIVEN, beam_size=1.5), TypeError, "beam_size"),
    (lambda: D.generate(M, **GIVEN, length_penalty=np.nan), ValueError, "length_penalty is nan"),
    (lambda: D.generate(M, **GIVEN, length_penalty="x"), TypeError, "length_penalty"),
    (lambda: D.generate(M, **GIVEN, return_attention=1), TypeError, "return_attention"),
    (lambda: NONE.generate(M[0], **GIVEN, return_attention=True), ValueError, "return_attention"),
    (lambda: D.generate(M[..., :3], **GIVEN), ValueError, "memory has shape"),
    (lambda: D.generate(M[:0], **GIVEN), ValueError, "memory has shape"),
    (lambda: D.generate(M[:, :0], **GIVEN), ValueError, "memory has shape"),
    (lambda: D.generate(M[0, 0], **GIVEN), ValueError, "memory has shape"),
    (lambda: D.generate(M.astype(float), **GIVEN), TypeError, "memory"),
    (lambda: D.generate(M, memory_lengths=[3, 0], **GIVEN), ValueError, r"memory_lengths\[1\] is"),
    (lambda: D.generate(M, memory_lengths=[4, 3], **GIVEN), ValueError, r"memory_lengths\[0\] is"),
    (lambda: D.generate(M, memory_lengths=[3], **GIVEN), ValueError, "memory_lengths has shape"),
    (lambda: TWO.generate([M], **GIVEN), ValueError, "memory has 1 items"),
    (lambda: D.generate(M, state=M, **GIVEN), (ValueError, TypeError), "state"),
    (
        lambda: D.generate(WITH_NAN, **GIVEN),
        ValueError,
        "^memory: sequence 1 of memory 0 holds nan at",
    ),
    (
        lambda: TWO.generate([M, WITH_NAN], **GIVEN),
        ValueError,
        "^memory: sequence 1 of memory 1 holds",
    ),
    (
        lambda: NONE.generate(WITH_NAN[2], **GIVEN),
        ValueError,
        "^memory: sequence 1 of memory 0 holds",
    ),
    (lambda: D.generate(WITH_NAN[:, 1], **GIVEN), ValueError, "nan at position 2; expected finite"),
    (lambda: D.generate(M, state=BAD_STATE, **GIVEN), ValueError, "logits: step 0 of sequence 0"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_what_lies_past_the_end_is_not_read():
    found = D.generate(WITH_NAN, memory_lengths=[3, 2], **GIVEN)
    assert same(found, D.generate(M, memory_lengths=[3, 2], **GIVEN))


def test_hypotheses_are_those_of_decoding():
    (h,), _ = D.generate(M, **GIVEN)
    assert isinstance(h, gn.decoding.Hypothesis)
    ids, score = h
    assert len(ids) <= 3
    assert score <= 0


@pytest.mark.parametrize("options", KINDS, ids=lambda o: str(o["attention"]))
def test_a_stream_is_a_call_step_by_step(options):
    decoder = decoder_of(1, dtype=np.float32, **options)
    memory = memory_of(decoder, 6, 3)
    tokens = np.random.default_rng(2).integers(0, 6, (5, 3))
    lengths = None if decoder.attention is None else [6, 2, 5]
    if decoder.num_memories > 1:
        lengths = [lengths, [1, 6, 6]]
    given = {"memory": memory, "memory_lengths": lengths}
    logits, _ = decoder(tokens, **given)
    stream = decoder.stream(**given)
    assert stream.batch_size == 3
    kept = None
    for t, fed in enumerate(tokens):
        assert_same_bits(stream(fed), logits[t])
        state = decoder(tokens[: t + 1], **given)[1]
        assert_same_parts(stream.state, state)
        if decoder.attention == "location":
            assert_same_bits(stream.attention, state.weights[0])
        if t == 2:
            kept = stream.state
    stream.state = kept
    with decoder.editing() as weights:  # the stream keeps its own
        weights["bias_output"] += 1
    assert_same_bits(stream(tokens[3]), logits[3])
    stream.reset()
    assert_same_bits(stream(tokens[0]), logits[0])
    stream.state = kept.layers
    assert_same_parts(stream.state, kept._replace(**zeros_of(kept)))


def zeros_of(state):
    context = None if state.context is None else np.zeros_like(state.context)
    return {"context": context, "weights": tuple(map(np.zeros_like, state.weights))}


def assert_same_parts(state, other):
    flat = [
        [*(s.layers if isinstance(s.layers, tuple) else [s.layers]), s.context, *s.weights]
        for s in (state, other)
    ]
    for part, expected in zip(*flat, strict=True):
        assert (part is None) == (expected is None)
        if part is not None:
            assert_same_bits(part, expected)


def test_a_stream_of_one_sequence_writes_what_greedy_search_does():
    decoder = decoder_of(4, vocab=9, scale=3.0)
    memory = memory_of(decoder, 5, 1)[:, 0]
    (found,) = decoder.generate(memory, start=START, end=END, max_steps=12, return_attention=True)
    stream, fed = decoder.stream(memory, memory_lengths=5), START
    for token, looked in zip(found.ids, found.attention, strict=True):
        logits = stream(fed)
        assert logits.shape == (9,)
        fed = int(logits.argmax())
        assert fed == token
        assert_same_bits(stream.attention, looked)


@pytest.mark.parametrize("batch", [1, 5, 20])
@pytest.mark.parametrize("words", [3001, 30])
def test_same_bits_of_few_rows(threads, batch, words):
    """Whose logits are shared out by words, those of the last panel too."""
    decoder = AttentionDecoder(words, 32, 512, 256, seed=3)
    memory = memory_of(decoder, 12, batch)
    tokens = np.arange(2 * batch).reshape(2, batch) % words
    threads(1)
    expected, _ = decoder(tokens, memory)
    for n in (2, 3):
        threads(n)
        stream = decoder.stream(memory)
        for t in range(2):
            assert_same_bits(stream(tokens[t]), expected[t])
        assert_same_bits(decoder(tokens, memory)[0], expected)


BAD_STREAMS = [
    (lambda s: s([1]), ValueError, "tokens has shape"),
    (lambda s: s([1, 5]), ValueError, r"tokens\[1\] is 5; expected 0 to 4"),
    (lambda s: s([-1, 5]), ValueError, r"tokens\[0\] is -1; expected 0 to 4"),
    (lambda s: s([1.0, 2.0]), TypeError, "tokens"),
    (lambda s: s(None), TypeError, "tokens"),
    (lambda s: setattr(s, "state", M), TypeError, "state is an ndarray"),
    (lambda s: setattr(s, "state", (M, M, M)), TypeError, "state is a tuple of 3"),
    (lambda s: setattr(s, "state", gn.DecoderState(None, M)), ValueError, "state.context"),
    (lambda s: setattr(s, "state", gn.DecoderState(None, None, [M])), ValueError, "state.weights"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD_STREAMS)
def test_errors_of_a_stream(call, kind, text):
    stream = D.stream(M)
    stream([1, 2])
    before = stream.state
    with pytest.raises(kind, match=text):
        call(stream)
    assert_same_parts(stream.state, before)


def test_attention_of_a_stream_that_has_not_looked():
    stream = D.stream(M)
    with pytest.raises(ValueError, match="attention: the stream has made no step"):
        stream.attention  # noqa: B018
    stream([1, 2])
    stream.reset()
    with pytest.raises(ValueError, match="attention: the stream has made no step"):
        stream.attention  # noqa: B018
    with pytest.raises(ValueError, match="attention: the decoder has none"):
        NONE.stream(M[0]).attention  # noqa: B018
    with pytest.raises(ValueError, match="memory has shape"):
        D.stream(M[0, 0])
