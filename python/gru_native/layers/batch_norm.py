"""Batch normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import _core
from ._arguments import check_tape, flag, number, size
from ._operation import Operation, OperationTape
from ._options import public
from ._weights import Array


class BatchNorm(Operation):
    """Batch normalisation, of rows or of images."""

    _positional = ("num_features",)
    _named = {"eps": 1e-5, "momentum": 0.1, "affine": True, "batch_first": False}  # noqa: RUF012

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        *,
        batch_first: bool = False,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.num_features = size("num_features", num_features)
        self.eps = number("eps", eps)
        self.momentum = number("momentum", momentum)
        self.affine = flag("affine", affine)
        super().__init__(None, 0.0, batch_first, dtype)

    @property
    def num_parameters(self) -> int:
        """How many numbers weight and bias have."""
        return 2 * self.num_features * self.affine

    def update_statistics(self, tape: OperationTape) -> None:
        """Take the batch of a training call into the running statistics.

        They become (1 - momentum) of what they are now, and momentum of the batch's mean and
        unbiased variance. That is an edit of ``running_mean`` and ``running_var``.

        Parameters
        ----------
        tape : OperationTape
            What ``forward`` returned.

        Raises
        ------
        ValueError
            For the tape of another block, and of a call without ``training``.
        TypeError
            For what is no tape.
        """
        made = self._statistics(tape)
        with self.editing() as w:
            for name, numbers in made.items():
                w[name] = numbers

    def _statistics(self, tape: Any) -> dict[str, Array]:
        """What the running statistics become."""
        check_tape(tape, self.dtype, _core.OperationTape32, _core.OperationTape64)
        mean, var = self._core.statistics(tape)
        return {"running_mean": mean, "running_var": var}

    def _fill(self, name: str, w: Array, bound: float) -> None:
        w[...] = 1.0 if name in ("weight", "running_var") else 0.0


@public
class BatchNorm1d(BatchNorm):
    """Batch normalisation: y = weight (x - mean) / sqrt(variance + eps) + bias, feature by feature.

    Calls, streams and ``forward`` with ``training=False`` take the running mean and variance.
    ``forward`` in training takes those of its batch: of all steps of all sequences, without what is
    past their ends, as ``torch.nn.BatchNorm1d`` has it of packed data. No call changes a weight:
    ``update_statistics`` takes a batch into the running ones.

    Parameters
    ----------
    num_features : int
        Numbers in each x and y.
    eps : float, optional
        What is added to the variance.
    momentum : float, optional
        How much of a batch's statistics becomes part of the running ones, 0 to 1.
    affine : bool, optional
        Whether there are weight and bias.
    batch_first : bool, optional
        Whether x and y are (batch, seq, size) instead of (seq, batch, size). It matters only for
        calls with ``lengths``, in a ``Chain`` and in its streams.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.

    Raises
    ------
    ValueError
        For a size below 1, an eps below 0, a momentum that is not from 0 to 1 or another dtype; the
        text names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names. The weights are those of ``torch.nn.BatchNorm1d``,
    all (num_features,): ``weight`` and ``bias``, which start as ones and zeros, and
    ``running_mean`` and ``running_var``, which start as zeros and ones, have no gradient and count
    as no parameters. There is no ``num_batches_tracked``: leave it out of a ``state_dict``. The
    numbers of x stand in its last axis. In inference it is one product and one sum for each number.

    References
    ----------
    S. Ioffe and C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift", 2015.
    """

    @property
    def input_size(self) -> int:
        """Numbers in each x."""
        return self.num_features

    def _output_size(self, input_size: int | None) -> int:
        return self.num_features


@public
class BatchNorm2d(BatchNorm):
    """Batch normalisation of images (batch, channels, height, width), channel by channel.

    y = weight (x - mean) / sqrt(variance + eps) + bias. Calls and ``forward`` with
    ``training=False`` take the running mean and variance. ``forward`` in training takes those of
    its batch: of all places of all images, without what is past their widths. No call changes a
    weight: ``update_statistics`` takes a batch into the running ones.

    Parameters
    ----------
    num_features : int
        Channels of x and y.
    eps : float, optional
        What is added to the variance.
    momentum : float, optional
        How much of a batch's statistics becomes part of the running ones, 0 to 1.
    affine : bool, optional
        Whether there are weight and bias.
    batch_first : bool, optional
        That of the chain; images are (batch, channels, height, width) either way.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.

    Raises
    ------
    ValueError
        For a size below 1, an eps below 0, a momentum that is not from 0 to 1 or another dtype; the
        text names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names. The weights are those of ``torch.nn.BatchNorm2d``,
    as those of ``BatchNorm1d`` are. ``lengths`` are the widths of the images. y is a view of memory
    in the order (width, batch, height, channels). Images have no stream.

    References
    ----------
    S. Ioffe and C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift", 2015.
    """

    _over_time = True
    _images = (True, True)

    @property
    def _channels(self) -> int:  # type: ignore[override]
        return self.num_features
