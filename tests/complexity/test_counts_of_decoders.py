"""Counts of decoders with attention, by hand, and what they refuse."""

import pytest

from gru_native import complexity

# V = 7 words of E = 2 numbers, H = 3 units, memories of M = 4 columns, A = 5 units of a score.
SIZES = (7, 2, 3, 4)


def test_additive_by_hand():
    decoder = complexity.AttentionDecoder(*SIZES, cell="gru", attention_size=5)
    c = complexity.count_decoder(decoder, 2, 6, state=True)
    assert c.parameters_by_role == {
        "embedding": 7 * 2,
        "input": 9 * (2 + 4),
        "recurrent": 9 * 3,
        "bias": 2 * 9 + 5 + 3 + 7,
        "attention": 5 * 3 + 5 * 4 + 5,
        "readout": 3 * (3 + 4 + 2),
        "output": 7 * 3,
    }
    assert c.parameters == decoder.num_parameters
    step = 9 * 6 + 9 * 3 + 5 * 3 + 6 * 4 + 3 * 9 + 7 * 3
    assert c.step.forward.macs == step
    assert c.forward.macs == 2 * step + 6 * 5 * 4
    # Two gates; n, u of each position and unit, the readout; and the softmax of 6 numbers.
    assert c.forward.elementwise["sigmoid"] == 2 * 2 * 3
    assert c.forward.elementwise["tanh"] == 2 * (3 + 6 * 5 + 3)
    assert c.forward.elementwise["exp"] == c.forward.elementwise["divide"] == 2 * 6
    # Backward: the sum of a h goes to a and to h; the others have two products each.
    assert c.to_inputs.macs == 2 * (step + 6 * 4) + 6 * 5 * 4
    assert c.to_weights.macs == 2 * (step - 6 * 4) + 6 * 5 * 4
    # A context of the first step goes on to the second; each unit's de v (1 - u u) to q and to k.
    without = complexity.count_decoder(decoder, 2, 6, dstate=True, state=True)
    assert without.to_inputs.elementwise["add"] - c.to_inputs.elementwise["add"] == 4
    assert c.to_inputs.elementwise["tanh"] == 2 * 6 * 5


def test_products_of_other_scores():
    def products(attention, memory_size=4, **options):
        sizes = *SIZES[:3], memory_size
        decoder = complexity.AttentionDecoder(*sizes, attention=attention, **options)
        return complexity.count_decoder(decoder, 2, 1 if attention is None else 6).forward.macs_by()

    assert products("dot", 3)["score"] == 2 * 6 * 3
    assert "attention" not in products("dot", 3)
    general = products("general")
    assert (general["attention"], general["score"]) == (6 * 3 * 4, 2 * 6 * 3)
    location = products("location", location_channels=8, location_width=5)
    assert location["attention"] == 6 * 3 * 4 + 2 * (3 * 3 + 6 * (8 * 5 + 3 * 8))
    assert location["context"] == 2 * 6 * 4
    assert set(products(None)) == {"input", "recurrent", "readout", "output"}


def test_lengths_of_targets_and_memories():
    decoder = complexity.AttentionDecoder(*SIZES, num_memories=2, readout="maxout")
    c = complexity.count_decoder(decoder, 3, [6, 5], 2, [3, 1], [[2, 6], None])
    assert c.extent == {"steps": 3, "batch": 2, "rows": 4, "positions": 2 + 6 + 5 + 5}
    macs = c.forward.macs_by()
    assert macs["context"] == (3 * 2 + 1 * 6 + 4 * 5) * 4
    assert macs["readout"] == 4 * 6 * (3 + 8 + 2)
    assert macs["recurrent"] == (4 - 2) * 12 * 3  # without a state
    assert c.step.forward.macs_by()["context"] == (6 + 5) * 4
    whole = complexity.count_decoder(decoder, 3, [6, 5], 2, [3, 3], [[6, 6], [5, 5]])
    assert whole.passes == complexity.count_decoder(decoder, 3, [6, 5], 2).passes
    assert complexity.count_decoder(decoder, 2**20, [2**10] * 2).forward.macs > 2**30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 6), "steps is 0; expected at least 1"),
        ((2, 0), "memory_steps is 0; expected at least 1"),
        ((2, 6, 2, [1, 3]), r"lengths\[1\] is 3; expected 0 to steps=2"),
        ((2, 6, 2, None, [0, 6]), r"memory_lengths\[0\] is 0; expected 1 to memory_steps=6"),
        ((2, 6, 2, None, [6]), r"memory_lengths has shape \(1,\); expected \(batch=2,\)"),
        ((2**40, 6, 2**40), "the arrays would be larger than memory can be"),
    ],
)
def test_calls_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        complexity.count_decoder(complexity.AttentionDecoder(*SIZES), *arguments)


def test_what_is_no_decoder():
    with pytest.raises(TypeError, match="decoder is a GRU; expected an AttentionDecoder"):
        complexity.count_decoder(complexity.GRU(2, 3), 2, 6)
    two = complexity.AttentionDecoder(*SIZES, num_memories=2)
    with pytest.raises(ValueError, match="memory_steps has 1 items; expected num_memories=2"):
        complexity.count_decoder(two, 2, 6)
    with pytest.raises(ValueError, match=r"memory_steps\[1\] is 0; expected at least 1"):
        complexity.count_decoder(two, 2, [6, 0])
    with pytest.raises(ValueError, match="memory_steps is 6; expected 1 without attention"):
        complexity.count_decoder(complexity.AttentionDecoder(*SIZES, attention=None), 2, 6)
    with pytest.raises(ValueError, match='cell is "rnn"; expected "lstm" or "gru"'):
        complexity.AttentionDecoder(*SIZES, cell="rnn")
    described = complexity.AttentionDecoder(*SIZES)
    for use in (described, described.forward, described.stream):
        with pytest.raises(TypeError, match="a description has no weights"):
            use([1], [[1.0] * 4])
