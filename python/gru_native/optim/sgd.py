"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable

from ..layers._arguments import flag, number
from ..layers._weights import Weighted
from ._optimizer import Optimizer


class SGD(Optimizer):
    r"""Stochastic gradient descent.

    g <- g + weight_decay w; with momentum [1]_ b <- momentum b + (1 - dampening) g, where the first
    b is g; w <- w - lr b, or with ``nesterov`` [2]_ w <- w - lr (g + momentum b).

    Parameters
    ----------
    layers : layer, or iterable of layers
        Whose weights are changed: layers or chains of one dtype.
    lr : float, default 1e-3
        Learning rate.
    momentum : float, default 0.0
    dampening : float, default 0.0
        Of the gradient in the momentum.
    weight_decay : float, default 0.0
        A multiple of each weight that is added to its gradient.
    nesterov : bool, default False
        Needs ``momentum`` and no ``dampening``.

    Raises
    ------
    ValueError
        For an option out of its range, no layer, a weight that is there twice, and layers of
        different dtypes.
    TypeError
        For what is no layer or no number.

    References
    ----------
    .. [1] B. T. Polyak, "Some Methods of Speeding Up the Convergence of Iteration Methods", USSR
       Computational Mathematics and Mathematical Physics 4(5), 1964.
    .. [2] I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On the Importance of Initialization and
       Momentum in Deep Learning", ICML 2013.
    """

    _make = "sgd"

    def __init__(
        self,
        layers: Weighted | Iterable[Weighted],
        lr: float = 1e-3,
        *,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(
            layers,
            lr=number("lr", lr),
            momentum=number("momentum", momentum),
            dampening=number("dampening", dampening),
            weight_decay=number("weight_decay", weight_decay),
            nesterov=flag("nesterov", nesterov),
        )
