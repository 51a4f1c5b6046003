"""Gated recursive convolution: argument names, documentation, drawings; for the rest see cpp/."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal, NamedTuple, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from ._arguments import check_tape, flag, float_dtype, size, text
from ._options import public
from ._weights import Array, Weighted

GrConvTape: TypeAlias = _core.GrConvTape32 | _core.GrConvTape64


class GrConvGradients(NamedTuple):
    """What ``GatedRecursiveConv.backward`` returns, each in the shape of what it belongs to.

    Attributes
    ----------
    x : ndarray
        The gradient of x, in its shape; 0 past the end of a sequence.
    weights : dict of str to ndarray
        The gradient of each weight, by its name.
    """

    x: Array
    weights: dict[str, Array]


@public
class GatedRecursiveConv(Weighted):
    """Gated recursive convolution (grConv): a pyramid over a sequence, with one vector at its top.

    The lowest level is weight_ih x_t. Each further level makes one vector of every two neighbours,
    until one is left, which stands for the whole sequence [1]_::

        (c, l, r) = softmax(gate_left h_left + gate_right h_right + gate_bias)
        h = c phi(weight_left h_left + weight_right h_right + bias) + l h_left + r h_right

    The gates tell how the sequence was put together: ``draw_gates`` shows them.

    Parameters
    ----------
    input_size : int
        Numbers in each x.
    hidden_size : int
        H, the numbers in each h.
    activation : {"tanh", "sigmoid", "relu", "identity"}, optional
        The function phi.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.
    seed : int, optional
        What the weights are drawn from; None draws them at random.

    Raises
    ------
    ValueError
        For sizes below 1, an unknown activation or another dtype; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    See Also
    --------
    draw_gates : Draw the pyramid of one sequence.

    Notes
    -----
    The options are attributes of the same names. The weights are ``weight_ih`` (H, input_size),
    ``weight_left`` and ``weight_right`` (H, H), ``bias`` (H,), ``gate_left`` and ``gate_right``
    (3, H) and ``gate_bias`` (3,), gates in the order c, l, r: new, left, right. They start uniform
    in +-1/sqrt(H).

    References
    ----------
    .. [1] K. Cho, B. van Merrienboer, D. Bahdanau and Y. Bengio, "On the Properties of Neural
       Machine Translation: Encoder-Decoder Approaches", SSST-8, 2014, arXiv:1409.1259.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        activation: str = "tanh",
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.dtype = float_dtype(dtype)
        self.input_size = size("input_size", input_size)
        self.hidden_size = size("hidden_size", hidden_size)
        self.activation = text("activation", activation)
        core_type = self._core_type(_core.GrConv32, _core.GrConv64)
        self._core: _core._GrConv[Any] = core_type(
            input_size=self.input_size, hidden_size=self.hidden_size, activation=self.activation
        )
        super().__init__(seed, self.hidden_size**-0.5)

    @overload
    def __call__(
        self,
        x: ArrayLike,
        lengths: ArrayLike | None = None,
        *,
        return_gates: Literal[False] = False,
    ) -> Array: ...
    @overload
    def __call__(
        self, x: ArrayLike, lengths: ArrayLike | None = None, *, return_gates: Literal[True]
    ) -> tuple[Array, list[Array]]: ...
    def __call__(
        self, x: ArrayLike, lengths: ArrayLike | None = None, *, return_gates: bool = False
    ) -> Array | tuple[Array, list[Array]]:
        """Compute one vector for each sequence.

        Parameters
        ----------
        x : array_like
            (seq, batch, input_size), of the layer's dtype.
        lengths : array_like of int, optional
            (batch,), each from 0 to seq, in any order.
        return_gates : bool, optional
            Whether the gates are returned, too.

        Returns
        -------
        y : ndarray
            (batch, hidden_size). That of a sequence of length 1 is weight_ih x, that of length 0 is
            zeros.
        gates : list of ndarray
            Only with ``return_gates``: seq - 1 arrays, one for each level from the second on, (seq
            - level, batch, 3): c, l and r of each pair, 0 past the end of a sequence.

        Raises
        ------
        ValueError
            For wrong shapes or lengths; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        result: Any = self._core(x, lengths, flag("return_gates", return_gates))
        return result  # type: ignore[no-any-return]

    def forward(self, x: ArrayLike, lengths: ArrayLike | None = None) -> tuple[Array, GrConvTape]:
        """Compute one vector for each sequence, and a tape for ``backward``.

        Parameters
        ----------
        x : array_like
            (seq, batch, input_size), of the layer's dtype.
        lengths : array_like of int, optional
            (batch,), each from 0 to seq, in any order.

        Returns
        -------
        y : ndarray
            (batch, hidden_size).
        tape : GrConvTape
            What ``backward`` needs. It has copies of its own: the arrays and the weights may change
            before ``backward``.

        Raises
        ------
        ValueError
            For wrong shapes or lengths; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        result: tuple[Array, Any] = self._core.forward(x, lengths)
        return result

    def backward(self, tape: GrConvTape, dy: ArrayLike) -> GrConvGradients:
        """Compute the gradients of a loss from its gradient of y.

        Parameters
        ----------
        tape : GrConvTape
            What ``forward`` returned. It may be used again.
        dy : array_like
            The gradient of y, in its shape.

        Returns
        -------
        GrConvGradients
            ``x`` and ``weights``.

        Raises
        ------
        ValueError
            For the tape of another layer or a wrong shape.
        TypeError
            For another dtype or kind.
        """
        check_tape(tape, self.dtype, _core.GrConvTape32, _core.GrConvTape64)
        return GrConvGradients(*self._core.backward(tape, dy))

    def __repr__(self) -> str:
        return (
            f"GatedRecursiveConv({self.input_size}, {self.hidden_size}, "
            f"activation={self.activation!r}, dtype={self.dtype})"
        )


def draw_gates(
    gates: Sequence[ArrayLike],
    words: Sequence[str] | None = None,
    sequence: int = 0,
    path: str | PathLike[str] | None = None,
) -> str:
    """Draw the pyramid of one sequence from the gates of a ``GatedRecursiveConv``.

    Each pair shows its strongest gate: ``^`` where a new unit was made, ``/`` where the left
    neighbour was passed on, and ``\\`` where the right one was.

    Parameters
    ----------
    gates : sequence of array_like
        What ``layer(x, return_gates=True)`` returned second.
    words : sequence of str, optional
        What stands below the pyramid. Their number is the sequence's length; without them it is the
        longest one.
    sequence : int, optional
        Which one of the batch.
    path : str or path_like, optional
        A file to draw the pyramid to as well, with lines as dark as their gates. It needs
        matplotlib.

    Returns
    -------
    str
        The drawing as text.

    Raises
    ------
    ValueError
        For gates of wrong shapes, and for a sequence or words that do not fit.
    ImportError
        For a path where matplotlib is missing.
    OSError
        For a path that cannot be written.
    """
    levels = [_core.numpy_array(f"gates[{k}]", level, "numbers") for k, level in enumerate(gates)]
    for k, level in enumerate(levels):
        if level.ndim != 3 or len(level) != len(levels) - k or level.shape[2] != 3:
            raise ValueError(
                f"gates[{k}] has shape {level.shape}; expected ({len(levels) - k}, batch, 3)"
            )
    batch = levels[0].shape[1] if levels else sequence + 1
    if not 0 <= sequence < batch:
        raise ValueError(f"sequence is {sequence}; expected 0 to {batch - 1}")
    length = len(levels) + 1 if words is None else len(words)
    if not 1 <= length <= len(levels) + 1:
        raise ValueError(f"words are {length}; expected 1 to {len(levels) + 1}")
    names = [str(t) for t in range(length)] if words is None else [str(word) for word in words]
    own = [level[: length - 1 - k, sequence] for k, level in enumerate(levels[: length - 1])]

    width = max(len(name) for name in names) + 1
    width += width % 2  # half of it is the step from level to level
    rows = [
        " " * (width // 2 * (k + 1)) + "".join("^/\\"[int(g.argmax())].center(width) for g in level)
        for k, level in enumerate(own)
    ]
    bottom = "".join(name.center(width) for name in names)
    if path is not None:
        _draw_file(own, names, path)
    return "\n".join(row.rstrip() for row in [*reversed(rows), bottom])


def _draw_file(own: list[Array], names: list[str], path: str | PathLike[str]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1 + 0.8 * len(names), 1 + 0.6 * len(names)))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for k, level in enumerate(own):
        for j, (new, left, right) in enumerate(level):
            at = (j + (k + 1) / 2, k + 1)
            for gate, x in ((left, at[0] - 0.5), (right, at[0] + 0.5)):
                axes.plot([x, at[0]], [k, at[1]], color="black", alpha=float(gate), zorder=1)
            axes.scatter(*at, s=80, color=str(1 - float(new)), edgecolors="black", zorder=2)
    for j, name in enumerate(names):
        axes.text(j, -0.15, name, ha="center", va="top")
    axes.set_axis_off()
    axes.set_ylim(-1, len(names))
    figure.savefig(path, bbox_inches="tight")
