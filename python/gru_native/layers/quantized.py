"""Layers with weights of few bits: how they are made, and how far they are from full precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from .._core import a_type
from ._arguments import text
from ._weights import Array

Q = TypeVar("Q", bound="Quantizable")


class Quantizable:
    """A layer, or a chain of layers, that has a form for inference with weights of few bits."""

    _core: Any
    dtype: np.dtype[Any]
    _copies: Callable[[], dict[str, Any]]
    load_state_dict: Callable[..., None]

    @property
    def precision(self) -> str:
        """Of the weights: ``"float32"``, ``"float64"``, or what ``quantize`` made of them."""
        own: str = self._core.precision
        return self.dtype.name if own == "full" else own

    def quantize(self: Q, precision: str) -> Q:
        """Make a layer of the same class for inference, with the weights of now in few bits.

        Weight matrices are read at every step, so at batch 1, where they come from a cache or from
        memory, a step takes about as long as reading them.

        Parameters
        ----------
        precision : {"int8", "bf16"}
            ``"int8"``: whole numbers from -127 to 127 with one scale for each row of a matrix, a
            quarter of the bytes. What is multiplied by them is rounded to whole numbers, too, with
            a scale of its own for each row of the batch at each step: max abs / 127. Sums are
            exact, so every machine has the same products. A row with NaN or infinity in it gives
            NaN; other rows do not notice. Matrices of at most 28 columns and 64 KB of float32 are
            multiplied as floats of the same values, which is faster.
            ``"bf16"``: the upper half of each float32, half of the bytes. Sums are float32. On
            CPUs with AVX512_BF16 what is multiplied is rounded to bf16, too.

        Returns
        -------
        layer
            It takes what calls of this one take, streams, and is saved with its few bits. Biases
            and other vectors stay float32. ``weights`` has the numbers that its bits stand for. It
            cannot be trained or edited.

        Raises
        ------
        TypeError
            The layer has float64 weights, or `precision` is no text.
        ValueError
            `precision` is neither, the layer is quantized already, or a weight is NaN or infinite.
        """
        if self.dtype != np.float32:
            raise TypeError(
                f"the layer has {self.dtype} weights; expected float32: only these are quantized"
            )
        return self._but(self._quantized(text("precision", precision)))

    def _but(self: Q, attributes: dict[str, Any]) -> Q:
        """One that differs in these attributes."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        vars(other).update(attributes)
        return other

    def _of_stored(self: Q, precision: str, tensors: dict[str, Any]) -> Q:
        """This one with other weights, or one of few bits: of tensors as ``_stored`` gives them."""
        if precision != "full":
            return self._of_few_bits(precision, tensors)
        self.load_state_dict(tensors)
        return self

    def _of_few_bits(self: Q, precision: str, tensors: dict[str, Any]) -> Q:
        """One with the same options and these tensors, as files have them."""
        return self._but({"_core": self._core.with_tensors(precision, tensors)})

    def _few_bits(self) -> str | None:
        own: str = self._core.precision
        return None if own in ("full", "mixed") else own

    def _stored(self) -> dict[str, Any]:
        full = self.precision in ("float32", "float64")
        stored: dict[str, Any] = self._copies() if full else self._core.stored()
        return stored

    def _parts(self, result: Any) -> list[tuple[str, Array]]:
        """What a call returned, by name: first its output."""
        if not isinstance(result, tuple):
            return [("output", result)]
        output, states = result
        layers = [(f"state of layer {k}", h) for k, h in enumerate(_layers(states))]
        return [("output", output), *layers]

    def _quantized(self, precision: str) -> dict[str, Any]:
        """The attributes in which the quantized layer differs."""
        return {"_core": self._core.quantize(precision)}


class Difference(NamedTuple):
    """How far some numbers are from those of full precision.

    Attributes
    ----------
    what : str
        ``"output"``, or ``"state of layer 1"`` and the like; in a chain behind its block. A
        Tree-LSTM has ``"h"`` and ``"c"``.
    largest : float
        The largest absolute difference.
    mean : float
        The mean absolute difference.
    size : float
        The largest absolute number at full precision, to compare with.
    """

    what: str
    largest: float
    mean: float
    size: float

    def __str__(self) -> str:
        return (
            f"{self.what}: differs by {self.largest:.3g} at most, {self.mean:.3g} in the mean, "
            f"with values up to {self.size:.3g}"
        )


def compare(layer: Any, fast: Any, x: ArrayLike, **call: Any) -> tuple[Difference, ...]:
    """Compare a layer or chain with its quantized form on the same inputs.

    Parameters
    ----------
    layer, fast : layer or Chain
        The layer, and what ``layer.quantize`` made of it.
    x : array_like
        Inputs, as calls take them: the more like those of later use, the more it says. Of a graph
        the annotations, of its readouts h.
    **call
        Other arguments of a call, such as ``lengths``, ``parents`` or ``edge_index``.

    Returns
    -------
    tuple of Difference
        For each block of a chain in turn, which gets what the block before it made: its outputs,
        then the final state of each of its layers. Printed, each is a line.

    Raises
    ------
    TypeError
        If they are not of the same class, or not layers.
    ValueError
        As calls of the layer do.

    Examples
    --------
    >>> import numpy as np, gru_native
    >>> lstm = gru_native.LSTM(16, 64, seed=0)
    >>> x = np.random.default_rng(0).standard_normal((50, 4, 16), np.float32)
    >>> output, state = gru_native.compare(lstm, lstm.quantize("int8"), x)
    >>> output.largest < 0.02
    True
    """
    if type(layer) is not type(fast) or not isinstance(layer, Quantizable):
        kinds = f"layer is {a_type(layer)} and fast {a_type(fast)}"
        raise TypeError(f"{kinds}; expected a layer and what its quantize() made of it")
    blocks = getattr(layer, "blocks", (layer,))
    differences: list[Difference] = []
    exact: Any = x
    rounded: Any = x
    for i, (block, its_fast) in enumerate(
        zip(blocks, getattr(fast, "blocks", (fast,)), strict=True)
    ):
        where = f"block {i}, " if hasattr(layer, "blocks") else ""
        own, its = _parts(block, block(exact, **call)), _parts(block, its_fast(rounded, **call))
        exact, rounded = own[0][1], its[0][1]
        differences += [
            _difference(where + what, one, two)
            for (what, one), (_, two) in zip(own, its, strict=True)
        ]
    return tuple(differences)


def _parts(block: Any, result: Any) -> list[tuple[str, Array]]:
    """What a call returned, by name: first its output. A block that has no few bits is one, too."""
    if isinstance(block, Quantizable):
        return block._parts(result)
    return [("output", result)]


def _layers(state: Array | tuple[Array, Array]) -> Iterator[Array]:
    """What belongs to each layer and direction of a final state: h, and c where there is one."""
    parts = state if isinstance(state, tuple) else (state,)
    for each in zip(*parts, strict=True):
        yield np.concatenate([part.ravel() for part in each])


def _difference(what: str, exact: Array, rounded: Array) -> Difference:
    apart = np.abs(np.asarray(exact) - np.asarray(rounded))
    return Difference(what, float(apart.max()), float(apart.mean()), float(np.abs(exact).max()))
