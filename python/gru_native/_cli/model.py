"""A network that predicts the next character: embedding, recurrent layer, softmax."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import GRU, LSTM, RNN, Chain, Dense
from .text import Indices

CELLS = {"gru": GRU, "lstm": LSTM, "rnn": RNN}
EMBEDDING = 64  # numbers that stand for a character
CHUNK = 4096  # characters that are measured at once

Floats = NDArray[np.float32]


class Lesson(NamedTuple):
    """What a window of text teaches."""

    bits: float  # per character
    state: Any  # of the chain, at the window's end
    gradients: dict[str, Floats]  # of the nats per character, by the weights' names


def new_chain(cell: str, hidden: int, characters: int, seed: int) -> Chain:
    """One character of so many in, one-hot; the logits of the next one out."""
    chain = Chain(
        [
            Dense(characters, EMBEDDING, bias=False),
            CELLS[cell](EMBEDDING, hidden, seed=seed),
            Dense(hidden, characters),
        ]
    )
    with chain.editing() as weights:
        embedding = weights["0.weight"]
        embedding[...] = 0.3 * np.random.default_rng(seed).standard_normal(embedding.shape)
        weights["2.weight"][...] = weights["2.bias"][...] = 0
    return chain


class CharacterModel:
    """The probability of each next character, given those before it."""

    def __init__(self, chain: Chain, alphabet: str) -> None:
        self.chain = chain
        self.alphabet = alphabet
        self._one_hot = np.eye(len(alphabet), dtype=np.float32)

    def learn(self, characters: Indices, following: Indices, state: Any) -> Lesson:
        """The loss on a window, (length, batch), that begins in ``state``, and its gradients."""
        logits, state, tape = self.chain.forward(self._one_hot[characters], state)
        rows, targets = logits.reshape(-1, len(self.alphabet)), following.ravel()
        nats = _cross_entropy(rows, targets)
        rows[np.arange(len(targets)), targets] -= 1  # from the softmax that they hold by now
        rows /= len(targets)
        gradients = self.chain.backward(tape, logits).weights
        return Lesson(float(nats.mean() / np.log(2)), state, gradients)

    def bits_per_character(self, text: Indices) -> float:
        """How many bits each character of the text, but the first, costs."""
        nats, state = 0.0, None
        for start in range(0, len(text) - 1, CHUNK):
            following = text[start + 1 : start + 1 + CHUNK]
            characters = text[start : start + len(following)]
            logits, state = self.chain(self._one_hot[characters], state)
            nats += float(_cross_entropy(logits, following).sum(dtype=np.float64))
        return nats / (len(text) - 1) / float(np.log(2))

    def write(
        self, prompt: Indices, count: int, temperature: float, random: np.random.Generator
    ) -> Iterator[str]:
        """New text after the prompt, character by character."""
        stream = self.chain.stream()
        logits = stream(self._one_hot[prompt])[-1]
        for _ in range(count):
            # argmax(logits / t + Gumbel noise) is a draw from softmax(logits / t)
            chances = logits / temperature + random.gumbel(size=len(self.alphabet))
            character = int(chances.argmax())
            yield self.alphabet[character]
            logits = stream(self._one_hot[character])


def _cross_entropy(logits: Floats, targets: Indices) -> Floats:
    """-log softmax(logits)[target] of each row, in nats; turns logits into their softmax."""
    logits -= logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(len(targets)), targets]
    np.exp(logits, out=logits)
    sums = logits.sum(axis=1)
    logits /= sums[:, np.newaxis]
    nats: Floats = np.log(sums) - chosen
    return nats
