"""The result: all figures of one call of one layer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..layers import (
    GRU,
    LSTM,
    RNN,
    Chain,
    ChildSumTreeLSTM,
    Dense,
    GatedGraph,
    GatedRecursiveConv,
    GraphSum,
    NaryTreeLSTM,
    NodeScores,
    OutputRNN,
)
from ..layers._arguments import flag, float_dtype, size
from ._arguments import at_least
from ._dense import Embedding, Linear
from ._extent import Extent
from ._graphs import Graphs, Network, Readout
from ._parts import (
    Options,
    Sequential,
    kept_by,
    parts_of,
    passes_of_all,
    prefixed,
    state_of,
)
from ._roofline import Limits, Roofline, Weights, roofline
from ._trees import Forest, Tree
from ._work import Passes, Tensor, Work


@dataclass(frozen=True)
class Count:
    """Exact figures of one call of one layer, and of the backward that follows it.

    ``passes`` is what the core executes; ``textbook`` has the recurrent product at every step, the
    first one included, where the core leaves it out if no initial state is given.
    """

    layer: str
    extent: dict[str, int]
    tensors: tuple[Tensor, ...]
    passes: Passes
    textbook: Passes
    step: Passes | None = None  # of one step of one sequence that has a state; None: no steps
    kept: dict[str, int] = field(default_factory=dict)  # numbers on the tape, by what they are
    state: int = 0  # numbers that go from one step to the next, of all sequences
    steps: int = 1  # one after the other, each of which needs the second part of ``reads``
    reads: tuple[Weights, ...] = ()  # numbers of each layer's matrices, by how often they are read
    spared: bool = False  # the first step needs no recurrent product
    moved: int = 0  # numbers of x and y: of a step of all sequences, or without steps of the call

    @property
    def forward(self) -> Work:
        """Of the call."""
        return self.passes.forward

    @property
    def to_inputs(self) -> Work:
        """Of backward: gradients of pre-activations, states and inputs."""
        return self.passes.to_inputs

    @property
    def to_weights(self) -> Work:
        """Of backward: gradients of weights."""
        return self.passes.to_weights

    @property
    def backward(self) -> Work:
        """All of backward."""
        return self.passes.backward

    @property
    def parameters(self) -> int:
        """Numbers in all weights."""
        return sum(t.size for t in self.tensors)

    @property
    def parameters_by_role(self) -> dict[str, int]:
        """The same by role: input, recurrent, projection, bias, peephole, output, ..."""
        sums: dict[str, int] = {}
        for t in self.tensors:
            sums[t.role] = sums.get(t.role, 0) + t.size
        return sums

    @property
    def parameters_without_biases(self) -> int:
        """As Sak, Senior and Beaufays count."""
        return self.parameters - self.parameters_by_role.get("bias", 0)

    @property
    def parameters_with_one_bias(self) -> int:
        """With one bias for each gate, as papers have it, not torch's two that are only added."""
        second = sum(
            t.size for t in self.tensors if t.name.rsplit(".", 1)[-1].startswith("bias_hh")
        )
        return self.parameters - second

    def bytes(self, dtype: DTypeLike = np.float32) -> Bytes:
        """Memory and traffic in float32 or float64."""
        return Bytes.of(self, float_dtype(dtype).itemsize)

    def roofline(
        self,
        limits: Limits,
        threads: int = 1,
        *,
        training: bool = False,
        dtype: DTypeLike = np.float32,
    ) -> Roofline:
        """The least time of the call on a machine with these limits; see ``roofline``.

        training: with the backward that follows. The limits are those of float32: for float64
        arithmetic is taken as half as fast. Element-wise operations count nothing, and nor do x, y
        and the state. Raises ValueError for threads below 1.
        """
        width = float_dtype(dtype).itemsize
        work = self.forward + self.backward if flag("training", training) else self.forward
        return roofline(
            work.flops * (width // 4),
            [Weights(width * w.once, width * w.every_step, w.directions) for w in self.reads],
            self.steps,
            limits,
            threads,
            passes=2 if training else 1,
            spared=self.spared,
        )

    def to_dict(self) -> dict[str, object]:
        """Everything as plain numbers, texts, lists and dictionaries, for JSON."""
        step = None
        if self.step:
            step = {"forward": self.step.forward.to_dict()}
        return {
            "layer": self.layer,
            "extent": dict(self.extent),
            "parameters": self.parameters,
            "parameters_without_biases": self.parameters_without_biases,
            "parameters_with_one_bias": self.parameters_with_one_bias,
            "parameters_by_role": self.parameters_by_role,
            "tensors": [
                {"name": t.name, "shape": list(t.shape), "role": t.role, "size": t.size}
                for t in self.tensors
            ],
            "forward": self.forward.to_dict(),
            "backward_to_inputs": self.to_inputs.to_dict(),
            "backward_to_weights": self.to_weights.to_dict(),
            "textbook_forward": self.textbook.forward.to_dict(),
            "step": step,
            "bytes": {name: self.bytes(name).to_dict() for name in ("float32", "float64")},
        }

    def table(self) -> str:
        """As lines of text."""
        from ._table import of_counts

        return of_counts([self])

    def __repr__(self) -> str:
        extent = ", ".join(f"{name}={n}" for name, n in self.extent.items())
        return (
            f"Count({self.layer}, {extent}: {self.parameters:,} parameters; MACs: "
            f"{self.forward.macs:,} forward, {self.to_inputs.macs:,} backward to inputs, "
            f"{self.to_weights.macs:,} to weights)"
        )


@dataclass(frozen=True)
class Bytes:
    """Memory of a call, padding not counted, and what its arithmetic moves.

    ``traffic`` is that of one step of all sequences, if every step reads all weights once, its
    inputs and the state, and writes its outputs and the state; without steps it is the call's.
    ``intensity`` is the FLOPs for each of these bytes.
    """

    weights: int
    state: int
    tape: int  # kept for backward
    traffic: int
    intensity: float

    @classmethod
    def of(cls, c: Count, itemsize: int) -> Bytes:
        traffic = itemsize * (c.parameters + c.moved + 2 * c.state)
        flops = c.forward.flops if c.step is None else c.extent["batch"] * c.step.forward.flops
        return cls(
            itemsize * c.parameters,
            itemsize * c.state,
            itemsize * sum(c.kept.values()),
            traffic,
            flops / traffic,
        )

    def to_dict(self) -> dict[str, int | float]:
        """Plain numbers."""
        return dict(vars(self))


def count(
    layer: Sequential,
    seq_len: int = 1,
    batch: int = 1,
    lengths: ArrayLike | None = None,
    *,
    state: bool = False,
    training: bool = True,
    dy: bool = True,
    taught: bool = False,
    vocabulary: int | None = None,
    outputs: int | None = None,
) -> Count:
    """Figures of one call of an RNN, LSTM, GRU, OutputRNN, Dense, Chain or GatedRecursiveConv.

    layer may have weights or be a description (``complexity.LSTM(...)``), which has none. seq_len,
    batch and lengths, (batch,), are those of x. state: whether the call is given an initial state;
    without one the core leaves the recurrent product of the first step out. training: whether
    dropout acts, and zoneout at random. dy: whether backward is given dy, or dstate alone (an
    OutputRNN: dy alone). taught: whether an OutputRNN is given targets. vocabulary puts an
    embedding of so many symbols before the layer, outputs a dense layer of so many units behind it.

    Raises ValueError and TypeError as the layer itself does for such arguments.
    """
    extent = Extent.of(seq_len, batch, lengths)
    o = Options(flag("state", state), flag("training", training), flag("dy", dy))
    o = replace(o, taught=flag("taught", taught))
    if not isinstance(layer, (RNN, LSTM, GRU, Dense, Chain, GatedRecursiveConv, OutputRNN)):
        raise TypeError(
            f"layer is a {type(layer).__name__}; expected an RNN, LSTM, GRU, OutputRNN, "
            "Dense, Chain or GatedRecursiveConv"
        )
    parts = parts_of(layer)
    if vocabulary is not None:
        parts = {"embedding.": Embedding(vocabulary, layer.input_size), **parts}
    if outputs is not None:
        width = list(parts.values())[-1].width
        parts["output."] = Linear(width, at_least("outputs", outputs, 1), True, "identity")
    has_steps = not isinstance(layer, GatedRecursiveConv)
    step = passes_of_all(parts, Extent(1, 1), replace(o, state=True)) if has_steps else None
    columns = (1 if vocabulary else layer.input_size) + list(parts.values())[-1].width
    kept: Counter[str] = Counter()
    for part in parts.values():
        kept.update(kept_by(part, extent))
    return Count(
        layer=_shown(layer, vocabulary, outputs),
        extent={"seq_len": extent.seq, "batch": extent.batch, "rows": extent.rows},
        tensors=tuple(prefixed(parts)),
        passes=passes_of_all(parts, extent, o),
        textbook=passes_of_all(parts, extent, replace(o, textbook=True)),
        step=step,
        kept=dict(kept),
        state=sum(state_of(part, extent.batch) for part in parts.values()),
        steps=extent.seq if has_steps else max(extent.seq - 1, 1),
        reads=tuple(w for part in parts.values() for w in part.reads()),
        spared=has_steps and not state and not isinstance(layer, OutputRNN),
        moved=(extent.batch if has_steps else extent.rows) * columns,
    )


def count_tree(
    layer: ChildSumTreeLSTM | NaryTreeLSTM,
    parents: ArrayLike,
    slots: ArrayLike | None = None,
    *,
    dh: bool = True,
    dc: bool = True,
) -> Count:
    """Figures of one call of a Tree-LSTM over the forest that parents and slots describe.

    dh and dc: whether backward is given these gradients. Raises as the layer does.
    """
    if not isinstance(layer, (ChildSumTreeLSTM, NaryTreeLSTM)):
        raise TypeError(f"layer is a {type(layer).__name__}; expected a Tree-LSTM")
    tree = Tree.of(layer)
    forest = Forest.of(parents, slots, tree.arity)
    passes = tree.passes(forest, dh=flag("dh", dh), dc=flag("dc", dc))
    return Count(
        layer=repr(layer),
        extent={"nodes": forest.nodes, "leaves": forest.leaves, "edges": forest.edges},
        tensors=tuple(tree.tensors()),
        passes=passes,
        textbook=passes,
        kept=tree.kept(forest),
        reads=(Weights(sum(t.size for t in tree.tensors() if t.role != "bias"), 0),),
        moved=forest.nodes * (tree.input_size + 2 * tree.hidden_size),
    )


def count_graph(
    layer: GatedGraph,
    nodes: int,
    edges: int | None = None,
    *,
    graphs: int | None = None,
    annotation_size: int | None = None,
) -> Count:
    """Figures of one call of a GatedGraph: with ``edges``, for lists of so many edges in all.

    With ``graphs``, for ``dense``: so many matrices of graphs of ``nodes`` nodes each.
    annotation_size is by default hidden_size. Raises ValueError and TypeError, naming the argument.
    """
    if not isinstance(layer, GatedGraph):
        raise TypeError(f"layer is a {type(layer).__name__}; expected a GatedGraph")
    if (edges is None) == (graphs is None):
        raise TypeError("expected either edges or graphs")
    columns = layer.hidden_size if annotation_size is None else annotation_size
    if not 1 <= size("annotation_size", columns) <= layer.hidden_size:
        raise ValueError(
            f"annotations has {columns} columns; expected 1 to hidden_size={layer.hidden_size}"
        )
    g = Graphs.of(nodes, edges, graphs, columns)
    network = Network.of(layer)
    passes = network.passes(g)
    return Count(
        layer=repr(layer),
        extent={"nodes": g.nodes, "edges": g.edges, "graphs": g.graphs},
        tensors=tuple(network.tensors()),
        passes=passes,
        textbook=passes,
        kept=network.kept(g),
        steps=network.num_steps,
        reads=(Weights(0, sum(t.size for t in network.tensors() if t.role != "bias")),),
        moved=g.nodes * (columns + network.hidden_size) + network.adjacency(g) + 2 * g.edges,
    )


def count_readout(layer: NodeScores | GraphSum, nodes: int, graphs: int = 1) -> Count:
    """Figures of one call of NodeScores or GraphSum. Raises ValueError and TypeError."""
    if not isinstance(layer, (NodeScores, GraphSum)):
        raise TypeError(f"layer is a {type(layer).__name__}; expected NodeScores or GraphSum")
    readout, nodes = Readout.of(layer), at_least("nodes", nodes, 1)
    graphs = at_least("graphs", graphs, 1)
    passes = readout.passes(nodes, graphs)
    made = graphs if readout.sums else nodes
    return Count(
        layer=repr(layer),
        extent={"nodes": nodes, "graphs": graphs},
        tensors=tuple(readout.tensors()),
        passes=passes,
        textbook=passes,
        kept=readout.kept(nodes, graphs),
        reads=(Weights(2 * readout.columns * readout.output_size, 0),),
        moved=nodes * readout.columns + made * readout.output_size,
    )


def _shown(layer: Sequential, vocabulary: int | None, outputs: int | None) -> str:
    before = "" if vocabulary is None else f"embedding of {vocabulary} -> "
    return before + repr(layer) + ("" if outputs is None else f" -> {outputs} outputs")
