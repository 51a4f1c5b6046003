"""Optimizers: steps that change the weights of layers in place, on all cores.

    >>> adam = gru_native.optim.Adam(chain, lr=1e-3)
    >>> y, state, tape = chain.forward(x)
    >>> loss, dy = gru_native.losses.cross_entropy(y, targets)
    >>> adam.step(chain.backward(tape, dy))

Definitions, names and defaults are those of ``torch.optim``. A weight without a gradient stays as
it is; so do rows of a weight whose gradient is a ``RowGradient`` without them, and what the
optimizer remembers of them.
"""

from .adagrad import Adagrad
from .adam import Adam, AdamW
from .sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW"]
