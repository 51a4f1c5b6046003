"""What is being said, by looking and listening: watch, listen, attend and spell.

As in the paper [1]_, one network watches a mouth and one listens, each a bidirectional GRU; a
decoder looks at both with an attention for each, and spells the words letter by letter. In training
the sound or the picture of some phrases is missing, so that the same network can do with either.
The phrases are commands as those of the GRID corpus [2]_, such as "place blue at F two now", short
parts of them first; espeak-ng says them (see speech.py). The mouths are drawn: small moving
pictures of 12 by 8 dots, whose opening and width follow from the phonemes, of which many look
alike (see mouths.py). Whenever a phrase is learnt from, it has another face, which is larger or
smaller and moves a little, and another voice. Voices of the test are unseen. An error rate counts
wrong, missing and needless letters, at several levels of noise. The simple method always says what
is most often said at each place.

    python lips.py --minutes 8

.. [1] J. S. Chung, A. Senior, O. Vinyals and A. Zisserman, "Lip Reading Sentences in the Wild",
   CVPR 2017, arXiv:1611.05358.
.. [2] M. Cooke, J. Barker, S. Cunningham and X. Shao, "An Audio-visual Corpus for Speech Perception
   and Automatic Speech Recognition", Journal of the Acoustical Society of America 120, 2006.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import common
import speech
from gru_native import (
    GRU,
    AttentionDecoder,
    Chain,
    Dense,
    clip_gradients,
    load,
    losses,
    optim,
    save,
)
from mouths import HEIGHT, SLOWER, WIDTH, mouth
from pronounce import error_rates

NAME, MINUTES = "lips", 6.0
COMMAND = (
    ("bin", "lay", "place", "set"),
    ("blue", "green", "red", "white"),
    ("at", "by", "in", "with"),
    tuple("ABCDEFGHIJKLMNOPQRSTUVXYZ"),
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    ("again", "now", "please", "soon"),
)
LETTERS = " abcdefghijklmnopqrstuvwxyz"  # number 0 is the end, and the start
NOISE = (20, 10, 0, -5, -10, -15)  # decibels
ROWS = 16


def commands(count: int, seed: int, *, whole: bool) -> list[str]:
    """Some commands, or any parts of them."""
    rng = np.random.default_rng(seed)
    places, found = len(COMMAND), []
    for _ in range(count):
        begin, end = (0, places) if whole else sorted(rng.choice(places + 1, 2, replace=False))
        found.append(" ".join(str(rng.choice(words)) for words in COMMAND[begin:end]))
    return found


class Clip(NamedTuple):
    """What is seen and heard of a phrase."""

    text: str
    seen: speech.Floats  # (steps, HEIGHT * WIDTH)
    heard: speech.Floats  # (steps, SLOWER * BANDS)
    names: Sequence[str]  # the phoneme of each frame of the sound


def clips(utterances: Sequence[speech.Utterance], seed: int) -> list[Clip]:
    rng = np.random.default_rng(seed)
    made = []
    for said in utterances:
        seen = mouth(said.names, rng)
        heard = said.frames[: SLOWER * len(seen)].reshape(len(seen), -1)
        made.append(Clip(said.text.lower(), seen.reshape(len(seen), -1), heard, said.names))
    return made


def anew(clip: Clip, rng: np.random.Generator) -> Clip:
    """Said by another face, and as from a longer or shorter throat: it stretches the bands."""
    places = np.minimum(np.arange(speech.BANDS) * rng.uniform(0.88, 1.12), speech.BANDS - 1)
    below = np.minimum(places.astype(int), speech.BANDS - 2)
    share = (places - below).astype(np.float32)
    heard = clip.heard.reshape(-1, speech.BANDS)
    heard = heard[:, below] * (1 - share) + heard[:, below + 1] * share
    heard += rng.normal(0, 0.2, speech.BANDS).astype(np.float32)
    return clip._replace(
        seen=mouth(clip.names, rng).reshape(clip.seen.shape), heard=heard.reshape(clip.heard.shape)
    )


def batches(
    learnt: Sequence[Clip], course: common.Course, seed: int
) -> Iterator[tuple[float, list[Clip]]]:
    """The share of the time, and phrases of about one length, short ones first."""
    rng = np.random.default_rng(seed)
    by_length = sorted(learnt, key=lambda clip: len(clip.seen))
    for done in course:
        known = int(min(1.0, 0.2 + 2 * done) * len(by_length))
        begin = int(np.sqrt(rng.random()) * (known - ROWS + 1))  # longer ones more often
        yield done, by_length[begin : begin + ROWS]


class Speller:
    """Two encoders and a decoder with two attentions."""

    def __init__(self, eyes: Chain, ears: Chain, decoder: AttentionDecoder) -> None:
        self.eyes, self.ears, self.decoder = eyes, ears, decoder

    @classmethod
    def new(cls, units: int, seed: int) -> Speller:
        def encoder(numbers: int, seed: int) -> Chain:
            first = Dense(numbers, units, activation="relu", seed=seed)
            return Chain([first, GRU(units, units, bidirectional=True, seed=seed + 1)])

        decoder = AttentionDecoder(
            1 + len(LETTERS), 16, 2 * units, 2 * units, cell="gru", num_memories=2, seed=seed + 4
        )
        eyes, ears = encoder(HEIGHT * WIDTH, seed), encoder(SLOWER * speech.BANDS, seed + 2)
        return cls(eyes, ears, decoder)

    def learn(self, chosen: Sequence[Clip], kept: NDArray[np.bool_], adam: optim.Adam) -> float:
        """One step; ``kept`` (2, rows) says which are seen and which heard. The mean loss."""
        seen, heard, lengths = _padded(chosen, kept)
        memory, _, tape_eyes = self.eyes.forward(seen, lengths=lengths)
        other, _, tape_ears = self.ears.forward(heard, lengths=lengths)
        steps = np.array([len(clip.text) + 1 for clip in chosen])
        targets = np.zeros((steps.max(), len(chosen)), np.int64)
        for b, clip in enumerate(chosen):
            targets[: len(clip.text), b] = [1 + LETTERS.index(c) for c in clip.text]
        fed = np.pad(targets[:-1], ((1, 0), (0, 0)))
        logits, _, tape = self.decoder.forward(
            fed, [memory, other], memory_lengths=[lengths, lengths], lengths=steps
        )
        counted = np.arange(len(targets))[:, None] < steps
        loss, dlogits = losses.cross_entropy(logits, np.where(counted, targets, -1), ignore=-1)
        of_decoder = self.decoder.backward(tape, dlogits)
        grads: list[Any] = [
            of_decoder,
            self.eyes.backward(tape_eyes, of_decoder.memory[0], input_gradient=False),
            self.ears.backward(tape_ears, of_decoder.memory[1], input_gradient=False),
        ]
        clip_gradients([g for each in grads for g in each.weights.values()], 1.0)
        adam.step(grads)
        return float(loss)

    def spell(self, shown: Sequence[Clip], *, sees: bool, hears: bool) -> list[str]:
        found = []
        for start in range(0, len(shown), 64):
            part = shown[start : start + 64]
            kept = np.array([[sees], [hears]]).repeat(len(part), 1)
            seen, heard, lengths = _padded(part, kept)
            memories = [
                encoder(x, lengths=lengths)[0]
                for encoder, x in ((self.eyes, seen), (self.ears, heard))
            ]
            hypotheses = self.decoder.generate(
                memories,
                memory_lengths=[lengths, lengths],
                start=0,
                end=0,
                max_steps=50,
                beam_size=2,
            )
            found += ["".join(LETTERS[i - 1] for i in best[0].ids if i) for best in hypotheses]
        return found

    def save_and_read(self, folder: Path) -> Speller:
        eyes, ears = (
            common.read_again(part, folder / f"{name}.safetensors")
            for name, part in (("eyes", self.eyes), ("ears", self.ears))
        )
        save(self.decoder, folder / "decoder.safetensors")
        decoder = load(folder / "decoder.safetensors")
        assert isinstance(decoder, AttentionDecoder)
        return Speller(eyes, ears, decoder)


def _padded(chosen: Sequence[Clip], kept: NDArray[np.bool_]) -> tuple[Any, Any, speech.Numbers]:
    seen, lengths = speech.padded([clip.seen for clip in chosen])
    heard, _ = speech.padded([clip.heard for clip in chosen])
    return seen * kept[0][:, None], heard * kept[1][:, None], lengths


def learn(model: Speller, learnt: Sequence[Clip], course: common.Course, seed: int) -> None:
    rng = np.random.default_rng(seed)
    adam = optim.Adam([model.decoder, model.eyes, model.ears], lr=4e-3)
    mean, phrases = float(np.log(len(LETTERS))), 0
    for done, chosen in batches(learnt, course, seed):
        adam.lr = 4e-3 * (1 - done)
        kept = np.ones((2, len(chosen)), bool)
        missing = rng.integers(4, size=len(chosen))  # of every second phrase one of the two
        kept[0], kept[1] = missing != 0, missing != 1
        spoken = [anew(clip, rng) for clip in chosen]
        mean += 0.02 * (model.learn(spoken, kept, adam) - mean)
        phrases += len(chosen)
        course.figures = f"loss {mean:.3f}  {phrases:,} phrases"


def error_rate(found: Sequence[str], right: Sequence[Clip]) -> float:
    """Of the letters, in percent."""
    return error_rates([tuple(text) for text in found], [[tuple(clip.text)] for clip in right])[0]


def usual(texts: Sequence[str]) -> str:
    """What is said most often at each place."""
    words = zip(
        *(text.lower().split() for text in texts if len(text.split()) == len(COMMAND)), strict=True
    )
    return " ".join(Counter(said).most_common(1)[0][0] for said in words)


def run(options: common.Options) -> common.Result:
    count, units, seconds = (1500, 48, 12.0) if options.quick else (8000, 96, 60 * options.minutes)
    levels = NOISE[::2] if options.quick else NOISE
    seed = options.seed
    some = commands(count, seed, whole=False)
    others = commands(60 if options.quick else 120, seed + 1, whole=True)
    spoken = [speech.utterances(options.out, some, speech.VOICES, decibels=(-20, 20), seed=seed)]
    for noise in levels:
        level = (noise, noise)
        spoken.append(
            speech.utterances(options.out, others, speech.UNSEEN, decibels=level, seed=seed + 1)
        )
    learnt, *judged = (clips(said, seed) for said in speech.normalised(*spoken))
    print(
        f"{speech.minutes(spoken[0]):.0f} minutes of phrases to learn from, {len(others)} to judge "
        f"by at {len(levels)} levels of noise; {seconds:.0f} s of training"
    )
    model = Speller.new(units, seed)
    learn(model, learnt, common.Course(seconds, 1200 if options.quick else None), seed)
    again = model.save_and_read(options.out)

    always = error_rate([usual(some)] * len(others), judged[0])
    by_lips = error_rate(again.spell(judged[0], sees=True, hears=False), judged[0])
    rows: list[dict[str, Any]] = []
    for noise, shown in zip(levels, judged, strict=True):
        by_sound = error_rate(again.spell(shown, sees=False, hears=True), shown)
        by_both = error_rate(again.spell(shown, sees=True, hears=True), shown)
        rows.append(
            {
                "speech above noise, dB": noise,
                "lips": by_lips,
                "sound": by_sound,
                "both": by_both,
                "always the usual": always,
            }
        )
    for clip, found in zip(
        judged[-1], again.spell(judged[-1][:5], sees=True, hears=True), strict=False
    ):
        print(f"{clip.text:30} spelt {found}")
    common.picture(options.out / "errors.png", lambda axes: draw(axes, rows))
    common.picture(options.out / "mouth.png", lambda axes: show(axes, judged[0][0]), size=(9, 2))
    return common.Result(float(np.mean([row["both"] for row in rows])), always, False, rows)


def draw(axes: Any, rows: list[dict[str, Any]]) -> None:
    noise, *methods = rows[0]
    for method in methods:
        line = ":" if method.startswith("always") else "o-"
        axes.plot([row[noise] for row in rows], [row[method] for row in rows], line, label=method)
    axes.invert_xaxis()
    axes.set(xlabel=noise, ylabel="wrong letters, %", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()


def show(axes: Any, clip: Clip) -> None:
    """Its pictures, 12 in a row."""
    whole = len(clip.seen) // 12 * 12
    pictures = clip.seen[:whole].reshape(-1, 12, HEIGHT, WIDTH).swapaxes(1, 2)
    axes.imshow(pictures.reshape(-1, 12 * WIDTH), cmap="gray")
    axes.set(xticks=[], yticks=[], title=clip.text)


if __name__ == "__main__":
    sys.exit(common.main(run, NAME, MINUTES))
