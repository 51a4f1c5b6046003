"""What the systems of python/examples are made of."""

import numpy as np
import pytest

import gru_native
from programs import example


def test_error_rates_of_pronunciations():
    pronounce = example("pronounce")
    rng = np.random.default_rng(1)

    def slow(a, b):  # the definition
        if not a or not b:
            return len(a) + len(b)
        gap = min(slow(a[1:], b), slow(a, b[1:])) + 1
        return min(gap, slow(a[1:], b[1:]) + (a[0] != b[0]))

    for _ in range(50):
        a, b = (tuple("XYZ"[i] for i in rng.integers(0, 3, rng.integers(0, 6))) for _ in range(2))
        assert pronounce.distance(a, b) == slow(a, b)
    said = [("A", "B"), ("A",), ("C", "B", "A")]
    listed = [[("A", "B")], [("B", "A"), ("B",)], [("A", "B")]]
    per, wer = pronounce.error_rates(said, listed)
    assert per == pytest.approx(100 * (0 + 1 + 2) / (2 + 1 + 2))
    assert wer == pytest.approx(200 / 3)


def test_forecasts_of_a_linear_series():
    """AR finds what made it; the linear network of NARX, fed with what it said, does the same."""
    forecast = example("forecast")
    x = np.zeros(400)
    x[:2] = 1, 0.5
    for t in range(2, 400):
        x[t] = 1.8 * x[t - 1] - 0.95 * x[t - 2] + 0.3 * np.sin(0.7 * t)
    x = forecast.normalised(x)
    said = forecast.linear(x, 300, 320, 7)
    np.testing.assert_allclose(said, x[327:], atol=1e-3)
    assert forecast.nrmse(said, x[327:]) < 1e-3
    assert forecast.nrmse(np.full_like(x[327:], x[327:].mean()), x[327:]) == pytest.approx(1)
    weights, *_ = np.linalg.lstsq(forecast.windows(x, 40, 1).T, x[41:], rcond=None)
    chain = gru_native.Chain([gru_native.Conv1d(1, 1, forecast.LAGS, padding="causal", bias=False)])
    with chain.editing() as w:
        (name,) = w
        w[name][...] = weights
    np.testing.assert_allclose(forecast.step_by_step(chain, x, 320, 7), x[327:], atol=0.02)


def test_mackey_glass_by_small_steps():
    forecast = example("forecast")
    x, step = np.full(17_000 + 40_000, 1.2), 0.001
    for i in range(17_000, len(x)):  # Euler's method
        before = x[i - 1 - 17_000]
        x[i] = x[i - 1] + step * (0.2 * before / (1 + before**10) - 0.1 * x[i - 1])
    found = forecast.mackey_glass(40, skipped=0)
    np.testing.assert_allclose(found, forecast.normalised(x[16_999::1000][:40]), atol=0.01)


def test_lines_of_catalogues():
    classify = example("classify")
    entry = '#: a.py\nmsgid ""\n"Log in "\n"%(name)s now"\nmsgstr "Melde <b>dich</b> \\"an\\""\n'
    assert classify.catalogues.part(entry, "msgid") == "Log in now"
    assert classify.catalogues.part(entry, "msgstr") == 'Melde dich "an"'
    german = classify.catalogues.messages("de")
    assert german["Yes"] == "Ja"
    assert len(german) > 500
    learnt, held_out = classify.lines()
    assert {i for _, i in learnt} == {i for _, i in held_out} == {*range(24)}
    assert 0.07 < len(held_out) / (len(learnt) + len(held_out)) < 0.13
    assert not {*learnt} & {*held_out}


def test_capitals_and_signs():
    tag = example("tag")
    text = "Yes, it IS: don't Ask me. Why?"
    letters, labels = tag.labelled(text)
    assert letters == "yes it is don't ask me why"
    assert tag.restored(letters, labels) == text
    assert tag.labelled("a , b")[0] == "a b"  # a sign that stands alone is left out
    nothing = np.zeros_like(labels)
    assert tag.f1(labels, labels) == {"capitals": 100, "signs": 100, "F1 %": 100}
    assert tag.f1(nothing, labels) == {"capitals": 0, "signs": 0, "F1 %": 0}
    half = np.where(np.arange(len(labels)) < 2, labels, 0)  # one capital of five, no sign
    assert tag.f1(half, labels)["capitals"] == pytest.approx(200 / (1 + 5))
    assert tag.f1(half, labels)["F1 %"] == pytest.approx(200 / (1 + 9))
    found = tag.by_words(letters, labels, "is why me it")
    assert tag.restored("is why me it", found) == "IS: Why? me. it"


def test_each_letter_has_text_on_both_sides():
    """What is said of a long text is what is said of its parts, seen from within."""
    tag = example("tag")
    blocks = [gru_native.Embedding(28, 4, seed=1), gru_native.GRU(4, 5, bidirectional=True, seed=2)]
    chain = gru_native.Chain([*blocks, gru_native.Dense(10, 14, seed=3)])
    ids = np.random.default_rng(4).integers(0, 28, 500)
    found = tag.said(chain, ids)
    assert found.shape == (500,)
    inside = chain(ids[:, None])[0].argmax(-1)[:, 0]
    assert (found == inside).mean() > 0.97


def test_naive_bayes():
    classify = example("classify")
    learnt = [("aab", 0), ("aac", 0), ("bbc", 1), ("bbb", 1)]
    assert classify.naive_bayes(learnt, ["aa", "b", "bba", "zzb"]).tolist() == [0, 1, 1, 1]


def test_words_that_are_held_out_are_not_learnt():
    pronounce = example("pronounce")
    data = pronounce.dictionary()
    assert not set(data.training) & set(data.held_out)
    share = len(data.held_out) / (len(data.training) + len(data.held_out))
    assert 0.09 < share < 0.11
    model = pronounce.Model.new(data.phonemes, 8, 0)
    words, _ = next(model.batches(data.training, 64, np.random.default_rng(0)))
    assert set(words) <= set(data.training)


def test_pieces_of_words():
    pieces = example("pieces")
    text = "Low, lower: the lowest of the news (it’s new)."
    assert "".join(pieces.words(text)) == f" {text}"
    parts = pieces.Pieces([text, "lowest news"], 12)
    assert parts.text(parts.numbers("the newest low")) == "the newest low"
    assert " lowe" in parts.names  # of lower and lowest, twice
    assert len(parts.numbers("lowest")) == 1
    assert len(parts.numbers("xylophone")) > 1
    assert pieces.UNKNOWN in parts.numbers("xylophone")
    whole = pieces.Pieces(["a rose is a rose", "is it"], None)
    assert whole.names[2:] == [" a", " is", " rose"]
    assert whole.numbers("a rose it") == [2, 4, pieces.UNKNOWN]


def test_a_language_or_a_package_that_is_not_there():
    translate = example("translate")
    with pytest.raises(SystemExit, match="--to xx: the catalogues of django have too little of it"):
        translate.pairs("xx", ["django"])
    for name in ("nothing", "nothing.at_all"):
        with pytest.raises(SystemExit, match=f"needs the catalogues of {name}: pip install"):
            translate.pairs("de", ["django", name])


def test_a_dictionary_out_of_translations():
    translate = example("translate")
    learnt = [("the cat", "die Katze"), ("the dog", "der Hund"), ("a cat", "eine Katze")]
    table = translate.dictionary([*learnt, ("the fish", "der Fisch")])
    assert {w: table[w] for w in (" cat", " a")} == {" cat": " Katze", " a": " eine"}
    assert translate.bleu(["eine Katze"], ["eine Katze"]) == pytest.approx(100)
    assert translate.bleu(["ein Hund"], ["eine Katze"]) < 1


@pytest.mark.parametrize("kind", ["grConv", "GRU", "GRU and attention"])
def test_a_translator_learns_by_heart_and_is_the_same_out_of_its_files(kind, tmp_path):
    translate = example("translate")
    rows = [([2, 3, 4], [3, 2]), ([4, 3], [2, 2, 4]), ([2], [4]), ([3, 3, 2, 4], [3])]
    new = translate.Translator.new(kind, 5, 5, 16, seed=1)
    adam = gru_native.optim.Adam(new.layers, lr=0.02)
    for _ in range(150):
        new.learn(*([pair[i] for pair in rows] for i in (0, 1)), adam)
    new.save(tmp_path, "net")
    again = translate.Translator.load(tmp_path, "net")
    assert again.write([read for read, _ in rows]) == [written for _, written in rows]


def test_words_by_frequency():
    """Words are numbered by how often they come, and those held out count for nothing."""
    vocabulary = example("vocabulary")
    text = vocabulary.numbered("The cat, the DOG. " * 1000 + "It's rare " * 2, 3)
    assert text.learnt[:6].tolist() == [1, 2, 3, 1, 4, 5]  # "the" first, the others as they came
    assert len(text.held_out) == 500
    assert len(text.learnt) + len(text.held_out) == 6004
    np.testing.assert_array_equal(np.bincount(text.learnt), text.counts - 1)
    assert set(text.learnt[-4:]) == {0}


def test_perplexity_of_words_is_that_of_the_model(tmp_path):
    """A model of files says what a chain with a softmax over all words says by hand."""
    vocabulary = example("vocabulary")
    rng = np.random.default_rng(3)
    made = vocabulary.softmaxes(8, rng.integers(1, 9, 30), 4)
    ids = rng.integers(0, 30, 20 * 31)
    for name, make in made.items():
        model = vocabulary.Model.new(30, 8, make(), 1).read_again(tmp_path, name)
        streams = ids.reshape(20, 31).T
        h, _ = model.chain(streams[:-1])
        if name == "all words":
            scores = model.softmax.dense(h).astype(float)
            log_p = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        else:
            log_p = model.softmax.log_probability(h)
        np.testing.assert_allclose(np.exp(log_p).sum(-1), 1, rtol=1e-5)
        nats = -np.take_along_axis(log_p, streams[1:, :, None], -1).mean()
        assert model.perplexity(ids) == pytest.approx(np.exp(nats), rel=1e-5), name


def test_expressions_in_brackets():
    gates = example("gates")
    python = {"no": "False", "false": "False", "yes": "True", "true": "True", "xor": "!="}
    some = gates.expressions(300, 3, np.random.default_rng(1))
    for words, value in zip(some.words, some.values, strict=True):
        assert eval(" ".join(python.get(word, word) for word in words)) == value, words
        assert not gates.is_held_out(words)
    held_out = gates.expressions(50, 3, np.random.default_rng(2), held_out=True)
    assert all(map(gates.is_held_out, held_out.words))
    for text in ("( no and yes )", "( ( no or yes ) xor true )"):
        assert gates.is_whole(text.split())
    for text in ("no and yes", "( no", "( no or no ) xor ( no and no )", "no )", "( ( no or no )"):
        assert not gates.is_whole(text.split())
