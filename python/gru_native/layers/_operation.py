"""What all operations share: blocks without a state, before, between and behind the layers."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from ._arguments import check_tape, flag, float_dtype
from ._row_gradient import RowGradient
from ._weights import Array, Weighted

OperationTape: TypeAlias = _core.OperationTape32 | _core.OperationTape64


class OperationGradients(NamedTuple):
    """What ``backward`` of a block without a state returns.

    Attributes
    ----------
    x : ndarray or None
        The gradient of x, in its shape. Ids have none; None also where it was not wanted.
    weights : dict of str to ndarray or RowGradient
        The gradient of each weight, by its name; of an Embedding that of the rows it has taken.
    """

    x: Array | None
    weights: dict[str, Any]


class Operation(Weighted):
    """A block that has no state. Its class sets its options before this constructor."""

    _core: _core._Operation[Any]
    batch_first: bool

    def __init__(self, seed: int | None, bound: float, batch_first: bool, dtype: Any) -> None:
        self.dtype = float_dtype(dtype)
        self.batch_first = flag("batch_first", batch_first)
        options = {
            name: getattr(self, name)
            for name in self._options
            if name not in ("batch_first", "dtype", "seed")
        }
        kind = next(k for k in type(self).__mro__ if "_arguments" in vars(k)).__name__
        core_type = self._core_type(_core.Operation32, _core.Operation64)
        self._core = core_type(type=kind, **options)
        super().__init__(seed, bound)

    def __call__(self, x: ArrayLike, *, lengths: ArrayLike | None = None) -> Array:
        """Compute y.

        Parameters
        ----------
        x : array_like
            (seq, batch, size), with ``batch_first`` (batch, seq, size), or, without ``lengths``, of
            any shape that ends with size; of the block's dtype. Lists, integers and float16 are
            converted. Of ids, which are integers, the size is left out.
        lengths : array_like of int, optional
            (batch,), each from 0 to seq, in any order.

        Returns
        -------
        ndarray
            The y, in x's shape but for its size; 0 past the end of a sequence.

        Raises
        ------
        ValueError
            For wrong shapes, lengths or ids; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        return self._core(x, lengths, self.batch_first)

    def forward(
        self, x: ArrayLike, *, lengths: ArrayLike | None = None, training: bool = True
    ) -> tuple[Array, OperationTape]:
        """Compute y, and a tape for ``backward``.

        Parameters
        ----------
        x : array_like
            As when calling the block.
        lengths : array_like of int, optional
            (batch,), each from 0 to seq, in any order.
        training : bool, optional
            Whether a batch normalisation takes mean and variance of the batch. To others it is the
            same.

        Returns
        -------
        y : ndarray
            In x's shape but for its size; 0 past the end of a sequence.
        tape : OperationTape
            What ``backward`` needs. It has copies of its own: the arrays and the weights may change
            before ``backward``.

        Raises
        ------
        ValueError
            For wrong shapes, lengths or ids; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        result: tuple[Array, Any] = self._core.forward(
            x, lengths, self.batch_first, flag("training", training)
        )
        return result

    def backward(
        self, tape: OperationTape, dy: ArrayLike, *, input_gradient: bool = True
    ) -> OperationGradients:
        """Compute the gradients of a loss from its gradient of y.

        Parameters
        ----------
        tape : OperationTape
            What ``forward`` returned. It may be used again.
        dy : array_like
            The gradient of y, in its shape. Past the end of a sequence it is not read.
        input_gradient : bool, optional
            Whether the gradient of x is wanted. It is None otherwise, and takes no time.

        Returns
        -------
        OperationGradients
            ``x`` and ``weights``.

        Raises
        ------
        ValueError
            For the tape of another block or a wrong shape.
        TypeError
            For another dtype or kind.
        """
        check_tape(tape, self.dtype, _core.OperationTape32, _core.OperationTape64)
        wanted = flag("input_gradient", input_gradient)
        dx, weights, rows = self._core.backward(tape, dy, wanted)
        if rows is None:
            return OperationGradients(dx, weights)
        return OperationGradients(dx, {"weight": RowGradient(rows, weights["weight"])})

    @property
    def input_size(self) -> int | None:
        """Numbers in each x; None: any."""
        return None

    def _output_size(self, input_size: int | None) -> int | None:
        """Numbers in each y; None: as many as in x, whose number nobody knows yet."""
        return input_size

    def _output_channels(self, channels: int) -> int:
        """Of images, for x of so many; 0: y is no image."""
        return channels

    def _output_lengths(self, lengths: Any) -> Any:
        """Of sequences of y."""
        return lengths

    def __repr__(self) -> str:
        positional = ", ".join(repr(getattr(self, name)) for name in self._positional)
        named = [f"{name}={getattr(self, name)!r}" for name in self._named if self._unusual(name)]
        parts = [positional] * bool(positional) + named + [f"dtype={self.dtype}"]
        return f"{type(self).__name__}({', '.join(parts)})"

    _over_time = False  # whether steps are computed together
    _images: tuple[bool, bool] = (False, False)  # whether x may be images, and whether it must
    _channels = 0  # of images that it reads; 0: any
    _positional: tuple[str, ...] = ()
    _named: dict[str, Any] = {}  # noqa: RUF012  of each class its own, never changed

    def _unusual(self, name: str) -> bool:
        return bool(getattr(self, name) != self._named[name])


class OverTime(Operation):
    """A block whose y has steps of its own."""

    _over_time = True

    def _output_lengths(self, lengths: ArrayLike | None) -> Any:
        if lengths is None:
            return None
        return [self._core.output_len(n) if n > 0 else 0 for n in np.asarray(lengths).tolist()]


def ones_and_zeros(name: str, shape: tuple[int, ...]) -> Array:
    """How a normalisation begins."""
    return np.ones(shape) if name == "weight" else np.zeros(shape)
