"""From a layer and the sizes of a call to its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike

from .._core import a_type
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
from ..layers._arguments import flag, size, text
from ._arguments import at_least, fits
from ._branches import flow
from ._count import Count
from ._dense import Embedding, Linear
from ._extent import Extent
from ._graphs import Graphs, Network, Readout
from ._operations import OPERATIONS
from ._parts import (
    Options,
    Sequential,
    extent_behind,
    kept_by,
    parts_of,
    passes_of_all,
    precisions_of,
    prefixed,
    state_of,
)
from ._roofline import Weights
from ._stack import joined
from ._trees import Forest, Tree
from ._work import Passes, Tensor, in_few_bits


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
    precision: str | None = None,
) -> Count:
    """Count one call of a layer over sequences, and the backward that follows it.

    Parameters
    ----------
    layer : RNN, LSTM, GRU, OutputRNN, Dense, Chain, GatedRecursiveConv or another block
        It may have weights, or be a description such as ``complexity.LSTM(...)``, which has none.
    seq_len : int, optional
        Steps of x.
    batch : int, optional
        Sequences of x.
    lengths : array_like of int, optional
        (batch,), each from 0 to seq_len; None means that all are seq_len.
    state : bool, optional
        Whether the call is given an initial state. Without one the core leaves out the recurrent
        product of the first step.
    training : bool, optional
        Whether dropout acts, and zoneout at random.
    dy : bool, optional
        Whether backward is given dy, or else dstate alone. An OutputRNN is given dy alone.
    taught : bool, optional
        Whether an OutputRNN is given targets.
    vocabulary : int, optional
        Puts an embedding of so many symbols before the layer.
    outputs : int, optional
        Puts a dense layer of so many units behind the layer.
    precision : {"int8", "bf16"}, optional
        Counts the layer that ``quantize`` makes; by default the layer as it is. Weights of few bits
        are for inference: there is no backward to count.

    Returns
    -------
    Count
        All figures.

    Raises
    ------
    ValueError
        For sizes, lengths or a precision that the layer itself would refuse.
    TypeError
        For another kind of layer or argument.
    """
    extent = Extent.of(seq_len, batch, lengths)
    o = Options(flag("state", state), flag("training", training), flag("dy", dy))
    o = replace(o, taught=flag("taught", taught))
    if not isinstance(
        layer, (RNN, LSTM, GRU, Dense, *OPERATIONS, Chain, GatedRecursiveConv, OutputRNN)
    ):
        raise TypeError(
            f"layer is {a_type(layer)}; expected an RNN, LSTM, GRU, OutputRNN, "
            "Dense, Chain, GatedRecursiveConv or another block"
        )
    parts = parts_of(layer)
    if vocabulary is not None:
        parts = {"embedding.": Embedding(vocabulary, layer.input_size or 1), **parts}
    if outputs is not None:
        width = list(parts.values())[-1].width
        fits("the weights", width * at_least("outputs", outputs, 1), outputs=outputs)
        parts["output."] = Linear(width, outputs, True, "identity")
    precisions = _precisions(layer, precision)
    if outputs is not None and precision is not None:
        precisions["output."] = precision
    has_steps = not isinstance(layer, GatedRecursiveConv)
    one = Extent(1, 1)
    step = passes_of_all(parts, one, replace(o, state=True), precisions) if has_steps else None
    columns = (1 if vocabulary else layer.input_size or 1) + list(parts.values())[-1].width
    kept: Counter[str] = Counter()
    for prefix, part, here in flow(parts, extent, extent_behind):
        if prefix not in precisions:
            kept.update(kept_by(part, here))
    return Count(
        layer=_shown(layer, vocabulary, outputs, precisions),
        extent={"seq_len": extent.seq, "batch": extent.batch, "rows": extent.rows},
        tensors=prefixed(parts, precisions),
        passes=passes_of_all(parts, extent, o, precisions),
        textbook=passes_of_all(parts, extent, replace(o, textbook=True), precisions),
        step=step,
        kept=dict(kept),
        state=sum(state_of(part, extent.batch) for part in parts.values()),
        steps=extent.seq if has_steps else max(extent.seq - 1, 1),
        reads=joined(part.reads() for part in parts.values()),
        spared=has_steps
        and not state
        and not isinstance(layer, OutputRNN)
        and not any(getattr(part, "learns_state", False) for part in parts.values()),
        moved=(extent.batch if has_steps else extent.rows) * columns,
    )


def count_tree(
    layer: ChildSumTreeLSTM | NaryTreeLSTM,
    parents: ArrayLike,
    slots: ArrayLike | None = None,
    *,
    dh: bool = True,
    dc: bool = True,
    precision: str | None = None,
) -> Count:
    """Count one call of a Tree-LSTM, and the backward that follows it.

    Parameters
    ----------
    layer : ChildSumTreeLSTM or NaryTreeLSTM
        With or without weights.
    parents : array_like of int
        (nodes,): each node's parent, or -1 for a root.
    slots : array_like of int, optional
        (nodes,): which child of its parent a node is. A NaryTreeLSTM needs them.
    dh : bool, optional
        Whether backward is given dh.
    dc : bool, optional
        Whether backward is given dc.
    precision : {"int8", "bf16"}, optional
        Counts the layer that ``quantize`` makes, as ``count`` does.

    Returns
    -------
    Count
        All figures.

    Raises
    ------
    ValueError
        For parents that make no trees, and for slots or a precision that the layer would refuse.
    TypeError
        For another kind of layer or argument.
    """
    if not isinstance(layer, (ChildSumTreeLSTM, NaryTreeLSTM)):
        raise TypeError(f"layer is {a_type(layer)}; expected a Tree-LSTM")
    tree = Tree.of(layer)
    forest = Forest.of(parents, slots, tree.arity)
    passes = tree.passes(forest, dh=flag("dh", dh), dc=flag("dc", dc))
    return _of_precision(
        layer,
        precision,
        extent={"nodes": forest.nodes, "leaves": forest.leaves, "edges": forest.edges},
        tensors=tree.tensors(),
        passes=passes,
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
    precision: str | None = None,
) -> Count:
    """Count one call of a GatedGraph, and the backward that follows it.

    Parameters
    ----------
    layer : GatedGraph
        With or without weights.
    nodes : int
        All nodes, or with ``graphs`` those of each graph.
    edges : int, optional
        The number of edges, for a call with lists of them.
    graphs : int, optional
        The number of graphs, for a call with ``adjacency``. Either this or ``edges`` must be given.
    annotation_size : int, optional
        Numbers in each annotation; by default hidden_size.
    precision : {"int8", "bf16"}, optional
        Counts the layer that ``quantize`` makes, as ``count`` does.

    Returns
    -------
    Count
        All figures.

    Raises
    ------
    ValueError
        For sizes or a precision that the layer would refuse.
    TypeError
        For another kind of layer or argument, and if not exactly one of ``edges`` and ``graphs`` is
        given.
    """
    if not isinstance(layer, GatedGraph):
        raise TypeError(f"layer is {a_type(layer)}; expected a GatedGraph")
    if (edges is None) == (graphs is None):
        raise TypeError("expected either edges or graphs")
    columns = layer.hidden_size if annotation_size is None else annotation_size
    if not 1 <= size("annotation_size", columns) <= layer.hidden_size:
        raise ValueError(
            f"annotations has {columns} columns; expected 1 to hidden_size={layer.hidden_size}"
        )
    g = Graphs.of(nodes, edges, graphs, columns)
    network = Network.of(layer)
    numbers = g.nodes * max(network.inputs, network.hidden_size)
    given = {"nodes": nodes} | ({"edges": g.edges} if graphs is None else {"graphs": graphs})
    fits("the arrays", max(numbers, network.adjacency(g), 2 * g.edges), **given)
    passes = network.passes(g)
    return _of_precision(
        layer,
        precision,
        extent={"nodes": g.nodes, "edges": g.edges, "graphs": g.graphs},
        tensors=network.tensors(),
        passes=passes,
        kept=network.kept(g),
        steps=network.num_steps,
        reads=(Weights(0, sum(t.size for t in network.tensors() if t.role != "bias")),),
        moved=g.nodes * (columns + network.hidden_size) + network.adjacency(g) + 2 * g.edges,
    )


def count_readout(
    layer: NodeScores | GraphSum, nodes: int, graphs: int = 1, *, precision: str | None = None
) -> Count:
    """Count one call of NodeScores or GraphSum, and the backward that follows it.

    Parameters
    ----------
    layer : NodeScores or GraphSum
        With or without weights.
    nodes : int
        Nodes of all graphs.
    graphs : int, optional
        The number of graphs.
    precision : {"int8", "bf16"}, optional
        Counts the layer that ``quantize`` makes, as ``count`` does.

    Returns
    -------
    Count
        All figures.

    Raises
    ------
    ValueError
        For sizes below 1, or a precision that the layer would refuse.
    TypeError
        For another kind of layer or argument.
    """
    if not isinstance(layer, (NodeScores, GraphSum)):
        raise TypeError(f"layer is {a_type(layer)}; expected NodeScores or GraphSum")
    readout, nodes = Readout.of(layer), at_least("nodes", nodes, 1)
    graphs = at_least("graphs", graphs, 1)
    passes = readout.passes(nodes, graphs)
    fits("the arrays", max(nodes * readout.columns, graphs), nodes=nodes, graphs=graphs)
    made = graphs if readout.sums else nodes
    return _of_precision(
        layer,
        precision,
        extent={"nodes": nodes, "graphs": graphs},
        tensors=readout.tensors(),
        passes=passes,
        kept=readout.kept(nodes, graphs),
        reads=(Weights(2 * readout.columns * readout.output_size, 0),),
        moved=nodes * readout.columns + made * readout.output_size,
    )


def _precisions(layer: Any, asked: str | None) -> dict[str, str]:
    """Of the parts whose weights have few bits: of all that can, if it is asked for."""
    if asked is not None and text("precision", asked) not in ("int8", "bf16"):
        raise ValueError(f"precision is {asked!r}; expected 'int8' or 'bf16'")
    return precisions_of(layer, asked)


def _of_precision(
    layer: Any,
    asked: str | None,
    *,
    tensors: Sequence[Tensor],
    passes: Passes,
    kept: dict[str, int],
    **figures: Any,
) -> Count:
    """The count of a layer of one part, whose figures are those of full precision."""
    precisions = _precisions(layer, asked)
    own = precisions.get("")
    if own is not None:
        passes, kept = in_few_bits(passes, own), {}
    return Count(
        layer=_shown(layer, None, None, precisions),
        tensors=tuple(replace(t, precision=own) for t in tensors),
        passes=passes,
        textbook=passes,
        kept=kept,
        **figures,
    )


def _shown(
    layer: Any, vocabulary: int | None, outputs: int | None, precisions: Mapping[str, str]
) -> str:
    before = "" if vocabulary is None else f"embedding of {vocabulary} -> "
    after = "" if outputs is None else f" -> {outputs} outputs"
    kinds = sorted(set(precisions.values()))
    return before + repr(layer) + after + (f", weights of {' and '.join(kinds)}" if kinds else "")
