"""Speech whose phonemes are known in time: what the systems here that listen learn from.

espeak-ng says the phrases in many voices, pitches and speeds, and tells where each phoneme begins.
With noise added, the sound becomes frames: every 10 ms the logarithm of the energy in 40 bands of
the mel scale, over 25 ms. Debian calls the package `espeak-ng`.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tag import manual

# Of both sets some are men's and some women's.
VOICES = ("m1", "m2", "m3", "m4", "m6", "m7", "f1", "f2", "f4", "Andrea")
UNSEEN = ("m5", "m8", "f3", "f5")
BANDS = 40
RATE = 22050  # samples a second, espeak-ng's
STEP, WIDTH = RATE / 100, RATE // 40  # samples from frame to frame; in a frame

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]


class Recording(NamedTuple):
    """What was said, without noise."""

    text: str
    wave: NDArray[np.int16]
    phonemes: list[tuple[str, int]]  # with the sample that it begins at; "" is silence


class Utterance(NamedTuple):
    """What the systems see of it."""

    text: str
    frames: Floats  # (frames, BANDS)
    names: list[str]  # the phoneme of each frame
    phonemes: list[str]  # one after the other, without times and silence


# --- espeak-ng


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("type", "identifier", "text", "length", "time")),
        ("sample", ctypes.c_int),
        ("user", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)
_LAST, _PHONEME = 0, 7  # types of events
_SYNCHRONOUS, _PHONEME_EVENTS, _UTF8 = 2, 1, 1
_SPEED, _PITCH, _RANGE = 1, 3, 4  # parameters


@cache
def library() -> ctypes.CDLL | None:
    """espeak-ng, where it is installed."""
    try:
        found = ctypes.CDLL(ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1")
    except OSError:
        return None
    ready = found.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS) == RATE
    return found if ready else None


def say(text: str, voice: str, *, speed: int = 170, pitch: int = 50, range_: int = 50) -> Recording:
    """A phrase in American English. The speed is in words a minute, the others from 0 to 100."""
    espeak = library()
    if espeak is None:
        raise SystemExit("this needs espeak-ng: apt install espeak-ng")
    pieces: list[NDArray[np.int16]] = []
    phonemes: list[tuple[str, int]] = []
    failures: list[BaseException] = []

    def take(wave: Any, count: int, events: Any) -> int:
        try:
            if wave and count:
                pieces.append(np.ctypeslib.as_array(wave, (count,)).copy())
            for i in range(sys.maxsize):
                if events[i].type == _LAST:
                    break
                if events[i].type == _PHONEME and events[i].id != b";":  # a mark of the one before
                    phonemes.append((_plain(events[i].id.decode()), events[i].sample))
        except BaseException as error:  # Ctrl-C, too: no exception goes through C
            failures.append(error)
        return bool(failures)

    callback, heard = _Callback(take), text.encode()
    espeak.espeak_SetSynthCallback(callback)
    espeak.espeak_SetVoiceByName(f"en-us+{voice}".encode())
    for parameter, value in ((_SPEED, speed), (_PITCH, pitch), (_RANGE, range_)):
        espeak.espeak_SetParameter(parameter, value, 0)
    espeak.espeak_Synth(heard, len(heard) + 1, 0, 1, 0, _UTF8, None, None)
    if failures:
        raise failures[0]
    return Recording(text, np.concatenate(pieces), phonemes)


_FOLDED = {"_": "", "_:": "", "?": "", "O": "O:", "A:": "A@", "U@": "U", "aI@": "aI"}


def _plain(name: str) -> str:
    """espeak-ng's name without the marks of variants; of rare phonemes that of the next."""
    name = re.sub(r"(?<=.)[-#!2-9]+$", "", name)
    return _FOLDED.get(name, name)


# --- phrases


def phrases(words: int = 5) -> tuple[list[str], list[str]]:
    """From the prose of Python's manual: some to learn from, and the last tenth of it."""
    found = re.findall(r"[A-Za-z']*[A-Za-z]", manual())
    cut = [" ".join(found[i : i + words]) for i in range(0, len(found) - words + 1, words)]
    return cut[: 9 * len(cut) // 10], cut[9 * len(cut) // 10 :]


def recordings(texts: Sequence[str], voices: Sequence[str], seed: int) -> Iterator[Recording]:
    """Each phrase in a voice, at a pitch and a speed that are drawn."""
    rng = np.random.default_rng(seed)
    for text in texts:
        speed, pitch, range_ = rng.integers((130, 25, 25), (230, 75, 75)).tolist()
        voice = voices[int(rng.integers(len(voices)))]
        yield say(text, voice, speed=speed, pitch=pitch, range_=range_)


# --- from sound to frames


@cache
def _filters() -> list[tuple[int, Floats]]:
    """Of each band the first bin of the spectrum, and weights from there on.

    They are triangles, equally far apart in mel from 80 Hz to 8 kHz.
    """
    low, high = 2595 * np.log10(1 + np.array([80, 8000]) / 700)
    mel = np.linspace(low, high, BANDS + 2)
    corner = 700 * (10 ** (mel / 2595) - 1)
    bins = np.arange(513)[:, None] * RATE / 1024
    up = (bins - corner[:-2]) / (corner[1:-1] - corner[:-2])
    down = (corner[2:] - bins) / (corner[2:] - corner[1:-1])
    filters = np.maximum(0, np.minimum(up, down)).astype(np.float32)
    ends = [(np.argmax(f > 0), len(f) - np.argmax(f[::-1] > 0)) for f in filters.T]
    return [(int(a), f[a:b]) for f, (a, b) in zip(filters.T, ends, strict=True)]


def log_mel(wave: NDArray[Any]) -> Floats:
    """(samples,) to (frames, BANDS)."""
    count = 1 + int((len(wave) - WIDTH) / STEP)
    starts = np.round(np.arange(count) * STEP).astype(int)
    parts = np.lib.stride_tricks.sliding_window_view(wave, WIDTH)[starts]
    spectrum = np.abs(np.fft.rfft(parts * np.hamming(WIDTH).astype(np.float32), 1024)) ** 2
    bands = [
        np.einsum("tf,f->t", spectrum[:, begin : begin + len(f)], f) for begin, f in _filters()
    ]
    return np.log(np.stack(bands, axis=1) + 1e4, dtype=np.float32)


@cache
def _noise() -> Floats:
    """Pink noise, of variance 1: with as much energy in each octave, much as speech has."""
    white = np.fft.rfft(np.random.default_rng(0).standard_normal(2**20))
    pink = np.fft.irfft(white / np.sqrt(np.maximum(1, np.arange(len(white)))))
    return np.asarray(pink / pink.std(), np.float32)


def heard(said: Recording, decibels: float, rng: np.random.Generator) -> Utterance:
    """With noise so far below the speech."""
    begin = rng.integers(len(_noise()) - len(said.wave))
    noise = _noise()[begin : begin + len(said.wave)]
    wave = said.wave.astype(np.float32)
    frames = log_mel(wave + wave.std() * 10 ** (-decibels / 20) * noise)
    middles = np.arange(len(frames)) * STEP + WIDTH / 2
    begins = [sample for _, sample in said.phonemes]
    names = ["", *(name for name, _ in said.phonemes)]
    of_frames = [names[i] for i in np.searchsorted(begins, middles, side="right")]
    return Utterance(said.text, frames, of_frames, [*filter(None, names)])


def utterances(
    folder: Path,
    texts: Sequence[str],
    voices: Sequence[str],
    *,
    decibels: tuple[float, float],
    seed: int,
) -> list[Utterance]:
    """Each phrase, with noise between two levels. They are kept in ``folder``, and found there."""
    key = repr((texts, voices, decibels, seed))
    path = folder / f"speech-{sha256(key.encode()).hexdigest()[:12]}.npz"
    if path.exists():
        with np.load(path) as file:
            return _unpacked({name: file[name] for name in file.files})
    rng = np.random.default_rng(seed + 1)
    made = [heard(said, rng.uniform(*decibels), rng) for said in recordings(texts, voices, seed)]
    np.savez(path, **_packed(made))
    return made


def _packed(made: Sequence[Utterance]) -> dict[str, Any]:
    return {
        "texts": np.array([u.text for u in made]),
        "frames": np.concatenate([u.frames for u in made]),
        "ends": np.cumsum([len(u.frames) for u in made]),
        "names": np.array([name for u in made for name in u.names]),
        "phonemes": np.array([" ".join(u.phonemes) for u in made]),
    }


def _unpacked(file: dict[str, NDArray[Any]]) -> list[Utterance]:
    names = file["names"].tolist()
    begins = [0, *file["ends"].tolist()[:-1]]
    return [
        Utterance(text, file["frames"][begin:end], names[begin:end], phonemes.split())
        for text, begin, end, phonemes in zip(
            file["texts"].tolist(),
            begins,
            file["ends"].tolist(),
            file["phonemes"].tolist(),
            strict=True,
        )
    ]


def normalised(learnt: Sequence[Utterance], *others: Sequence[Utterance]) -> list[list[Utterance]]:
    """All of them; each band of the first has mean 0 and variance 1."""
    frames = np.concatenate([u.frames for u in learnt])
    mean, deviation = frames.mean(axis=0), frames.std(axis=0)
    return [
        [u._replace(frames=(u.frames - mean) / deviation) for u in each]
        for each in (learnt, *others)
    ]


def learnt_and_judged(
    folder: Path, words: int, decibels: tuple[float, float], seed: int, few: int | None = None
) -> tuple[list[Utterance], list[Utterance], dict[str, int]]:
    """Phrases of so many words to learn from, others in other voices, and the phonemes' numbers.

    few: how many of the first, and a tenth as many of the others; None: all.
    """
    some, others = phrases(words)
    if few:
        some, others = some[:few], others[: few // 10]
    learnt, judged = normalised(
        utterances(folder, some, VOICES, decibels=decibels, seed=seed),
        utterances(folder, others, UNSEEN, decibels=decibels, seed=seed),
    )
    return learnt, judged, inventory(learnt)


def minutes(said: Sequence[Utterance]) -> float:
    """How long they are."""
    return sum(len(u.frames) for u in said) / 6000


def inventory(learnt: Sequence[Utterance]) -> dict[str, int]:
    """A number for each phoneme; silence is 0."""
    return {name: i for i, name in enumerate(sorted({"", *(n for u in learnt for n in u.names)}))}


def labels_of(said: Utterance, numbers: dict[str, int]) -> Numbers:
    """The number of each frame's phoneme; one that was not learnt has a number of its own."""
    return np.array([numbers.get(name, len(numbers)) for name in said.names])


class Gaussians:
    """The simple method: a Gaussian for each phoneme and band, and how often each is said."""

    def __init__(self, learnt: Sequence[Utterance], numbers: dict[str, int]) -> None:
        frames = np.concatenate([u.frames for u in learnt])
        labels = np.concatenate([labels_of(u, numbers) for u in learnt])
        of = [frames[labels == i] for i in range(len(numbers))]
        self.often = np.log([len(part) / len(frames) for part in of])
        self.means = np.array([part.mean(axis=0) for part in of])
        self.variances = np.array([part.var(axis=0) for part in of])

    def __call__(self, frames: Floats) -> Numbers:
        """The likeliest phoneme of each frame by itself."""
        distance = (frames[:, None] - self.means) ** 2 / self.variances + np.log(self.variances)
        return np.asarray((self.often - distance.sum(-1) / 2).argmax(-1))

    def accuracy(self, judged: Sequence[Utterance], numbers: dict[str, int]) -> float:
        """Of the frames, in percent."""
        right = np.concatenate([self(u.frames) == labels_of(u, numbers) for u in judged])
        return 100 * float(right.mean())


def padded(rows: Sequence[Floats]) -> tuple[Floats, Numbers]:
    """(longest, rows, columns), zeros past the ends, and the lengths."""
    lengths = np.array([*map(len, rows)])
    x = np.zeros((lengths.max(), len(rows), rows[0].shape[1]), np.float32)
    for b, row in enumerate(rows):
        x[: len(row), b] = row
    return x, lengths
