"""What the systems that listen learn from, and how each of them reads it."""

import importlib
import sys
from itertools import pairwise, repeat

import numpy as np
import pytest

from builds import ROOT

sys.path.insert(0, str(ROOT / "python" / "examples"))
speech = importlib.import_module("speech")
needs_espeak = pytest.mark.skipif(speech.library() is None, reason="espeak-ng is not installed")


def utterance(rng, length, names=("", "a", "b")):
    spoken = [names[i] for i in rng.integers(len(names), size=length)]
    frames = rng.standard_normal((length, speech.BANDS)).astype(np.float32)
    return speech.Utterance("", frames, spoken, [*filter(None, spoken)])


@needs_espeak
def test_phonemes_have_their_times():
    """A hiss is high and a vowel low, where espeak-ng says that they are; silence is silent."""
    said = speech.say("sassy, see", "m1", speed=120)
    assert [name for name, _ in said.phonemes if name] == ["s", "a", "s", "i", "s", "i:"]
    clean = speech.heard(said, 60.0, np.random.default_rng(0))
    assert len(clean.frames) == len(clean.names) == 1 + (len(said.wave) - 551) // 220.5
    of = {
        name: clean.frames[np.array(clean.names) == name].mean(axis=0) for name in set(clean.names)
    }
    assert of["s"][30:].mean() > of["a"][30:].mean() + 2
    assert of["a"][:8].mean() > of["s"][:8].mean() + 2
    assert of["a"].mean() > of[""].mean() + 2
    assert speech.say("sassy, see", "f2", speed=120).wave.tolist() != said.wave.tolist()


@needs_espeak
def test_utterances_are_found_again(tmp_path, monkeypatch):
    learnt, judged = speech.phrases()
    assert len(learnt) > 1000
    assert not {*learnt} & {*judged}
    assert not {*speech.VOICES} & {*speech.UNSEEN}
    options = {"decibels": (0.0, 10.0), "seed": 1}
    made = speech.utterances(tmp_path, learnt[:5], speech.VOICES, **options)
    assert [said.text for said in made] == learnt[:5]
    monkeypatch.setattr(speech, "say", None)  # nothing is said again
    for a, b in zip(
        made, speech.utterances(tmp_path, learnt[:5], speech.VOICES, **options), strict=True
    ):
        assert (a.frames == b.frames).all()
        assert (a.text, a.names, a.phonemes) == (b.text, b.names, b.phonemes)


def test_bands_and_noise():
    """A tone is in the band around it; noise is as loud as it should be."""
    seconds = np.arange(speech.RATE) / speech.RATE
    for pitch in (300, 1000, 4000):
        wave = 3000 * np.sin(2 * np.pi * pitch * seconds)
        frames = speech.log_mel(wave)
        assert frames.shape == (98, 40)
        mel = 2595 * np.log10(1 + np.array([80, pitch, 8000]) / 700)
        place = 41 * (mel[1] - mel[0]) / (mel[2] - mel[0]) - 1
        assert (abs(frames.argmax(1) - place) < 1).all()
    tone = speech.Recording("", (3000 * np.sin(seconds * 6000)).astype(np.int16), [("a", 11025)])
    rng = np.random.default_rng(0)
    loud, quiet = (
        speech.heard(tone, decibels, rng).frames[:, 5].mean() for decibels in (0.0, 20.0)
    )
    assert loud - quiet == pytest.approx(np.log(100), abs=0.5)  # of energy
    names = speech.heard(tone, 0.0, rng).names
    assert names == [""] * 49 + ["a"] * 49


def test_normalised_by_what_is_learnt():
    rng = np.random.default_rng(2)
    learnt, judged = ([utterance(rng, 50) for _ in range(3)] for _ in range(2))
    learnt = [said._replace(frames=said.frames * 3 + 5) for said in learnt]
    one, other = speech.normalised(learnt, judged)
    frames = np.concatenate([said.frames for said in one])
    np.testing.assert_allclose(frames.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(frames.std(0), 1, atol=1e-5)
    np.testing.assert_allclose(other[0].frames * 3 + 5, judged[0].frames, atol=2.5)
    assert not np.allclose(other[0].frames, judged[0].frames, atol=0.1)


def test_gaussians():
    """They find what is far apart, and what is not they call what is most often said."""
    rng = np.random.default_rng(3)
    said = utterance(rng, 300)
    numbers = speech.inventory([said])
    assert numbers == {"": 0, "a": 1, "b": 2}
    labels = speech.labels_of(said, numbers)
    apart = said._replace(frames=said.frames + 5 * labels[:, None])
    gaussians = speech.Gaussians([apart], numbers)
    assert (gaussians(apart.frames) == labels).all()
    assert gaussians.accuracy([apart], numbers) == 100
    unknown = apart._replace(names=["z"] * 300)
    assert gaussians.accuracy([unknown], numbers) == 0


def test_windows_of_the_acoustic_model():
    """Followed row by row, they are whole utterances whose labels come five frames later."""
    acoustic = importlib.import_module("acoustic")
    rng = np.random.default_rng(4)
    utterances = [utterance(rng, length) for length in (31, 15, 40)]
    numbers = speech.inventory(utterances)
    source = acoustic.windows(
        utterances, lambda said: acoustic.lesson(said, numbers, 3), np.random.default_rng(5)
    )
    taken = [next(source) for _ in range(30)]
    starts = {said.frames[0].tobytes(): said for said in utterances}
    for row in range(acoustic.ROWS):
        x = np.concatenate([x[:, row] for x, _, _ in taken])
        labels = np.concatenate([labels[:, row] for _, labels, _ in taken])
        begins = [20 * i for i, (_, _, fresh) in enumerate(taken) if fresh[row]]
        assert begins[0] == 0
        for begin, end in pairwise(begins):
            said = starts[x[begin, 80:].tobytes()]
            count = len(said.frames)
            assert end - begin == -(-(count + 5) // 20) * 20
            part = slice(begin, begin + count)
            assert (x[part, 80:] == said.frames).all()
            assert (x[begin + 2 : begin + count, :40] == said.frames[:-2]).all()
            assert (x[begin + count : begin + count + 5, 80:] == said.frames[-1]).all()
            assert (labels[begin : begin + 5] == acoustic.SILENT).all()
            of_frames = speech.labels_of(said, numbers)
            assert (labels[begin + 5 : begin + 5 + count] == of_frames).all()
            assert (labels[begin + 5 + count : end] == acoustic.SILENT).all()


def test_networks_of_the_acoustic_model_are_about_equal():
    acoustic = importlib.import_module("acoustic")
    for units in (acoustic.UNITS, acoustic.UNITS_QUICK):
        counts = [acoustic.network(kind, n, 50, 0).num_parameters for kind, n in units.items()]
        assert max(counts) < 1.1 * min(counts)


@pytest.mark.parametrize("kind", ["CTC", "Transducer"])
def test_recognisers_learn_what_they_find(kind):
    """A few phrases by heart: each phoneme is a pattern of some steps."""
    recognise = importlib.import_module("recognise")
    rng = np.random.default_rng(6)
    patterns = rng.standard_normal((4, recognise.READ)).astype(np.float32)
    phrases = [rng.integers(1, 4, length) for length in rng.integers(1, 5, recognise.ROWS)]
    x, lengths = recognise.speech.padded(
        [patterns[np.repeat(np.insert(p, range(len(p)), 0), 2)] for p in phrases]
    )
    counts = np.array([*map(len, phrases)])
    targets = np.zeros((len(phrases), 4), np.int64)
    for target, phrase in zip(targets, phrases, strict=True):
        target[: len(phrase)] = phrase
    lesson = (x, lengths, targets, counts)
    model = recognise.CTC.new(1, 12, 4, 0)
    if kind == "Transducer":
        model = recognise.Transducer.new(model.parts["network"].blocks[0], 12, 4, 0)
    before, _ = model.learn(*lesson)

    class Steps(list):
        figures, taken = "", 0

    recognise.learn(model, repeat(lesson), Steps(np.linspace(0, 0.9, 150)), 0.02)
    after, _ = model.learn(*lesson)
    assert after < 0.1 * before
    found = [tuple(best[0].ids) for best in model.find(x, lengths)]
    assert found == [tuple(phrase) for phrase in phrases]


def test_mouths_show_phonemes():
    """Open ones are dark in the middle, wide ones are wide, and phonemes alike look alike."""
    mouths = importlib.import_module("mouths")

    def picture(name):
        said = np.array([mouths.mouth([name] * 60, np.random.default_rng(i)) for i in range(30)])
        assert said.shape == (30, 15, mouths.HEIGHT, mouths.WIDTH)
        return said.mean(axis=(0, 1))

    closed, opened, spread, rounded = map(picture, ("m", "a", "i:", "w"))
    assert (picture("b") == closed).all()
    assert closed[3:5, 4:8].mean() > opened[3:5, 4:8].mean() + 0.5
    assert spread[3:5, [3, 8]].mean() < rounded[3:5, [3, 8]].mean() - 0.2
    said = ["m"] * 30 + ["a"] * 30
    moving = np.mean([mouths.mouth(said, np.random.default_rng(i)) for i in range(30)], axis=0)
    near = [np.abs(frame - opened).mean() for frame in moving]
    assert max(near[9:]) < min(near[:6]) - 0.03


def test_commands_and_the_usual_one():
    lips = importlib.import_module("lips")
    whole, parts = lips.commands(50, 1, whole=True), lips.commands(50, 1, whole=False)
    assert {len(text.split()) for text in whole} == {6}
    assert {len(text.split()) for text in parts} == {1, 2, 3, 4, 5, 6}
    for text in whole:
        assert all(w in words for w, words in zip(text.split(), lips.COMMAND, strict=True))
    texts = ["bin blue at F one now", "set blue at F two now", "set red by F one soon", "blue"]
    assert lips.usual(texts) == "set blue at f one now"


def test_short_phrases_come_first():
    lips = importlib.import_module("lips")
    clips = [lips.Clip("", np.zeros((n, 1)), np.zeros((n, 1)), []) for n in range(100, 0, -1)]
    course = np.linspace(0, 1, 50, endpoint=False)
    chosen = [
        (done, [len(clip.seen) for clip in part]) for done, part in lips.batches(clips, course, 0)
    ]
    assert [done for done, _ in chosen] == [*course]
    assert all(len(part) == lips.ROWS for _, part in chosen)
    assert max(chosen[0][1]) <= 20
    assert max(max(part) for _, part in chosen[25:]) > 80


def test_each_network_of_the_cldnn_hears_as_much():
    """At each step the last frame that it has seen is five behind the one whose label is wanted."""
    cldnn = importlib.import_module("cldnn")
    rng = np.random.default_rng(7)
    said = [utterance(rng, 12), utterance(rng, 20)]
    numbers = speech.inventory(said)
    chains = {name: make() for name, make in cldnn.networks(3, 12, 0).items()}
    counts = [make().num_parameters for make in cldnn.networks(50, 12, 0).values()]
    assert max(counts) < 1.1 * min(counts)
    for name, chain in chains.items():
        x, lengths, labels = cldnn.heard(said, numbers, chain)
        y, _ = chain(x, lengths=lengths)
        assert labels.shape == y.shape[:2]
        for b, each in enumerate(said):
            steps = np.flatnonzero(labels[:, b] != cldnn.SILENT)
            assert (labels[steps, b] == speech.labels_of(each, numbers)).all()
            changed = x.copy()
            t = 7  # what comes from here on
            changed[cldnn.CONTEXT + t :, b] += 1
            other, _ = chain(changed, lengths=lengths)
            first = np.flatnonzero((other != y).any(-1)[:, b])[0]
            assert first == steps[0] + t - cldnn.DELAY, name
