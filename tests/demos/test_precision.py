"""`gru-native demo --precision`: before and after, and how little a trained network loses."""

import re

import numpy as np
import pytest

import gru_native
from gru_native._cli import main
from gru_native._cli.model import CharacterModel, new_chain
from gru_native._cli.text import Corpus, built_in_text
from gru_native._cli.training import RATES, train

WORDS = "the network reads a line and then it writes another line of words that it has read\n"
LOSSES = {"int8": 0.005, "bf16": 0.00125}  # of the bits per character, at most


@pytest.mark.parametrize("precision", LOSSES)
def test_the_command_prints_bits_before_and_after(precision, tmp_path, capsys):
    text, out = tmp_path / "words.txt", tmp_path / "demo.safetensors"
    text.write_text(WORDS * 200, encoding="utf-8")
    options = ["--text", str(text), "--hidden", "24", "--steps", "60", "--out", str(out)]
    assert main(["demo", *options, "--precision", precision]) == 0
    printed = capsys.readouterr().out
    line = rf"([\d.]+) bits .* in float32, ([\d.]+) in {precision}: [+-][\d.]+%"
    before, after = map(float, re.search(line, printed).groups())
    chain = gru_native.load(out)
    assert chain.precision == precision
    corpus = Corpus.of(WORDS * 200)
    bits = CharacterModel(chain, corpus.alphabet).bits_per_character(corpus.held_out)
    assert f"{bits:.4f}" == f"{after:.4f}"
    assert abs(after / before - 1) < 0.05
    assert f"held-out text  {bits:.3f} bits" in printed
    assert re.search(rf"^network .*, {precision}$", printed, re.M)


def test_another_precision_is_no_choice(capsys):
    with pytest.raises(SystemExit):
        main(["demo", "--precision", "int4"])
    assert "invalid choice: 'int4'" in capsys.readouterr().err


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_trained_network_loses_little(cell):
    corpus = Corpus.of(built_in_text())
    chain = new_chain(cell, 128, len(corpus.alphabet), seed=1)
    model = CharacterModel(chain, corpus.alphabet)
    train(
        model,
        corpus.training,
        seconds=60,
        steps=400,
        rate=RATES[cell],
        seed=1,
        show=lambda *_: None,
    )
    text = corpus.held_out[:8000]
    bits = model.bits_per_character(text)
    assert bits < 0.8 * np.log2(len(corpus.alphabet))
    for precision, most in LOSSES.items():
        fast = CharacterModel(chain.quantize(precision), corpus.alphabet)
        assert fast.bits_per_character(text) < bits * (1 + most), precision
