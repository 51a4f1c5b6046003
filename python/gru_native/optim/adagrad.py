"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable

from ..layers._arguments import number
from ..layers._weights import Weighted
from ._optimizer import Optimizer


class Adagrad(Optimizer):
    r"""Adagrad [1]_: every weight has a learning rate that falls with its gradients.

    g <- g + weight_decay w; s <- s + g^2; w <- w - lr / (1 + (n - 1) lr_decay) g / (sqrt(s) + eps)
    at the weight's n-th step.

    Parameters
    ----------
    layers : layer, or iterable of layers
        Whose weights are changed: layers or chains of one dtype.
    lr : float, default 1e-2
        Learning rate.
    lr_decay : float, default 0.0
        How the learning rate falls with the steps.
    weight_decay : float, default 0.0
        A multiple of each weight that is added to its gradient.
    initial_accumulator_value : float, default 0.0
        What s is at first.
    eps : float, default 1e-10
        Keeps the quotient finite.

    Raises
    ------
    ValueError
        For an option below 0, no layer, a weight that is there twice, and layers of different
        dtypes.
    TypeError
        For what is no layer or no number.

    References
    ----------
    .. [1] J. Duchi, E. Hazan and Y. Singer, "Adaptive Subgradient Methods for Online Learning and
       Stochastic Optimization", JMLR 12, 2011.
    """

    _make = "adagrad"

    def __init__(
        self,
        layers: Weighted | Iterable[Weighted],
        lr: float = 1e-2,
        *,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(
            layers,
            lr=number("lr", lr),
            lr_decay=number("lr_decay", lr_decay),
            weight_decay=number("weight_decay", weight_decay),
            initial_accumulator_value=number(
                "initial_accumulator_value", initial_accumulator_value
            ),
            eps=number("eps", eps),
        )
