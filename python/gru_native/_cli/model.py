"""A network that predicts the next character: embedding, recurrent layer, softmax."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import GRU, LSTM, RNN
from .text import Indices

CELLS = {"gru": GRU, "lstm": LSTM, "rnn": RNN}
EMBEDDING = 64  # numbers that stand for a character
CHUNK = 4096  # characters that are measured at once

Floats = NDArray[np.float32]


class Lesson(NamedTuple):
    """What a window of text teaches."""

    bits: float  # per character
    state: Any  # of the layer, at the window's end
    gradients: dict[str, Floats]  # of the nats per character, by the parameters' names


class CharacterModel:
    """The probability of each next character, given those before it.

    embedding: (alphabet, 64); layer: 64 -> hidden; head_weight: (hidden, alphabet).
    """

    def __init__(self, cell: str, hidden: int, alphabet: str, seed: int) -> None:
        self.cell = cell
        self.alphabet = alphabet
        self.layer = CELLS[cell](EMBEDDING, hidden, seed=seed)
        random = np.random.default_rng(seed)
        self.embedding = 0.3 * random.standard_normal((len(alphabet), EMBEDDING), np.float32)
        self.head_weight = np.zeros((hidden, len(alphabet)), np.float32)
        self.head_bias = np.zeros(len(alphabet), np.float32)

    @property
    def parameters(self) -> dict[str, Floats]:
        """All parameters by name; those of the layer are read-only."""
        return self._named(self.layer.weights)

    @contextmanager
    def editing(self) -> Iterator[dict[str, Floats]]:
        """All parameters by name, to change in place."""
        with self.layer.editing() as weights:
            yield self._named(weights)

    def _named(self, layer: Mapping[str, Floats]) -> dict[str, Floats]:
        return {
            "embedding": self.embedding,
            **{f"layer.{name}": w for name, w in layer.items()},
            "head_weight": self.head_weight,
            "head_bias": self.head_bias,
        }

    def learn(self, characters: Indices, following: Indices, state: Any) -> Lesson:
        """The loss on a window, (length, batch), that begins in ``state``, and its gradients."""
        y, state, tape = self.layer.forward(self.embedding[characters], state)
        h = y.reshape(-1, y.shape[-1])
        targets = following.ravel()
        logits = self._logits(h)
        nats = _cross_entropy(logits, targets)

        dlogits = logits  # which hold the softmax by now
        dlogits[np.arange(len(targets)), targets] -= 1
        dlogits /= len(targets)
        dy = (dlogits @ self.head_weight.T).reshape(y.shape)
        layer = self.layer.backward(tape, dy)
        one_hot = np.eye(len(self.alphabet), dtype=np.float32)[characters.ravel()]
        gradients = {
            "embedding": one_hot.T @ layer.x.reshape(-1, EMBEDDING),
            **{f"layer.{name}": g for name, g in layer.weights.items()},
            "head_weight": h.T @ dlogits,
            "head_bias": dlogits.sum(axis=0),
        }
        return Lesson(float(nats.mean() / np.log(2)), state, gradients)

    def bits_per_character(self, text: Indices) -> float:
        """How many bits each character of the text, but the first, costs."""
        nats, state = 0.0, None
        for start in range(0, len(text) - 1, CHUNK):
            following = text[start + 1 : start + 1 + CHUNK]
            characters = text[start : start + len(following)]
            h, state = self.layer(self.embedding[characters], state)
            nats += float(_cross_entropy(self._logits(h), following).sum(dtype=np.float64))
        return nats / (len(text) - 1) / float(np.log(2))

    def write(
        self, prompt: Indices, count: int, temperature: float, random: np.random.Generator
    ) -> Iterator[str]:
        """New text after the prompt, character by character."""
        stream = self.layer.stream()
        h = stream(self.embedding[prompt])[-1]
        for _ in range(count):
            # argmax(logits / t + Gumbel noise) is a draw from softmax(logits / t)
            chances = self._logits(h) / temperature + random.gumbel(size=len(self.alphabet))
            character = int(chances.argmax())
            yield self.alphabet[character]
            h = stream(self.embedding[character])

    def _logits(self, h: Floats) -> Floats:
        logits: Floats = h @ self.head_weight
        logits += self.head_bias
        return logits


def _cross_entropy(logits: Floats, targets: Indices) -> Floats:
    """-log softmax(logits)[target] of each row, in nats; turns logits into their softmax."""
    logits -= logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(len(targets)), targets]
    np.exp(logits, out=logits)
    sums = logits.sum(axis=1)
    logits /= sums[:, np.newaxis]
    nats: Floats = np.log(sums) - chosen
    return nats
