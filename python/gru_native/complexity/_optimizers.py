"""Steps of optimizers, as they are counted."""

from __future__ import annotations

from .._core import a_type
from ..optim import SGD, Adagrad, Adam, AdamW
from ._arguments import at_least
from ._cells import MULTIPLY_ADD
from ._count import Count
from ._work import Operations, Passes, Work, ops, times

# As in cpp/cells/optimizers.h, for each weight; g + weight_decay w is made always.
DECAY = MULTIPLY_ADD
LESS_STEP = ops(multiply=1, add=1)  # w - lr b
ADAGRAD = DECAY + MULTIPLY_ADD + ops(sqrt=1, add=1, divide=1) + LESS_STEP
ADAM = (
    DECAY
    + (MULTIPLY_ADD + ops(multiply=1))  # m
    + (MULTIPLY_ADD + ops(multiply=2))  # v
    + (ops(sqrt=1, divide=1) + MULTIPLY_ADD + ops(multiply=1) + LESS_STEP)  # keep w - rate m / ..
)


def sgd(momentum: float, nesterov: bool) -> Operations:
    if momentum == 0:
        return DECAY + LESS_STEP
    b = MULTIPLY_ADD + ops(multiply=1)
    return DECAY + b + LESS_STEP + (MULTIPLY_ADD if nesterov else ops())


def count_step(optimizer: SGD | Adagrad | Adam | AdamW, numbers: int | None = None) -> Count:
    """Count one step of an optimizer.

    Parameters
    ----------
    optimizer : SGD, Adagrad, Adam or AdamW
        The optimizer.
    numbers : int, optional
        How many numbers have a gradient: rows without one cost nothing. None means all weights.

    Returns
    -------
    Count
        All figures. Its work is all in ``forward``; the few numbers that a step computes once for
        each weight array are not counted. ``state`` is what the optimizer remembers of these
        numbers.

    Raises
    ------
    ValueError
        For more numbers than there are weights.
    TypeError
        For another kind of optimizer or argument.
    """
    if not isinstance(optimizer, (SGD, Adagrad, Adam, AdamW)):
        raise TypeError(f"optimizer is {a_type(optimizer)}; expected one of optim")
    most = sum(w.size for w in optimizer._weights.values())
    n = most if numbers is None else at_least("numbers", numbers, 0)
    if n > most:
        raise ValueError(f"numbers is {n}; expected 0 to {most}, as many as there are weights")
    if isinstance(optimizer, SGD):
        each, states = sgd(optimizer.momentum, optimizer.nesterov), int(optimizer.momentum != 0)
    else:
        each, states = (ADAGRAD, 1) if isinstance(optimizer, Adagrad) else (ADAM, 2)
    passes = Passes(Work((), times(n, each)))
    return Count(
        layer=repr(optimizer),
        extent={"numbers": n},
        tensors=(),
        passes=passes,
        textbook=passes,
        state=states * n,
        moved=3 * n,  # weights in and out, gradients in
    )
