"""Losses of logits as they are counted: the loss, and in the same call its gradient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from numpy.typing import ArrayLike

from ..layers._arguments import number
from ._arguments import at_least, fits, lengths_of
from ._count import Count
from ._work import Operations, Passes, Work, ops, times

# As in cpp/kernels/normalizer.h, for each number of a row: the largest, a - max, exp, sum. The
# sum's logarithm is taken once a row. Then scale exp(a - max - log sum) - shift.
NORMALIZER, NORMALIZER_ROW = ops(select=1, add=2, exp=1), ops(log=1)
SCALED = ops(add=2, exp=1) + ops(multiply=1, add=1)
LOG_P = ops(add=2)  # a - max - log sum, of one number

# As in cpp/cells/log_sum.h: of two numbers and of three.
LOG_SUM = ops(select=3, add=3, exp=1, log=1)
LOG_SUM_3 = ops(select=5, add=5, exp=2, log=1)
# As in cpp/cells/ctc.h, for a label's two states; and the probability to be in each.
CTC = LOG_SUM + LOG_SUM_3 + ops(add=3)
CTC_BACKWARD = LOG_SUM + LOG_SUM_3 + ops(add=4)
CTC_OCCUPANCY = ops(add=5, exp=2)
# As in cpp/cells/transducer.h, for a node.
TRANSDUCER = LOG_SUM + ops(add=2)
TRANSDUCER_BACKWARD = LOG_SUM + ops(add=2) + ops(add=4, exp=2)


def count_cross_entropy(
    rows: int, classes: int, *, ignored: int = 0, label_smoothing: float = 0.0
) -> Count:
    """Count one call of ``losses.cross_entropy``: the loss, and its gradient as ``to_inputs``.

    Parameters
    ----------
    rows : int
        Rows of the logits.
    classes : int
        Columns of the logits.
    ignored : int, optional
        How many of the rows have the target to ignore.
    label_smoothing : float, optional
        As in ``losses.cross_entropy``, 0 to 1.

    Returns
    -------
    Count
        All figures.

    Raises
    ------
    ValueError
        For sizes or a label_smoothing out of range.
    TypeError
        For arguments of the wrong kind.
    """
    rows, classes = at_least("rows", rows, 1), at_least("classes", classes, 1)
    if not 0 <= at_least("ignored", ignored, 0) <= rows:
        raise ValueError(f"ignored is {ignored}; expected 0 to rows={rows}")
    smooth = number("label_smoothing", label_smoothing)
    if not 0 <= smooth <= 1:
        raise ValueError(f"label_smoothing is {label_smoothing}; expected 0 to 1")
    fits("the arrays", rows * classes, rows=rows, classes=classes)
    learnt = rows - ignored
    forward = times(classes, NORMALIZER) + NORMALIZER_ROW + LOG_P
    if smooth > 0:  # the sum of a - max; e times the mean loss of all classes, and 1 - e of its own
        forward += ops(add=2 * classes) + ops(divide=1, add=1, multiply=1)
        forward += ops(multiply=1, add=2) if smooth < 1 else ops()
    gradient = times(classes, SCALED) + ops(add=2, multiply=2, divide=1)  # less 1 - e of the target
    shown = f"label_smoothing={label_smoothing}" if smooth else ""
    return _counted(
        f"cross_entropy({shown})",
        {"rows": rows, "classes": classes},
        times(learnt, forward) + ops(add=rows, divide=2),  # the mean
        times(learnt, gradient),
        2 * rows * classes,
    )


def count_ctc(
    seq_len: int,
    labels: int,
    classes: int,
    batch: int = 1,
    input_lengths: ArrayLike | None = None,
    target_lengths: ArrayLike | None = None,
) -> Count:
    """Count one call of ``losses.ctc``: the losses, and their gradient as ``to_inputs``.

    Parameters
    ----------
    seq_len : int
        Steps of the logits.
    labels : int
        Labels of each sequence.
    classes : int
        Columns of the logits, the blank among them.
    batch : int, optional
        Sequences.
    input_lengths : array_like of int, optional
        (batch,), each from 0 to seq_len; None means that all are seq_len.
    target_lengths : array_like of int, optional
        (batch,), each from 0 to labels; None means that all are labels.

    Returns
    -------
    Count
        All figures. A sequence with more labels than steps has no gradient to compute. Whether
        labels that repeat have the steps that they need is not asked: they are taken to have them.

    Raises
    ------
    ValueError
        For sizes or lengths out of range.
    TypeError
        For arguments of the wrong kind.
    """

    def of_one(t: int, u: int) -> tuple[Operations, Operations]:
        possible = u <= t
        states = u + 1
        look_up = times(classes, NORMALIZER) + NORMALIZER_ROW + times(u, LOG_P)
        forward = times(t, look_up + LOG_P + times(states, CTC)) + ops(select=1, add=1)
        forward += ops(exp=2, add=4, log=1) if possible else ops()  # of both last states
        backward = times(max(t - 1, 0), LOG_P + times(states, CTC_BACKWARD))
        if possible:
            gradient = times(classes, SCALED) + times(states, CTC_OCCUPANCY) + ops(add=states)
            backward += times(t, gradient)
        return forward, backward

    sizes = {"seq_len": seq_len, "labels": labels, "classes": classes, "batch": batch}
    return _of_sequences("ctc", sizes, 1, input_lengths, target_lengths, of_one)


def count_transducer(
    seq_len: int,
    labels: int,
    classes: int,
    batch: int = 1,
    input_lengths: ArrayLike | None = None,
    target_lengths: ArrayLike | None = None,
) -> Count:
    """Count one call of ``losses.transducer``: the losses, and their gradient as ``to_inputs``.

    Parameters
    ----------
    seq_len : int
        Steps of the logits.
    labels : int
        Labels of each sequence; the logits have labels + 1 rows for each step.
    classes : int
        Columns of the logits, the blank among them.
    batch : int, optional
        Sequences.
    input_lengths : array_like of int, optional
        (batch,), each from 0 to seq_len; None means that all are seq_len.
    target_lengths : array_like of int, optional
        (batch,), each from 0 to labels; None means that all are labels.

    Returns
    -------
    Count
        All figures. Labels without a step have no gradient to compute.

    Raises
    ------
    ValueError
        For sizes or lengths out of range.
    TypeError
        For arguments of the wrong kind.
    """

    def of_one(t: int, u: int) -> tuple[Operations, Operations]:
        nodes, possible = t * (u + 1), t > 0 or u == 0
        # Diagonals are all as long as the longest; what is no node is computed, too.
        lattice = (t + u) * (min(t, u) + 1)
        look_up = times(nodes, times(classes, NORMALIZER) + NORMALIZER_ROW + LOG_P)
        forward = look_up + times(t * u, LOG_P) + times(lattice, TRANSDUCER) + ops(add=1)
        backward: Operations = Counter()
        if possible:
            backward = times(lattice, TRANSDUCER_BACKWARD) + times(nodes, times(classes, SCALED))
            backward += ops(add=2 * nodes + t * u)
        return forward, backward

    sizes = {"seq_len": seq_len, "labels": labels, "classes": classes, "batch": batch}
    rows = at_least("labels", labels, 0) + 1
    return _of_sequences("transducer", sizes, rows, input_lengths, target_lengths, of_one)


def _of_sequences(
    name: str,
    sizes: dict[str, int],
    rows: int,
    input_lengths: ArrayLike | None,
    target_lengths: ArrayLike | None,
    of_one: Callable[[int, int], tuple[Operations, Operations]],
) -> Count:
    """``rows``: of the logits, for each step."""
    seq_len, batch = at_least("seq_len", sizes["seq_len"], 1), at_least("batch", sizes["batch"], 1)
    labels = at_least("labels", sizes["labels"], 0)
    classes = at_least("classes", sizes["classes"], 1)
    fits("the arrays", seq_len * batch * rows * classes, **sizes)
    fits("the lattices", seq_len * batch * (labels + 1), **sizes)
    steps = lengths_of("input_lengths", input_lengths, batch, 0, seq_len, "seq_len")
    of_labels = lengths_of("target_lengths", target_lengths, batch, 0, labels, "labels")
    pairs = Counter({(seq_len, labels): batch})
    if steps or of_labels:
        of_each = steps or [seq_len] * batch, of_labels or [labels] * batch
        pairs = Counter(zip(*of_each, strict=True))
    forward, backward = Counter[str](), Counter[str]()
    for (t, u), n in pairs.items():
        loss, gradient = of_one(t, u)
        forward += times(n, loss)
        backward += times(n, gradient)
    moved = 2 * seq_len * batch * rows * classes
    return _counted(f"{name}()", sizes, forward, backward, moved)


def _counted(
    name: str, sizes: dict[str, int], forward: Operations, gradient: Operations, moved: int
) -> Count:
    passes = Passes(Work((), forward), Work((), gradient))
    return Count(
        layer=f"losses.{name}",
        extent=sizes,
        tensors=(),
        passes=passes,
        textbook=passes,
        moved=moved,
    )
