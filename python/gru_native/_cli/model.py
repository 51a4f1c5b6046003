"""A network that predicts the next character: embedding, recurrent layer, softmax."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import GRU, LSTM, RNN, Chain, Dense
from ..losses import cross_entropy
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
        nats, dlogits = cross_entropy(logits, following)
        gradients = self.chain.backward(tape, dlogits, input_gradient=False).weights
        return Lesson(nats / float(np.log(2)), state, gradients)

    def bits_per_character(self, text: Indices) -> float:
        """How many bits each character of the text, but the first, costs."""
        nats, state = 0.0, None
        for start in range(0, len(text) - 1, CHUNK):
            following = text[start + 1 : start + 1 + CHUNK]
            characters = text[start : start + len(following)]
            logits, state = self.chain(self._one_hot[characters], state)
            nats += cross_entropy(logits, following)[0] * len(following)
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
