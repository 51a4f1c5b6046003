"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable

from ..layers._arguments import number
from ..layers._weights import Weighted
from ._optimizer import Optimizer


class _Adam(Optimizer):
    _make = "adam"
    _decoupled: bool

    def __init__(
        self,
        layers: Weighted | Iterable[Weighted],
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
    ) -> None:
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"betas is {betas!r}; expected a pair of numbers")
        super().__init__(
            layers,
            lr=number("lr", lr),
            betas=(number("betas[0]", betas[0]), number("betas[1]", betas[1])),
            eps=number("eps", eps),
            weight_decay=number("weight_decay", weight_decay),
            decoupled=self._decoupled,
        )


class Adam(_Adam):
    r"""Adam [1]_: steps from running means of gradients and of their squares.

    g <- g + weight_decay w; m <- beta1 m + (1 - beta1) g; v <- beta2 v + (1 - beta2) g^2;
    w <- w - lr m' / (sqrt(v') + eps), where m' = m / (1 - beta1^n) and v' = v / (1 - beta2^n) at
    the weight's n-th step.

    Parameters
    ----------
    layers : layer, or iterable of layers
        Whose weights are changed: layers or chains of one dtype.
    lr : float, default 1e-3
        Learning rate.
    betas : tuple of float, default (0.9, 0.999)
        How much of both means is kept at a step, each 0 to below 1.
    eps : float, default 1e-8
        Keeps the quotient finite.
    weight_decay : float, default 0.0
        A multiple of each weight that is added to its gradient.

    Raises
    ------
    ValueError
        For an option out of its range, no layer, a weight that is there twice, and layers of
        different dtypes.
    TypeError
        For what is no layer or no number.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015,
       arXiv:1412.6980.
    """

    _decoupled = False

    def __init__(
        self,
        layers: Weighted | Iterable[Weighted],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(layers, lr, betas, eps, weight_decay)


class AdamW(_Adam):
    r"""Adam with weights that decay by themselves [1]_.

    As ``Adam``, but weight_decay w is not added to the gradient: w <- (1 - lr weight_decay) w comes
    before the step.

    Parameters
    ----------
    layers : layer, or iterable of layers
        Whose weights are changed: layers or chains of one dtype.
    lr : float, default 1e-3
        Learning rate.
    betas : tuple of float, default (0.9, 0.999)
        How much of both means is kept at a step, each 0 to below 1.
    eps : float, default 1e-8
        Keeps the quotient finite.
    weight_decay : float, default 1e-2
        The part of each weight, times lr, that a step takes away.

    Raises
    ------
    ValueError
        For an option out of its range, no layer, a weight that is there twice, and layers of
        different dtypes.
    TypeError
        For what is no layer or no number.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019,
       arXiv:1711.05101.
    """

    _decoupled = True

    def __init__(
        self,
        layers: Weighted | Iterable[Weighted],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(layers, lr, betas, eps, weight_decay)
