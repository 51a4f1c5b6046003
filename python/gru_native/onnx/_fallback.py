"""What nothing here computes, in ONNX Runtime: one session for each connected piece."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import onnx

from ..layers._weights import Array
from ._model import Graph, Node

PIECE = "a piece for ONNX Runtime"  # the op of a node that stands for several; ONNX has none such


def check(fallback: str | None) -> str:
    """The name of the fallback, "" for none. Raises ValueError, and ImportError without it."""
    if fallback is None:
        return ""
    if fallback != "onnxruntime":
        raise ValueError(f"fallback is {fallback!r}; expected None or 'onnxruntime'")
    try:
        import_module("onnxruntime")
    except ImportError as error:
        raise ImportError(
            "fallback='onnxruntime' needs the package onnxruntime: pip install onnxruntime"
        ) from error
    return fallback


class _Contracted:
    """A graph whose nodes are put into groups that can still be computed one after the other."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.group = list(range(len(nodes)))
        self.members = {i: [i] for i in self.group}
        made = {name: i for i, node in enumerate(nodes) for name in node.outputs if name}
        self.before = [
            sorted({made[n] for n in node.needs if n in made and made[n] != i})
            for i, node in enumerate(nodes)
        ]
        self.after: dict[int, list[int]] = defaultdict(list)
        for i, sources in enumerate(self.before):
            for source in sources:
                self.after[source].append(i)

    def join(self, one: int, other: int) -> None:
        """Makes two groups one, if no way leads from one to the other through a third."""
        a, b = self.group[one], self.group[other]
        if a == b or self._around(a, b) or self._around(b, a):
            return
        for i in self.members.pop(b):
            self.group[i] = a
            self.members[a].append(i)

    def _around(self, a: int, b: int) -> bool:
        open_ = {self.group[j] for i in self.members[a] for j in self.after[i]} - {a, b}
        seen = set(open_)
        while open_:
            reached = {self.group[j] for i in self.members[open_.pop()] for j in self.after[i]}
            if b in reached:
                return True
            reached -= seen | {a}
            seen |= reached
            open_ |= reached
        return False

    def order(self) -> list[list[int]]:
        """The groups, each after those that it needs."""
        waits = {
            g: {self.group[j] for i in members for j in self.before[i]} - {g}
            for g, members in self.members.items()
        }
        done: list[list[int]] = []
        ready = sorted((g for g, own in waits.items() if not own), reverse=True)
        while ready:
            g = ready.pop()
            done.append(sorted(self.members[g]))
            del waits[g]
            for h in sorted({self.group[j] for i in self.members[g] for j in self.after[i]} - {g}):
                waits[h].discard(g)
                if not waits[h]:
                    ready.append(h)
        return done


def pieces(graph: Graph, unknown: Sequence[Node]) -> list[Node]:
    """The graph's nodes in order, with one for each connected piece of unknown ones."""
    nodes = graph.nodes
    strange = {id(node) for node in unknown}
    contracted = _Contracted(nodes)
    for i, node in enumerate(nodes):
        if id(node) in strange:
            for source in contracted.before[i]:
                if id(nodes[source]) in strange:
                    contracted.join(source, i)
    used = {*graph.outputs}
    for node in nodes:
        used.update(node.needs)
    result = []
    for members in contracted.order():
        own = [nodes[i] for i in members]
        if id(own[0]) not in strange:
            result.append(own[0])
            continue
        inner = {name for node in own for name in node.outputs}
        outside = {*graph.outputs}
        for node in nodes:
            if all(node is not mine for mine in own):
                outside.update(node.needs)
        needs = dict.fromkeys(n for node in own for n in node.needs if n and n not in inner)
        outputs = tuple(n for node in own for n in node.outputs if n and n in outside)
        label = own[0].label if len(own) == 1 else f"{own[0].label} and {len(own) - 1} more"
        result.append(
            own[0]._replace(
                label=label,
                op=PIECE,
                inputs=tuple(needs),
                outputs=outputs,
                attributes={"nodes": own},
                bodies={},
                captured=(),
            )
        )
    return result


class Piece:
    """Nodes that ONNX Runtime computes. Sessions are made for the dtypes and ranks that come."""

    def __init__(self, graph: Graph, node: Node, constants: Mapping[str, Array]) -> None:
        self._opsets = graph.opsets
        self._node = node
        self._given = {n: constants[n] for n in node.inputs if n in constants}
        self._sessions: dict[tuple[Any, ...], Any] = {}

    def run(self, *arrays: Array) -> Sequence[Array]:
        """The outputs. Raises ValueError for what ONNX Runtime refuses, in its words."""
        feeds = {
            name: np.ascontiguousarray(a).reshape(a.shape)
            for name, a in zip(self._node.inputs, arrays, strict=True)
            if name not in self._given
        }
        key = tuple((a.dtype, a.ndim) for a in feeds.values())
        try:
            if key not in self._sessions:
                self._sessions[key] = self._session(feeds)
            results: Sequence[Array] = self._sessions[key].run(None, feeds)
        except Exception as error:  # its exceptions have no common class
            raise ValueError(f"ONNX Runtime: {error}") from error
        return results

    def _session(self, feeds: Mapping[str, Array]) -> Any:
        onnxruntime = import_module("onnxruntime")
        kind = onnx.helper.np_dtype_to_tensor_dtype
        graph = onnx.helper.make_graph(
            [node.proto for node in self._node.attributes["nodes"]],
            "piece",
            [
                onnx.helper.make_tensor_value_info(name, kind(a.dtype), [None] * a.ndim)
                for name, a in feeds.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in self._node.outputs],
            [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in self._given.items()],
        )
        model = onnx.helper.make_model(graph, opset_imports=self._opsets, ir_version=8)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
