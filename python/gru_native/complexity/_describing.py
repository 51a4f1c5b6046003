"""Layers without weights: the same arguments, the same errors, and nothing that costs memory."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from .. import _core, layers, losses
from ._parts import tensors_of
from ._stack import counted


class _NoEdit:
    """Of no weights: none are drawn."""

    def names(self) -> list[str]:
        return []

    def end(self) -> None:
        pass

    def cancel(self) -> None:
        pass


class _NoCore:
    """In the place of the core's layer."""

    def weights(self) -> dict[str, Any]:
        raise TypeError("a description has no weights; expected a layer")

    def edit(self) -> _NoEdit:
        return _NoEdit()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # asked by Python itself
            raise AttributeError(name)
        raise TypeError("a description has no weights to compute with; expected a layer")

    def __call__(self, *arguments: object) -> NoReturn:
        raise TypeError("a description has no weights to compute with; expected a layer")


_CHECKS: dict[type, Callable[..., None]] = {
    _core.Layer32: lambda **options: _core.check_block(options),
    _core.Dense32: lambda **options: _core.check_block({"type": "Dense", **options}),
    _core.Operation32: lambda **options: _core.check_block(options),
    _core.TreeLayer32: _core.check_tree,
    _core.Graph32: _core.check_graph,
    _core.GrConv32: _core.check_grconv,
    _core.Readout32: _core.check_readout,
    _core.OutputRnn32: _core.check_output_rnn,
    _core.AttentionDecoder32: _core.check_attention_decoder,
}


class _Described:
    """Before a layer's class: its constructor then checks all that it checks, but makes nothing."""

    def _core_type(self, single: type, double: type) -> Any:
        def make(**options: Any) -> _NoCore:
            _CHECKS[single](**options)
            return _NoCore()

        return make

    def stream(self, *arguments: Any, **options: Any) -> NoReturn:
        """Refuse: a description has no weights to compute with.

        Parameters
        ----------
        *arguments, **options : object
            Not used.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError("a description has no weights to compute with; expected a layer")

    def _own_weights(self) -> dict[str, Any]:
        return {}

    def _take_weights(self, weights: dict[str, Any]) -> None:
        pass

    def _few_bits(self) -> str | None:
        return None

    @property
    def num_parameters(self) -> int:
        """The number of weights that a layer of this description has."""
        return sum(n * t.size for t, n in counted(tensors_of(self)))


K = TypeVar("K", bound=type)


def _documented(kind: K) -> K:
    """The class with the parameters, errors and notes of the layer that it describes."""
    own = inspect.getdoc(kind) or ""
    of = layers.__name__, losses.__name__
    layer = next(base for base in kind.__mro__[1:] if base.__module__.startswith(of))
    _, heading, rest = (inspect.getdoc(layer) or "").partition("Parameters\n")
    kind.__doc__ = f"{own}\n\n{heading}{rest}"
    return kind


class _DescribedSoftmax(_Described):
    """The same before the class of a softmax over a large vocabulary."""

    _make: str

    def _maker(self) -> Callable[..., _NoCore]:
        check: Callable[..., None] = getattr(_core.LargeSoftmaxCheck, self._make)

        def make(*options: Any) -> _NoCore:
            check(*options)
            return _NoCore()

        return make


class _Container:
    """Before a container's class: its blocks may be descriptions."""

    _counted: Callable[[], int]

    @property
    def num_parameters(self) -> int:
        """The number of weights that all blocks have."""
        return self._counted()


@_documented
class Chain(_Container, layers.Chain):
    """Describe a ``gru_native.Chain`` of layers with or without weights, for ``count``."""


@_documented
class Residual(_Container, layers.Residual):
    """Describe a ``gru_native.Residual`` of a layer with or without weights, for ``count``."""


@_documented
class Parallel(_Container, layers.Parallel):
    """Describe a ``gru_native.Parallel`` of layers with or without weights, for ``count``."""


@_documented
class RNN(_Described, layers.RNN):
    """Describe a ``gru_native.RNN`` that has no weights, for ``count``."""


@_documented
class LSTM(_Described, layers.LSTM):
    """Describe a ``gru_native.LSTM`` that has no weights, for ``count``."""


@_documented
class GRU(_Described, layers.GRU):
    """Describe a ``gru_native.GRU`` that has no weights, for ``count``."""


@_documented
class Dense(_Described, layers.Dense):
    """Describe a ``gru_native.Dense`` that has no weights, for ``count``."""


@_documented
class Activation(_Described, layers.Activation):
    """Describe a ``gru_native.Activation`` that has no weights, for ``count``."""


@_documented
class LayerNorm(_Described, layers.LayerNorm):
    """Describe a ``gru_native.LayerNorm`` that has no weights, for ``count``."""


@_documented
class BatchNorm1d(_Described, layers.BatchNorm1d):
    """Describe a ``gru_native.BatchNorm1d`` that has no weights, for ``count``."""


@_documented
class Embedding(_Described, layers.Embedding):
    """Describe a ``gru_native.Embedding`` that has no weights, for ``count``."""


@_documented
class Conv1d(_Described, layers.Conv1d):
    """Describe a ``gru_native.Conv1d`` that has no weights, for ``count``."""


@_documented
class Image(_Described, layers.Image):
    """Describe a ``gru_native.Image``, for ``count``."""


@_documented
class Columns(_Described, layers.Columns):
    """Describe a ``gru_native.Columns``, for ``count``."""


@_documented
class Conv2d(_Described, layers.Conv2d):
    """Describe a ``gru_native.Conv2d`` that has no weights, for ``count``."""


@_documented
class MaxPool2d(_Described, layers.MaxPool2d):
    """Describe a ``gru_native.MaxPool2d``, for ``count``."""


@_documented
class AvgPool2d(_Described, layers.AvgPool2d):
    """Describe a ``gru_native.AvgPool2d``, for ``count``."""


@_documented
class BatchNorm2d(_Described, layers.BatchNorm2d):
    """Describe a ``gru_native.BatchNorm2d`` that has no weights, for ``count``."""


@_documented
class MaxPool1d(_Described, layers.MaxPool1d):
    """Describe a ``gru_native.MaxPool1d``, for ``count``."""


@_documented
class AvgPool1d(_Described, layers.AvgPool1d):
    """Describe a ``gru_native.AvgPool1d``, for ``count``."""


@_documented
class Pool(_Described, layers.Pool):
    """Describe a ``gru_native.Pool``, for ``count``."""


@_documented
class OutputRNN(_Described, layers.OutputRNN):
    """Describe a ``gru_native.OutputRNN`` that has no weights, for ``count``."""


@_documented
class GatedRecursiveConv(_Described, layers.GatedRecursiveConv):
    """Describe a ``gru_native.GatedRecursiveConv`` that has no weights, for ``count``."""


@_documented
class ChildSumTreeLSTM(_Described, layers.ChildSumTreeLSTM):
    """Describe a ``gru_native.ChildSumTreeLSTM`` that has no weights, for ``count_tree``."""


@_documented
class NaryTreeLSTM(_Described, layers.NaryTreeLSTM):
    """Describe a ``gru_native.NaryTreeLSTM`` that has no weights, for ``count_tree``."""


@_documented
class GatedGraph(_Described, layers.GatedGraph):
    """Describe a ``gru_native.GatedGraph`` that has no weights, for ``count_graph``."""


@_documented
class NodeScores(_Described, layers.NodeScores):
    """Describe a ``gru_native.NodeScores`` that has no weights, for ``count_readout``."""


@_documented
class GraphSum(_Described, layers.GraphSum):
    """Describe a ``gru_native.GraphSum`` that has no weights, for ``count_readout``."""


@_documented
class AttentionDecoder(_Described, layers.AttentionDecoder):
    """Describe a ``gru_native.AttentionDecoder`` that has no weights, for ``count_decoder``."""


@_documented
class SampledSoftmax(_DescribedSoftmax, losses.SampledSoftmax):
    """Describe a ``losses.SampledSoftmax`` without weights, for ``count_large_softmax``."""


@_documented
class NoiseContrastive(_DescribedSoftmax, losses.NoiseContrastive):
    """Describe a ``losses.NoiseContrastive`` without weights, for ``count_large_softmax``."""


@_documented
class ClassSoftmax(_DescribedSoftmax, losses.ClassSoftmax):
    """Describe a ``losses.ClassSoftmax`` without weights, for ``count_large_softmax``."""


@_documented
class TreeSoftmax(_DescribedSoftmax, losses.TreeSoftmax):
    """Describe a ``losses.TreeSoftmax`` without weights, for ``count_large_softmax``."""
