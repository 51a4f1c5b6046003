"""Batch normalisations as part of the products before them."""

from __future__ import annotations

from typing import Any

from ._core import a_type
from .files import assembled, build, describe
from .layers import Chain, Conv1d, Conv2d, Dense
from .layers._flow import Step
from .layers.batch_norm import BatchNorm


def fold(model: Chain) -> Chain:
    """Make a chain for inference whose batch normalisations cost nothing.

    A ``BatchNorm1d`` right behind a ``Dense`` or a ``Conv1d``, and a ``BatchNorm2d`` right behind a
    ``Conv2d``, become part of its weight and bias, if it has no function (``activation``), also
    within ``Residual`` and ``Parallel``. Others stay, and so does the chain that is given.

    Parameters
    ----------
    model : Chain
        What was trained. Its other blocks are shared with the new chain, not copied.

    Returns
    -------
    Chain
        It takes the running statistics of this moment. Its results differ by rounding.

    Raises
    ------
    TypeError
        For what is no chain.

    Examples
    --------
    >>> model = gru_native.Chain([gru_native.Dense(3, 4), gru_native.BatchNorm1d(4)])
    >>> gru_native.fold(model)
    Chain([Dense(3, 4, dtype=float32)])
    """
    if not isinstance(model, Chain):
        raise TypeError(f"model is {a_type(model)}; expected a Chain")
    made: list[Step] = []
    with model._core.together:
        for step in model._core.steps:
            product = _folded(made[-1].block, step.block) if made else None
            if product is None:
                made.append(step)
            else:
                made[-1] = made[-1]._replace(block=product)
    return Chain(assembled(made))


def _folded(before: Any, norm: Any) -> Any:
    """The product with the normalisation behind it; None: it cannot be."""
    if not isinstance(before, (Dense, Conv1d, Conv2d)) or not isinstance(norm, BatchNorm):
        return None
    core = before._core.folded(norm._core)
    if core is None:
        return None
    return build({**describe(before), "bias": True}, before.dtype, core)
