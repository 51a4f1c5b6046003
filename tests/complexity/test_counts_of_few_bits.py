"""Counts of int8 and bf16 layers, by hand."""

import json

import numpy as np
import pytest

from gru_native import GRU, LSTM, Chain, Dense, complexity
from gru_native._cli import main


def test_int8_by_hand():
    """A GRU 3 -> 4: 12 rows; x has 3 numbers, h 4. Five steps of two sequences, a state."""
    layer = GRU(3, 4)
    full = complexity.count(layer, 5, 2, state=True)
    fast = complexity.count(layer, 5, 2, state=True, precision="int8")
    assert fast.passes == complexity.count(layer.quantize("int8"), 5, 2, state=True).passes
    assert fast.forward.macs == full.forward.macs == 10 * 12 * 7
    added = fast.forward.elementwise - full.forward.elementwise
    assert dict(added) == {"quantize": 10 * (3 + 4), "dequantize": 10 * (12 + 12)}
    assert fast.backward.macs == 0
    assert not fast.kept
    assert (full.precision, fast.precision) == ("full", "int8")
    # matrices a byte a number and a scale a row, two biases
    assert fast.bytes().weights == 12 * 3 + 12 * 4 + 4 * 12 * 2 + 4 * 2 * 12
    assert fast.bytes().state == full.bytes().state
    moved = fast.bytes().traffic - fast.bytes().weights
    assert moved == full.bytes().traffic - full.bytes().weights == 4 * 2 * (3 + 4 + 2 * 4)
    assert "weights of int8" in fast.layer


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


def test_a_chain_of_several_precisions():
    chain = Chain([GRU(3, 4).quantize("int8"), Dense(4, 2)])
    count = complexity.count(chain, 5, 2)
    assert count.precision == "mixed"
    assert count.forward.elementwise["quantize"] == 10 * 3 + 8 * 4
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
    assert main(["count", "--cell", "child-sum", "--precision", "int8"]) != 0
