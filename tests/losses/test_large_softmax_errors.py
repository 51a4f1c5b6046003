"""What losses.SampledSoftmax and its kin refuse, and what NaN does to them."""

import numpy as np
import pytest

from gru_native import losses
from helpers import assert_same_bits
from vocabularies import COLUMNS, KINDS, ROWS, WORDS, make, problem

S, N, C, T = losses.SampledSoftmax, losses.NoiseContrastive, losses.ClassSoftmax, losses.TreeSoftmax
MAKING = [
    (lambda: S(0, 5, 2), ValueError, "input_size is 0; expected at least 1"),
    (lambda: T(3, 1), ValueError, "vocab_size is 1; expected at least 2"),
    (lambda: C(2**40, 2**40), ValueError, "would be larger than memory can be"),
    (lambda: S(3, 5, 0), ValueError, "num_samples is 0; expected 1 to vocab_size=5"),
    (lambda: S(3, 5, 6), ValueError, "num_samples is 6; expected 1 to vocab_size=5"),
    (lambda: N(3, 5, 6), ValueError, "num_samples is 6"),
    (lambda: S(3, 5, 2.5), TypeError, "num_samples is a float"),
    (lambda: S(3, 5, 2, proposal="zipf"), ValueError, "proposal is 'zipf'; expected 'uniform'"),
    (lambda: S(3, 5, 2, proposal="\ud800"), ValueError, "proposal holds what is no character"),
    (lambda: S(3, 5, 2, proposal=[1, 2]), ValueError, r"counts.size\(\) is 2; expected vocab_size"),
    (lambda: S(3, 2, 2, proposal=[1, 0]), ValueError, r"counts\[1\] is 0.*above 0"),
    (lambda: N(3, 2, 2, proposal=[1, np.nan]), ValueError, r"counts\[1\] is nan"),
    (lambda: N(3, 2, 2, proposal=[1e308, 1e308]), ValueError, "sum of counts is inf"),
    (lambda: S(3, 2, 2, proposal=[[1, 2]]), ValueError, r"proposal has shape \(1, 2\)"),
    (lambda: S(3, 2, 2, proposal=3), ValueError, r"proposal has shape \(\)"),
    (lambda: S(3, 2, 2, proposal=["a"]), TypeError, "proposal"),
    (lambda: T(3, 2, counts=[1, -1]), ValueError, r"counts\[1\] is -1.*0 or more"),
    (lambda: T(3, 2, counts=[]), ValueError, r"counts has shape \(0,\)"),
    (lambda: C(3, 3, classes=[0, 2, 2]), ValueError, "class 1 has no word"),
    (lambda: C(3, 3, classes=[0, 1]), ValueError, r"classes.size\(\) is 2"),
    (lambda: C(3, 3, classes=[0, 1, -1]), ValueError, r"classes\[2\] is -1; expected 0 to 2"),
    (lambda: C(3, 3, classes=[0, 1, 0.5]), TypeError, "classes"),
    (lambda: C(3, 3, bias=1), TypeError, "bias is an int"),
    (lambda: C(3, 3, dtype=int), ValueError, "dtype is int64"),
    (lambda: C(3, 3, seed=-1), ValueError, "seed is -1"),
]


@pytest.mark.parametrize(("making", "kind", "text"), MAKING)
def test_errors_of_making(making, kind, text):
    with pytest.raises(kind, match=text):
        making()


X, Y = np.zeros((2, COLUMNS)), np.zeros(2, int)
CALLS = [
    (lambda c: c.forward(X, [0, WORDS]), ValueError, "that of row 1 is 37; expected 0 to 36"),
    (lambda c: c.forward(X, [-1, 0]), ValueError, "targets: that of row 0 is -1"),
    (lambda c: c(X, [-1, -2], ignore=-1), ValueError, "row 1 is -2; expected .*or ignore=-1"),
    (lambda c: c.forward(X[:, 1:], Y), ValueError, r"x has shape \(2, 10\)"),
    (lambda c: c.forward(X, Y[:1]), ValueError, r"targets has shape \(1,\); expected \(rows=2"),
    (lambda c: c.forward(X[:0], Y[:0]), ValueError, "expected at least one row"),
    (lambda c: c.forward(0.0, 0), ValueError, r"x has shape \(\)"),
    (lambda c: c.forward(X, [0.5, 0]), TypeError, "targets"),
    (lambda c: c.forward(X.astype(np.float32), Y), TypeError, "x has dtype float32"),
    (lambda c: c.forward(X, Y, seed=-1), ValueError, "seed is -1"),
    (lambda c: c.forward(X, Y, seed=1.5), TypeError, "seed"),
    (lambda c: c.forward(X, Y, ignore="no"), TypeError, "ignore"),
    (lambda c: c.forward(X + np.nan, Y), ValueError, "row 0 has no softmax"),
    (lambda c: c(X + np.nan, Y), ValueError, "row 0 has no softmax"),
    (lambda c: c.log_probability(X, [[0], [99]]), ValueError, "number 0 of row 1 is 99"),
    (lambda c: c.log_probability(X, [[[0]], [[9]]]), ValueError, r"ids has shape \(2, 1, 1\)"),
    (lambda c: c.log_probability(X, 3), ValueError, r"ids has shape \(\)"),
    (lambda c: c.top_k(X, 0), ValueError, "k is 0; expected 1 to vocab_size=37"),
    (lambda c: c.top_k(X, 38), ValueError, "k is 38"),
    (lambda c: c.top_k(X, 1.0), TypeError, "k is a float"),
    (lambda c: c.backward(3), TypeError, "tape is an int"),
    (lambda c: c.backward(make("TreeSoftmax").forward(X, Y)[1]), ValueError, "another layer"),
]


@pytest.mark.parametrize(("call", "error", "text"), CALLS)
@pytest.mark.parametrize("kind", KINDS)
def test_errors_of_calls(kind, call, error, text):
    with pytest.raises(error, match=text):
        call(make(kind))


def test_no_ids():
    assert make("TreeSoftmax").log_probability(X, np.zeros((2, 0), int)).shape == (2, 0)
    assert make("SampledSoftmax").log_probability(X, np.zeros((2, 0), int)).shape == (2, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_nan_stays_in_its_row(kind):
    layer = make(kind)
    x, _ = problem()
    expected = layer.log_probability(x)
    x[4] = np.nan
    got = layer.log_probability(x)
    assert np.isnan(got[4]).all()
    kept = np.arange(ROWS) != 4
    assert_same_bits(got[kept], expected[kept])
    best, values = layer.top_k(x, 3)
    assert best[4].tolist() == [0, 1, 2]
    assert np.isnan(values[4]).all()
