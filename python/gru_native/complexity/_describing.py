"""Layers without weights: the same arguments, the same errors, and nothing that costs memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from .. import _core, layers
from ._parts import tensors_of


class _NoEdit:
    """Of no weights: none are drawn."""

    def weights(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
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


def _check_layer(*, cell: str, **options: Any) -> None:
    kind, _, nonlinearity = cell.partition("_")
    block = {"type": kind.upper(), **options}
    _core.check_block({**block, "nonlinearity": nonlinearity} if nonlinearity else block)


def _check_dense(**options: Any) -> None:
    _core.check_block({"type": "Dense", **options})


_CHECKS: dict[type, Callable[..., None]] = {
    _core.Layer32: _check_layer,
    _core.Dense32: _check_dense,
    _core.TreeLayer32: _core.check_tree,
    _core.Graph32: _core.check_graph,
    _core.GrConv32: _core.check_grconv,
    _core.Readout32: _core.check_readout,
    _core.OutputRnn32: _core.check_output_rnn,
}


class _Described:
    """Before a layer's class: its constructor then checks all that it checks, but makes nothing."""

    def _core_type(self, single: type, double: type) -> Any:
        def make(**options: Any) -> _NoCore:
            _CHECKS[single](**options)
            return _NoCore()

        return make

    @property
    def num_parameters(self) -> int:
        """The number of weights that a layer of this description has, biases included."""
        return sum(t.size for t in tensors_of(self))


class Chain(layers.Chain):
    """As gru_native.Chain; of descriptions, it has no weights."""

    @property
    def num_parameters(self) -> int:
        """The number of weights, biases included."""
        return sum(block.num_parameters for block in self.blocks)


class RNN(_Described, layers.RNN):
    """As gru_native.RNN, but without weights: for counting, see ``count``."""


class LSTM(_Described, layers.LSTM):
    """As gru_native.LSTM, but without weights: for counting, see ``count``."""


class GRU(_Described, layers.GRU):
    """As gru_native.GRU, but without weights: for counting, see ``count``."""


class Dense(_Described, layers.Dense):
    """As gru_native.Dense, but without weights: for counting, see ``count``."""


class OutputRNN(_Described, layers.OutputRNN):
    """As gru_native.OutputRNN, but without weights: for counting, see ``count``."""


class GatedRecursiveConv(_Described, layers.GatedRecursiveConv):
    """As gru_native.GatedRecursiveConv, but without weights: for counting, see ``count``."""


class ChildSumTreeLSTM(_Described, layers.ChildSumTreeLSTM):
    """As gru_native.ChildSumTreeLSTM, but without weights: for counting, see ``count_tree``."""


class NaryTreeLSTM(_Described, layers.NaryTreeLSTM):
    """As gru_native.NaryTreeLSTM, but without weights: for counting, see ``count_tree``."""


class GatedGraph(_Described, layers.GatedGraph):
    """As gru_native.GatedGraph, but without weights: for counting, see ``count_graph``."""


class NodeScores(_Described, layers.NodeScores):
    """As gru_native.NodeScores, but without weights: for counting, see ``count_readout``."""


class GraphSum(_Described, layers.GraphSum):
    """As gru_native.GraphSum, but without weights: for counting, see ``count_readout``."""
