"""Generation with many hypotheses at once, and many words of which some are equal."""

import numpy as np
import pytest

from gru_native import AttentionDecoder
from helpers import assert_same_bits
from reference.decoding import generate, log_softmax

START, END = 1, 0


def decoder_of(words, attention, cell, dtype=np.float64):
    decoder = AttentionDecoder(words, 4, 9, 5, cell=cell, attention=attention, seed=7, dtype=dtype)
    with decoder.editing() as weights:
        for name in weights:
            weights[name] *= 4
    return decoder


@pytest.mark.parametrize("beam_size", [1, 3, 20, 40])
@pytest.mark.parametrize("words", [256, 333])
def test_of_equal_words_the_first_comes_first(words, beam_size):
    """Each word's logit is that of others, too."""
    decoder = decoder_of(words, "additive", "gru")
    with decoder.editing() as weights:
        for name in ("weight_output", "bias_output"):
            w = weights[name]
            w[:] = w[np.arange(words) % 50 + 50 * (np.arange(words) == END)]
        weights["weight_embedding"][:] = weights["weight_embedding"][np.arange(words) % 50]
    memory = np.random.default_rng(0).standard_normal((6, 1, 5))

    def next_log_p(tokens):
        logits, _ = decoder(np.array(tokens)[:, None], memory)
        return log_softmax(logits[-1, 0])

    given = {"start": START, "end": END, "max_steps": 3, "beam_size": beam_size}
    (found,) = decoder.generate(memory, **given)
    expected = generate(next_log_p, START, END, 3, beam_size, 0.0)
    assert len(found) == len(expected) == beam_size
    assert [tuple(h.ids) for h in found] == [ids for ids, _ in expected]
    np.testing.assert_allclose([h.score for h in found], [p for _, p in expected], 0, 1e-12)


@pytest.mark.parametrize("attention", ["additive", "location", None])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_same_bits_for_threads_and_company(cell, attention, threads):
    """So many hypotheses that sequences are shared out, and change places at every step."""
    decoder = decoder_of(300, attention, cell, np.float32)
    shape = (17, 5) if attention is None else (6, 17, 5)
    memory = np.random.default_rng(0).standard_normal(shape, np.float32)
    given = {"start": START, "end": END, "max_steps": 9, "beam_size": 6, "length_penalty": 0.4}
    if attention is not None:
        given["return_attention"] = True
    threads(1)
    expected = decoder.generate(memory, **given)
    for n in (2, 3, 5):
        threads(n)
        check_same(decoder.generate(memory, **given), expected)
    for b in (0, 9, 16):
        alone = decoder.generate(np.ascontiguousarray(memory[..., b : b + 1, :]), **given)
        check_same(alone, expected[b : b + 1])


def check_same(found, expected):
    for row, other in zip(found, expected, strict=True):
        for h, e in zip(row, other, strict=True):
            assert h.ids.tolist() == e.ids.tolist()
            assert h.score == e.score
            if hasattr(e, "attention"):
                assert_same_bits(h.attention, e.attention)
