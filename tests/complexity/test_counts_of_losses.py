"""Counts of losses, by hand, and what they refuse."""

import pytest

from gru_native import complexity


def test_cross_entropy_by_hand():
    # 3 rows of 4 classes, one of them ignored.
    c = complexity.count_cross_entropy(3, 4, ignored=1)
    # A row: maximum; a - max, exp, sum; the sum's log; log p of the target; and a mean of 3 rows.
    assert c.forward.elementwise == {
        "select": 2 * 4,
        "add": 2 * (4 + 4 + 2) + 3,
        "exp": 2 * 4,
        "log": 2,
        "divide": 2,
    }
    # s p - shift from a - max - log sum; the target's less s (1 - e), and both scales.
    assert c.to_inputs.elementwise == {
        "add": 2 * (3 * 4 + 2),
        "exp": 2 * 4,
        "multiply": 2 * (4 + 2),
        "divide": 2,
    }
    assert c.parameters == c.forward.macs == 0
    assert c.bytes("float64").traffic == 8 * 2 * 3 * 4
    smooth = complexity.count_cross_entropy(3, 4, ignored=1, label_smoothing=0.1)
    more = smooth.forward.elementwise["add"] - c.forward.elementwise["add"]
    assert more == 2 * (2 * 4 + 3)


def test_ctc_by_hand():
    # 2 steps, 1 label: 2 states for each of u = 0 and 1; 5 classes.
    c = complexity.count_ctc(2, 1, 5)
    # log(e^a + e^b) has an exp and a log, that of three numbers two and one; and at the end one.
    assert c.forward.elementwise["exp"] == 2 * (5 + 2 * 3) + 2
    assert c.forward.elementwise["log"] == 2 * (1 + 2 * 2) + 1
    # One step back; each step's softmax, and the probabilities to be in 2 states for each u.
    assert c.to_inputs.elementwise["exp"] == 2 * 3 + 2 * (5 + 2 * 2)
    assert c.to_inputs.elementwise["multiply"] == 2 * 5
    for line in ("forward: exp", "backward to inputs: exp", "bytes in float64: moved by a step"):
        assert f"\n{line} " in c.table()
    impossible = complexity.count_ctc(2, 3, 5)
    assert impossible.to_inputs.elementwise["multiply"] == 0


def test_transducer_by_hand():
    # 3 steps, 1 label: 6 nodes on 4 diagonals of 2, of which 2 places are no nodes; 5 classes.
    c = complexity.count_transducer(3, 1, 5)
    assert c.forward.elementwise["exp"] == 6 * 5 + 8
    assert c.forward.elementwise["log"] == 6 + 8
    assert c.to_inputs.elementwise["exp"] == 8 * 3 + 6 * 5
    assert c.to_inputs.elementwise["multiply"] == 6 * 5


@pytest.mark.parametrize("count", [complexity.count_ctc, complexity.count_transducer])
def test_sequences(count):
    one, two = count(4, 2, 6), count(3, 1, 6)
    both = count(4, 2, 6, 2, [4, 3], [2, 1])
    for pick in ("forward", "to_inputs"):
        assert getattr(both, pick).elementwise == (
            getattr(one, pick).elementwise + getattr(two, pick).elementwise
        )
    assert count(4, 2, 6, 5).forward == count(4, 2, 6, 5, [4] * 5).forward
    assert (
        count(4, 2, 6, 10**9).forward.elementwise["exp"] == 10**9 * (one.forward.elementwise["exp"])
    )
    for arguments, message in (
        ((0, 2, 6), "seq_len is 0; expected at least 1"),
        ((4, -1, 6), "labels is -1; expected at least 0"),
        ((4, 2, 6, 2, [5, 1]), r"input_lengths\[0\] is 5; expected 0 to seq_len=4"),
        ((4, 2, 6, 2, None, [1, 3]), r"target_lengths\[1\] is 3; expected 0 to labels=2"),
        ((2**30, 2, 2**30), "the arrays would be larger than memory can be"),
    ):
        with pytest.raises(ValueError, match=message):
            count(*arguments)


def test_rows_that_cannot_be():
    with pytest.raises(ValueError, match="ignored is 4; expected 0 to rows=3"):
        complexity.count_cross_entropy(3, 4, ignored=4)
    with pytest.raises(ValueError, match=r"label_smoothing is 1\.5; expected 0 to 1"):
        complexity.count_cross_entropy(3, 4, label_smoothing=1.5)
    with pytest.raises(TypeError, match="rows is a str; expected a whole number"):
        complexity.count_cross_entropy("3", 4)


def test_what_has_no_weights_has_full_precision():
    assert complexity.count(complexity.Activation("relu"), 3).bytes("float64").weights == 0
