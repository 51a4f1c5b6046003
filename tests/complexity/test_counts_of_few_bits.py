"""Counts of int8 and bf16 layers, by hand."""

import json

import numpy as np
import pytest

from gru_native import (
    GRU,
    LSTM,
    Chain,
    ChildSumTreeLSTM,
    Dense,
    GatedGraph,
    GraphSum,
    NaryTreeLSTM,
    complexity,
)
from gru_native._cli import main


def test_int8_by_hand():
    """A GRU 30 -> 40: 120 rows; x has 30 numbers, h 40. Five steps of two sequences, a state."""
    layer = GRU(30, 40)
    full = complexity.count(layer, 5, 2, state=True)
    fast = complexity.count(layer, 5, 2, state=True, precision="int8")
    assert fast.passes == complexity.count(layer.quantize("int8"), 5, 2, state=True).passes
    assert fast.forward.macs == full.forward.macs == 10 * 120 * 70
    added = fast.forward.elementwise - full.forward.elementwise
    assert dict(added) == {"quantize": 10 * (30 + 40), "dequantize": 10 * (120 + 120)}
    assert fast.backward.macs == 0
    assert not fast.kept
    assert (full.precision, fast.precision) == ("full", "int8")
    # matrices a byte a number and a scale a row, two biases
    assert fast.bytes().weights == 120 * 30 + 120 * 40 + 4 * 120 * 2 + 4 * 2 * 120
    assert fast.bytes().state == full.bytes().state
    moved = fast.bytes().traffic - fast.bytes().weights
    assert moved == full.bytes().traffic - full.bytes().weights == 4 * 2 * (30 + 40 + 2 * 40)
    assert "weights of int8" in fast.layer


def test_small_matrices_of_int8_are_multiplied_as_floats():
    """Up to 28 columns and 64 KB of float32: here that of x, and with too many rows none."""
    for layer, rows in ((GRU(28, 40), 120), (LSTM(28, 146), 4 * 146), (LSTM(28, 147), 4 * 147)):
        full, fast = (
            complexity.count(layer, 5, 2, state=True, precision=p) for p in (None, "int8")
        )
        added = fast.forward.elementwise - full.forward.elementwise
        hidden, of_x = layer.hidden_size, rows > 4 * 146
        assert added["quantize"] == 10 * (hidden + 28 * of_x)
        assert added["dequantize"] == 10 * rows * (1 + of_x)


def test_bf16_by_hand():
    layer = LSTM(3, 4, proj_size=2, bias=False)
    full, fast = (complexity.count(layer, 5, 2, precision=p) for p in (None, "bf16"))
    assert fast.forward == full.forward
    assert fast.bytes().weights * 2 == full.bytes().weights == 4 * (16 * 3 + 16 * 2 + 2 * 4)


def test_the_bytes_are_those_of_the_file(tmp_path):
    chain = Chain([LSTM(7, 12, 2, bidirectional=True, seed=1), Dense(24, 5, seed=2)])
    for precision in ("int8", "bf16"):
        stored = chain.quantize(precision)._stored()
        count = complexity.count(chain, precision=precision)
        assert count.bytes().weights == sum(array.nbytes for array in stored.values())


TREE = complexity.NaryTreeLSTM(30, 40, 2)
GRAPH = complexity.GatedGraph(40, 2, 2)


def test_trees_and_graphs_by_hand():
    """A tree of a node with two children; 5 nodes of a graph; a readout of 5 nodes."""
    cases = [
        # x of 3 nodes and once more for the forget gates of 1; [h, h] for i g o and for two forgets
        (complexity.count_tree, TREE, ([-1, 0, 0], [0, 0, 1]), 3 * 30 + 30 + 3 * 80),
        # of each node h to 4 kinds of messages, a of 80, h to r and z, r h to n
        (complexity.count_graph, GRAPH, (5, 7), 2 * 5 * (40 + 80 + 40 + 40)),
        (complexity.count_readout, complexity.GraphSum(40, 3, 2), (5,), 5 * 43),
    ]
    for count, layer, sizes, converted in cases:
        full, fast = (count(layer, *sizes, precision=p) for p in (None, "int8"))
        assert fast.forward.macs == full.forward.macs
        added = fast.forward.elementwise - full.forward.elementwise
        assert added["quantize"] == converted, layer
        assert added["dequantize"] == sum(p.times * p.columns for p in full.forward.products)
        assert (fast.backward.macs, fast.kept, fast.precision) == (0, {}, "int8")
        assert "weights of int8" in fast.layer
    dense = complexity.count_graph(GRAPH, 5, graphs=1, precision="int8")
    edges = complexity.count_graph(GRAPH, 5, 0, precision="int8")
    assert dense.forward.elementwise["quantize"] == edges.forward.elementwise["quantize"]


def test_the_bytes_of_trees_and_graphs_are_those_of_a_pickle():
    for layer, count, sizes in (
        (ChildSumTreeLSTM(3, 4), complexity.count_tree, ([-1],)),
        (NaryTreeLSTM(3, 4, 2), complexity.count_tree, ([-1], [0])),
        (GatedGraph(4, 2, 2), complexity.count_graph, (5, 7)),
        (GraphSum(4, 3, 2), complexity.count_readout, (5,)),
    ):
        for precision in ("int8", "bf16"):
            fast = layer.quantize(precision)
            held = sum(array.nbytes for array in fast._stored().values())
            assert count(fast, *sizes).bytes().weights == held, fast
            assert count(layer, *sizes, precision=precision) == count(fast, *sizes)


def test_a_chain_of_several_precisions():
    chain = Chain([GRU(30, 40).quantize("int8"), Dense(40, 2)])
    count = complexity.count(chain, 5, 2)
    assert count.precision == "mixed"
    assert count.forward.elementwise["quantize"] == 10 * 30 + 8 * 40
    assert "precision" in count.to_dict()
    assert set(count.to_dict()["bytes"]) == {"float32"}


def test_descriptions_and_what_stands_around():
    count = complexity.count(complexity.GRU(30, 40), 5, vocabulary=100, outputs=9, precision="int8")
    assert count.precision == "int8"
    own = complexity.count(GRU(30, 40), 5, precision="int8")
    added = count.forward.elementwise["quantize"] - own.forward.elementwise["quantize"]
    assert added == 5 * 40


def test_errors():
    with pytest.raises(ValueError, match="precision is 'int4'; expected 'int8' or 'bf16'"):
        complexity.count(GRU(3, 4), precision="int4")
    with pytest.raises(ValueError, match="the layer has int8 weights already"):
        complexity.count(GRU(3, 4).quantize("int8"), precision="bf16")
    with pytest.raises(ValueError, match="a GatedRecursiveConv has no form of precision 'int8'"):
        complexity.count(complexity.GatedRecursiveConv(3, 4), precision="int8")
    count = complexity.count(GRU(3, 4), precision="int8")
    with pytest.raises(ValueError, match="dtype is float64; expected float32, beside int8"):
        count.bytes(np.float64)


def test_the_command(capsys):
    options = ["--input", "30", "--hidden", "40", "--json"]
    assert main(["count", *options, "--vs", "--precision", "int8"]) == 0
    full, fast = json.loads(capsys.readouterr().out)
    assert (full["precision"], fast["precision"]) == ("full", "int8")
    assert fast["bytes"]["float32"]["weights"] < full["bytes"]["float32"]["weights"] / 2
    assert main(["count", "--input", "30", "--hidden", "40", "--precision", "bf16"]) == 0
    assert "weights of bf16" in capsys.readouterr().out
    sizes = ["--input", "30", "--hidden", "40", "--precision", "int8"]
    assert main(["count", "--cell", "child-sum", *sizes, "--parents=-1,0"]) == 0
    assert main(["count", "--cell", "graph", *sizes[2:], "--steps", "2", "--nodes", "3"]) == 0
    assert capsys.readouterr().out.count("weights of int8") == 2
    assert main(["count", "--cell", "grconv", *sizes]) != 0
