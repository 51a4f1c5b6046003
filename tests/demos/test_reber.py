"""python/examples/reber.py: its strings are of the grammar, and the cell must forget."""

import re
import sys

import numpy as np
import pytest

from builds import ROOT

sys.path.insert(0, str(ROOT / "python" / "examples"))

import common
import reber

# The grammar as an expression, worked out of the graph by hand. TAIL is what may follow from the
# state after P, or X X.
TAIL = r"(?:T*VPX)*T*V(?:PSE|VE)"
STRING = rf"B([TP])B(?:TS*X(?:SE|X{TAIL})|P{TAIL})\1E"
LENGTH, CHOICES = 12, 7  # of a string, on average


def choices(word):
    """Where two symbols might have followed: every state but the last, and the outer T or P.

    B T|P B and then one choice for each symbol up to the inner E, which, like all after it, is
    certain.
    """
    return 1 + len(word[3:-3])


def test_strings_are_legal():
    rng = np.random.default_rng(1)
    words = [reber.string(rng) for _ in range(20_000)]
    for word in words:
        assert re.fullmatch(STRING, word), word
    assert min(map(len, words)) == 9
    assert len(set(words)) > 500

    lengths, fair = np.array([(len(word), choices(word)) for word in words]).T
    for values, expected in ((lengths, LENGTH), (fair, CHOICES)):
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean() - expected) < 4 * error < 0.12
    outer = np.mean([word[1] == "T" for word in words])
    assert abs(outer - 0.5) < 0.015


def test_choices_are_fair():
    """The shortest strings have the probability of their four choices."""
    rng = np.random.default_rng(2)
    words = [reber.string(rng) for _ in range(40_000)]
    for word in ("BTBTXSETE", "BPBTXSEPE", "BTBPVVETE", "BPBPVVEPE"):
        assert choices(word) == 4
        share = np.mean([w == word for w in words])
        assert share == pytest.approx(2**-4, abs=0.005)


def test_expectations_are_those_of_the_graph():
    """Steps until the end, and choices among them, solve linear equations."""
    states = range(6)
    leads = np.zeros((6, 6))
    for state, edges in reber.GRAPH.items():
        for _, to in edges:
            if to < 6:
                leads[state, to] += 1 / len(edges)
    fair = [float(len(reber.GRAPH[state]) == 2) for state in states]
    symbols, two = np.linalg.solve(np.eye(6) - leads, np.stack([np.ones(6), fair], axis=1))[0]
    assert symbols + 5 == pytest.approx(LENGTH, abs=1e-12)  # B, T or P, B before; T or P, E after
    assert two + 1 == pytest.approx(CHOICES, abs=1e-12)
    assert pytest.approx(0.40434, abs=5e-6) == reber.BEST
    assert pytest.approx(0.46210, abs=5e-6) == reber.FORGETFUL


def test_streams_are_strings_without_end():
    text = reber.streams(500, 3, np.random.default_rng(3))
    assert text.symbols.shape == text.outer.shape == (500, 3)
    columns = ["".join(reber.ALPHABET[k] for k in column) for column in text.symbols.T]
    assert len(set(columns)) == 3
    for column, marks in zip(columns, text.outer.T, strict=True):
        ends, at = [], 0
        while (word := re.compile(STRING).match(column, at)) is not None:
            at = word.end()
            ends.append(at - 2)
        assert len(column) - at < 60  # one string that the window cuts
        marked = np.flatnonzero(marks)
        assert list(marked[marked < at]) == ends
        assert len(ends) > 20


def test_a_judge_of_known_scores():
    """Of a model that gives the same scores at every step."""
    scores = np.log(np.array([1, 2, 3, 4, 5, 6, 7], np.float32))
    text = reber.streams(2000, 1, np.random.default_rng(4))
    target, outer = text.symbols[1:, 0], text.outer[1:, 0]
    result = reber.judge(lambda x: (np.broadcast_to(scores, x.shape), None), text)
    expected = -np.mean(np.log(np.arange(1, 8) / 28)[target])
    assert result.cross_entropy == pytest.approx(expected, rel=1e-5)
    t = np.mean(target[outer] == reber.ALPHABET.index("T"))  # score of T above that of P
    assert result.outer_accuracy == pytest.approx(t)


def test_what_followed_three_symbols():
    ids = np.random.default_rng(5).integers(0, 7, 4000)
    ids[3::4] = ids[:-3:4]  # each fourth is the one three before
    chain = reber.by_the_last_three(ids)
    scores, _ = chain(reber.one_hot(ids[:40, None]))
    for t in range(2, 39):
        same = [k for k in range(3, len(ids)) if (ids[k - 3 : k] == ids[t - 2 : t + 1]).all()]
        share = np.mean(ids[same] == ids[t + 1])
        assert np.exp(scores[t, 0, ids[t + 1]]) == pytest.approx(share, abs=0.02)


def trained(forget_gate):
    rng = np.random.default_rng(0)
    model = reber.Model(forget_gate, 0)
    reber.train(model, common.Course(0, 1200), rng)
    return reber.judge(model.chain, reber.streams(reber.HELD_OUT, 1, rng))


@pytest.mark.slow
def test_the_forget_gate_keeps_the_stream_in_hand():
    result = trained(True)
    assert result.cross_entropy < 1.02 * reber.BEST
    assert result.outer_accuracy > 0.99


@pytest.mark.slow
def test_without_forget_gate_the_outer_symbol_is_lost():
    result = trained(False)
    assert result.cross_entropy > 1.02 * reber.BEST
    assert result.outer_accuracy < 0.9
