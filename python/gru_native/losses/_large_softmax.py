"""What the softmax layers over large vocabularies share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import _core
from ..layers._arguments import (
    check_tape,
    flag,
    float_dtype,
    memory_for,
    number,
    of_dtype,
    size,
    text,
)
from ..layers._row_gradient import RowGradient
from ..layers._weights import Array, Weighted
from ..layers.dense import Dense

LargeSoftmaxTape: TypeAlias = _core.LargeSoftmaxTape32 | _core.LargeSoftmaxTape64
Proposal: TypeAlias = "str | Array"


class LargeSoftmaxGradients(NamedTuple):
    """What ``backward`` of a large softmax returns.

    Attributes
    ----------
    x : ndarray
        The gradient of x, in its shape; 0 where the target was ignored.
    weights : dict of str to ndarray or RowGradient
        The gradient of each weight, by its name: of ``weight`` and ``bias`` that of the rows that
        the step has looked at, for ``gru_native.optim`` and ``clip_gradients``.
    """

    x: Array
    weights: dict[str, Array | RowGradient]


class LargeSoftmax(Weighted):
    """What all of them share. ``_make`` is the core's function that makes one."""

    _make: str
    input_size: int
    vocab_size: int
    bias: bool

    def _set_up(
        self,
        input_size: int,
        vocab_size: int,
        bias: bool,
        dtype: DTypeLike,
        seed: int | None,
        *options: Any,
    ) -> None:
        self.dtype = float_dtype(dtype)
        self.input_size = size("input_size", input_size)
        self.vocab_size = size("vocab_size", vocab_size)
        self.bias = flag("bias", bias)
        sizes = {"input_size": self.input_size, "vocab_size": self.vocab_size}
        with memory_for("the weights", **sizes):
            self._core: _core.LargeSoftmax32 | _core.LargeSoftmax64 = self._maker()(
                *sizes.values(), self.bias, *options
            )
        super().__init__(seed, self.input_size**-0.5)

    def _maker(self) -> Callable[..., Any]:
        """What makes its core, or one that is made already, as that of a file. What only
        describes a layer makes none."""
        if (made := vars(self).get("_made")) is not None:
            return lambda *options: made
        kind = of_dtype(self.dtype, _core.LargeSoftmax32, _core.LargeSoftmax64)
        make: Callable[..., Any] = getattr(kind, self._make)
        return make

    def __call__(self, x: ArrayLike, targets: ArrayLike, *, ignore: int | None = None) -> float:
        """Compute the mean of -log p(target | x), exactly.

        Parameters
        ----------
        x : array_like
            (..., input_size), of the layer's dtype.
        targets : array_like of int
            (...), each a word, 0 to vocab_size - 1.
        ignore : int, optional
            Rows with this target, such as padding, count for nothing.

        Returns
        -------
        float
            In nats; its exponential is the perplexity. 0.0 if all rows are ignored.

        Raises
        ------
        ValueError
            For a target outside the vocabulary, for wrong shapes, and for a row that has no softmax
            (NaN).
        TypeError
            For another dtype or kind.
        """
        return self._core(x, targets, None if ignore is None else size("ignore", ignore))

    def forward(
        self,
        x: ArrayLike,
        targets: ArrayLike,
        *,
        ignore: int | None = None,
        seed: int | None = None,
    ) -> tuple[float, LargeSoftmaxTape]:
        """Compute the loss of training, and a tape for ``backward``.

        Parameters
        ----------
        x : array_like
            (..., input_size), of the layer's dtype.
        targets : array_like of int
            (...), each a word, 0 to vocab_size - 1.
        ignore : int, optional
            Rows with this target, such as padding, add nothing to the loss and have no gradient.
        seed : int, optional
            From 0, what samples are drawn from, where the layer draws any; they depend on nothing
            else. None takes another one for each call, from the layer's own random numbers.

        Returns
        -------
        loss : float
            The mean over all rows that are not ignored, in nats.
        tape : LargeSoftmaxTape
            What ``backward`` needs. It has copies of its own: the arrays and the weights may change
            before ``backward``.

        Raises
        ------
        ValueError
            As when calling the layer; and for a seed below 0.
        TypeError
            For another dtype or kind.
        """
        if seed is None:
            drawn = int(self._random.integers(2**63))
        else:
            drawn = size("seed", seed)
            if drawn < 0:
                raise ValueError(f"seed is {seed}; expected a whole number from 0 or None")
        result: tuple[float, Any] = self._core.forward(
            x, targets, None if ignore is None else size("ignore", ignore), drawn
        )
        return result

    def backward(self, tape: LargeSoftmaxTape, dloss: float = 1.0) -> LargeSoftmaxGradients:
        """Compute the gradients of the loss.

        Parameters
        ----------
        tape : LargeSoftmaxTape
            What ``forward`` returned. It may be used again.
        dloss : float, default 1.0
            The gradient of the loss itself: its weight among several.

        Returns
        -------
        LargeSoftmaxGradients
            ``x`` and ``weights``.

        Raises
        ------
        ValueError
            For the tape of another layer.
        TypeError
            For what is no tape.
        """
        check_tape(tape, self.dtype, _core.LargeSoftmaxTape32, _core.LargeSoftmaxTape64)
        dx, weights = self._core.backward(tape, number("dloss", dloss))
        return LargeSoftmaxGradients(
            dx,
            {
                name: RowGradient(*value) if isinstance(value, tuple) else value
                for name, value in weights.items()
            },
        )

    def log_probability(self, x: ArrayLike, ids: ArrayLike | None = None) -> Array:
        """Compute log p(word | x), exactly.

        Parameters
        ----------
        x : array_like
            (..., input_size), of the layer's dtype.
        ids : array_like of int, optional
            (...) or (..., n): a word, or some words, of each row. None: all words.

        Returns
        -------
        ndarray
            In the shape of ``ids``, or (..., vocab_size). A row with NaN has NaN.

        Raises
        ------
        ValueError
            For an id outside the vocabulary and for wrong shapes.
        TypeError
            For another dtype or kind.
        """
        return self._core.log_probability(x, ids)

    def top_k(self, x: ArrayLike, k: int) -> tuple[NDArray[np.int64], Array]:
        """Find the most probable words.

        Parameters
        ----------
        x : array_like
            (..., input_size), of the layer's dtype.
        k : int
            How many, 1 to vocab_size.

        Returns
        -------
        ids : ndarray of int64
            (..., k), the most probable first; of equal ones that with the lower number.
        log_p : ndarray
            (..., k), the logarithms of their probabilities.

        Raises
        ------
        ValueError
            For a k out of range and for wrong shapes.
        TypeError
            For another dtype or kind.
        """
        return self._core.top_k(x, size("k", k))

    def _named(self, *options: str) -> str:
        bias = [] if self.bias else ["bias=False"]
        parts = [str(self.input_size), str(self.vocab_size), *options, *bias, f"dtype={self.dtype}"]
        return f"{type(self).__name__}({', '.join(parts)})"


class Sampling(LargeSoftmax):
    """What those share that draw words."""

    num_samples: int
    proposal: Proposal

    def _set_up_sampling(
        self,
        input_size: int,
        vocab_size: int,
        num_samples: int,
        proposal: str | ArrayLike,
        bias: bool,
        dtype: DTypeLike,
        seed: int | None,
    ) -> None:
        self.num_samples = size("num_samples", num_samples)
        is_name = isinstance(proposal, str)
        self.proposal = text("proposal", proposal) if is_name else of_words("proposal", proposal)
        given = self.proposal if isinstance(self.proposal, str) else self.proposal.tolist()
        self._set_up(input_size, vocab_size, bias, dtype, seed, self.num_samples, given)

    def dense(self) -> Dense:
        """Return a dense layer with copies of the weights, whose softmax is this one's.

        Returns
        -------
        Dense
            With activation ``"log_softmax"``: for chains, streams, files and weights of few bits.
        """
        layer = Dense(
            self.input_size,
            self.vocab_size,
            bias=self.bias,
            activation="log_softmax",
            dtype=self.dtype,
            seed=0,
        )
        layer.load_state_dict(self.state_dict())
        return layer

    def __repr__(self) -> str:
        proposal = repr(self.proposal) if isinstance(self.proposal, str) else "counts"
        return self._named(str(self.num_samples), f"proposal={proposal}")


def of_words(name: str, value: ArrayLike, *, whole: bool = False) -> Array:
    """A number for each word, as a read-only copy; what they may be, the core knows."""
    expected = "whole numbers" if whole else "numbers"
    array = _core.numpy_array(name, value, expected)
    if array.dtype.kind not in ("iu" if whole else "fiu"):
        raise TypeError(f"{name} has dtype {array.dtype}; expected {expected}")
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; expected (vocab_size,)")
    own = array.astype(np.int64 if whole else np.float64)
    own.setflags(write=False)
    return own


def listed(name: str, array: Array | None, vocab_size: int) -> list[Any]:
    """What the core takes for an array of_words; nothing stands for None."""
    numbers: list[Any] = [] if array is None else array.tolist()
    if array is not None and not numbers:
        raise ValueError(f"{name} has shape (0,); expected (vocab_size={vocab_size},)")
    return numbers
