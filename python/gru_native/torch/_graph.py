"""Modules that hold known layers: torch.fx follows their forward, and a chain comes out.

Values of a forward have three axes: batch N, steps L and features C, in an order that its modules
tell: a convolution reads (N, C, L), a linear layer has C last, and a recurrent one says by
batch_first. Transposing changes the order and nothing else, so a chain, where it is always the
same, has no block for it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx, nn

from .. import layers
from ..layers._series import Series, joined
from ._blocks import NOTHING

Axes = tuple[int, ...]  # of a value: numbers of the axes of the input, in this order

_ADDS = (operator.add, operator.iadd, torch.add, "add", "add_")
_MULTIPLIES = (operator.mul, operator.imul, torch.mul, "mul", "mul_")
_FUNCTIONS: dict[Any, str] = {
    torch.relu: "relu",
    torch.tanh: "tanh",
    torch.sigmoid: "sigmoid",
    nn.functional.relu: "relu",
    nn.functional.tanh: "tanh",
    nn.functional.sigmoid: "sigmoid",
    nn.functional.softsign: "softsign",
    "relu": "relu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
}
_SAME = (nn.functional.dropout, "contiguous", "clone", torch.clone)


class _Tracer(fx.Tracer):
    """Goes into all modules but those of PyTorch and of this package."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        own = isinstance(m, nn.RNNBase)
        return own or super().is_leaf_module(m, module_qualified_name)


class _Value:
    """What a node gives: the node that a block comes from, its axes, and what of a layer it is."""

    def __init__(self, node: str, axes: Axes, part: tuple[int, ...] | None = None) -> None:
        self.node, self.axes, self.part = node, axes, part  # part: (), (0,), (1,), (1, 0), ...


class Follower:
    """The nodes of a graph as values, and as nodes of a series."""

    def __init__(self, root: nn.Module, convert: Callable[[nn.Module, bool, Any], Any]) -> None:
        self._convert = convert
        self._letters: dict[int, str] = {}
        self._values: dict[str, _Value] = {}
        self._nodes: list[tuple[str, Sequence[str]]] = []
        self._blocks: dict[str, Callable[[bool, Any], list[Any]]] = {}
        self._joins: dict[str, str] = {}
        self._root = root
        self._dtype = next(
            (p.dtype for p in root.parameters() if p.dtype.is_floating_point), torch.float32
        )

    def chain(self) -> layers.Chain:
        try:
            graph = _Tracer().trace(self._root)
        except Exception as error:
            kind = type(self._root).__name__
            raise ValueError(f"forward of {kind} cannot be followed: {error}") from error
        begin = ""
        for node in graph.nodes:
            if node.op == "placeholder":
                if begin and (node.users or not node.args):
                    raise ValueError(f"forward has {node.name!r}, too; expected one input")
                if not begin:
                    begin = node.name
                    self._values[begin] = _Value(begin, (0, 1, 2))
            elif node.op == "output":
                end = self._end(node.args[0])
            else:
                self._follow(node)
        order = {letter: axis for axis, letter in self._letters.items()}
        batch_first = "N" in order and order["N"] < order["L"]
        dtype = "float64" if self._dtype == torch.float64 else "float32"
        self._nodes = self._needed(end)
        blocks = Series(begin, self._nodes).blocks(
            end,
            lambda name: self._blocks[name](batch_first, dtype),
            lambda name, paths: [joined(paths, self._joins[name], batch_first, dtype)],
        )
        return layers.Chain(blocks)

    def _needed(self, end: str) -> list[tuple[str, Sequence[str]]]:
        """The nodes that the output comes from."""
        inputs = dict(self._nodes)
        needed, left = set(), [end]
        while left:
            name = left.pop()
            if name not in needed and name in inputs:
                needed.add(name)
                left += inputs[name]
        return [(name, own) for name, own in self._nodes if name in needed]

    def _end(self, result: Any) -> str:
        """The output; of a tuple, as recurrent modules give them, the first one."""
        while isinstance(result, (tuple, list)) and result:
            result = result[0]
        if isinstance(result, fx.Node) and result.name in self._values:
            own = self._values[result.name]
            if own.part == ():
                return own.node
        return self._value(result, "the output").node

    def _value(self, node: Any, where: str) -> _Value:
        if not isinstance(node, fx.Node) or node.name not in self._values:
            raise ValueError(f"{where} reads {str(node)[:60]}; expected the output of a block")
        value = self._values[node.name]
        if value.part not in (None, (0,)):
            raise ValueError(f"{where} reads a state of {value.node!r}; a Chain has no such paths")
        return value

    def _are(self, value: _Value, order: str, where: str) -> None:
        """The axes must be these: "NCL", or "C" for the last one alone."""
        axes = value.axes[-len(order) :]
        for axis, letter in zip(axes, order, strict=True):
            if self._letters.setdefault(axis, letter) != letter or any(
                own == letter and other != axis for other, own in self._letters.items()
            ):
                raise ValueError(
                    f"{where} reads axes in another order than the modules before it; "
                    "expected a transpose between"
                )

    # --- nodes

    def _follow(self, node: fx.Node) -> None:
        where = f"{node.target if node.op == 'call_module' else node.name!s}"
        if node.op == "call_module":
            self._module(node, where)
        elif node.target is operator.getitem:
            self._item(node, where)
        elif node.target in ("transpose", "permute", torch.transpose, torch.permute, "swapaxes"):
            value, axes = self._value(node.args[0], where), node.args[1:]
            self._values[node.name] = _Value(value.node, self._turned(value.axes, node, axes))
        elif node.target in (*_ADDS, *_MULTIPLIES, torch.cat, torch.concat):
            self._join(node, where)
        elif node.target in _FUNCTIONS:
            name = _FUNCTIONS[node.target]
            self._add(
                node,
                where,
                lambda first, dtype: [layers.Activation(name, batch_first=first, dtype=dtype)],
            )
        elif node.target in _SAME:
            self._values[node.name] = self._value(node.args[0], where)
        elif node.target in ("mean", torch.mean, "amax", torch.amax, "max", torch.max):
            self._pool(node, where)
        else:
            raise ValueError(f"forward calls {node.target!s}, which no block of a chain stands for")

    def _add(self, node: fx.Node, where: str, make: Callable[[bool, Any], list[Any]]) -> _Value:
        value = self._value(node.args[0], where)
        self._nodes.append((node.name, [value.node]))
        self._blocks[node.name] = make
        self._values[node.name] = _Value(node.name, value.axes)
        return value

    def _module(self, node: fx.Node, where: str) -> None:
        module = self._root.get_submodule(str(node.target))
        if len(node.args) != 1 or node.kwargs:
            raise ValueError(f"{where} is called with more than one input; expected one")
        if isinstance(module, NOTHING):
            self._values[node.name] = self._value(node.args[0], where)
            return

        def make(first: bool, dtype: Any) -> list[Any]:
            try:
                return [self._convert(module, first, self._dtype)]
            except (TypeError, ValueError) as error:
                raise type(error)(f"{where}: {error}") from None

        value = self._add(node, where, make)
        if isinstance(module, (nn.Conv1d, nn.MaxPool1d, nn.AvgPool1d)):
            self._are(value, "NCL", where)
        elif isinstance(module, nn.RNNBase):
            self._are(value, "NLC" if module.batch_first else "LNC", where)
            self._values[node.name].part = ()
        elif isinstance(module, nn.Embedding):
            self._values[node.name].axes = (*value.axes[:2], 2)
            self._letters.setdefault(2, "C")
        elif not isinstance(module, nn.BatchNorm1d) and hasattr(module, "weight"):
            self._are(value, "C", where)

    def _item(self, node: fx.Node, where: str) -> None:
        source, key = node.args
        value = self._values.get(source.name) if isinstance(source, fx.Node) else None
        if value is None:
            raise ValueError(f"{where} reads {str(source)[:60]}; expected the output of a block")
        if value.part is not None and value.part != (0,) and isinstance(key, int):
            part = (*value.part, key)
            if part == (0,):
                self._values[node.name] = _Value(value.node, value.axes)
            else:
                self._values[node.name] = self._state(value, part, node, where)
            return
        keys = key if isinstance(key, tuple) else (key,)
        at = [i for i, own in enumerate(keys) if own == -1 and type(own) is int]
        if len(at) != 1 or any(k != slice(None) for i, k in enumerate(keys) if i != at[0]):
            raise ValueError(f"{where} takes {str(key)[:60]}; expected the last step, [:, -1]")
        self._steps(node, value, at[0], "last", where)

    def _state(self, value: _Value, part: tuple[int, ...], node: fx.Node, where: str) -> _Value:
        """The final h of the last layer is y's last step, in one direction."""
        module = self._root.get_submodule(
            next(str(n.target) for n in node.graph.nodes if n.name == value.node)
        )
        lstm = isinstance(module, nn.LSTM)
        if part[:2] in ((1,), (1, 0)) and len(part) <= (2 if lstm else 1):
            return _Value(value.node, value.axes, part)
        last = (1, 0, -1) if lstm else (1, -1)
        if part != last or module.bidirectional:
            raise ValueError(f"{where} reads a state of {value.node!r}; a Chain has no such paths")
        made = _Value(value.node, value.axes)
        steps = next(i for i, axis in enumerate(value.axes) if self._letters.get(axis) == "L")
        return self._pooled(node, made, steps, "last")

    def _steps(self, node: fx.Node, value: _Value, axis: int, kind: str, where: str) -> None:
        if self._letters.setdefault(value.axes[axis], "L") != "L":
            raise ValueError(f"{where} does not go along the steps; expected that")
        self._values[node.name] = self._pooled(node, value, axis, kind)

    def _pooled(self, node: fx.Node, value: _Value, axis: int, kind: str) -> _Value:
        self._nodes.append((node.name, [value.node]))
        self._blocks[node.name] = lambda first, dtype: [
            layers.Pool(kind, batch_first=first, dtype=dtype)
        ]
        return _Value(node.name, value.axes[:axis] + value.axes[axis + 1 :])

    def _pool(self, node: fx.Node, where: str) -> None:
        value = self._value(node.args[0], where)
        axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
        axis = axis[0] if isinstance(axis, (tuple, list)) and len(axis) == 1 else axis
        named = str(getattr(node.target, "__name__", node.target))
        if named == "max" or not isinstance(axis, int) or node.kwargs.get("keepdim"):
            raise ValueError(f"{where} is no mean or amax along one axis; expected that")
        kind = "max" if named == "amax" else "mean"
        self._steps(node, value, axis % len(value.axes), kind, where)

    def _turned(self, axes: Axes, node: fx.Node, arguments: Sequence[Any]) -> Axes:
        order = (
            [*arguments[0]]
            if arguments and isinstance(arguments[0], (tuple, list))
            else [*arguments]
        )
        order = [i % len(axes) for i in order]
        if "permute" in str(getattr(node.target, "__name__", node.target)):
            return tuple(axes[i] for i in order)
        turned = [*axes]
        turned[order[0]], turned[order[1]] = turned[order[1]], turned[order[0]]
        return tuple(turned)

    def _join(self, node: fx.Node, where: str) -> None:
        cat = node.target in (torch.cat, torch.concat)
        given = node.args[0] if cat else node.args
        values = [self._value(own, where) for own in given]
        if len({value.axes for value in values}) > 1 or len(values) < 2:
            raise ValueError(f"{where} joins values with axes in several orders; expected one")
        if cat:
            axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
            features = values[0].axes[axis % len(values[0].axes)]
            if self._letters.setdefault(features, "C") != "C":
                raise ValueError(f"{where} does not join features; expected that")
        self._nodes.append((node.name, [value.node for value in values]))
        self._joins[node.name] = "concat" if cat else "add" if node.target in _ADDS else "multiply"
        self._values[node.name] = _Value(node.name, values[0].axes)
