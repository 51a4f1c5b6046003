"""Truncated back-propagation through time, until the time or the steps are used up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ..optim import Adam
from ..training import clip_gradients
from .model import CharacterModel
from .progress import Show
from .text import Indices, windows

BATCH = 16
LENGTH = 32
NORM = 1.0  # of the gradients, at most
BETAS = 0.9, 0.99
RATES = {"gru": 2e-3, "lstm": 3e-3, "rnn": 1e-3}  # of learning, at the start


class Trained(NamedTuple):
    """What the training took."""

    characters: int
    seconds: float
    interrupted: bool


def train(
    model: CharacterModel,
    text: Indices,
    *,
    seconds: float,
    steps: int | None,
    rate: float,
    seed: int,
    show: Show,
) -> Trained:
    """Train for so many steps if given, else for so many seconds, or until Ctrl-C.

    The learning rate falls from ``rate`` to zero.
    """
    state: Any = None
    bits = np.log2(len(model.alphabet))  # a running mean
    began = perf_counter()
    adam = Adam(model.chain, rate, betas=BETAS)
    with ctrl_c() as interrupted:
        course = windows(text, LENGTH, BATCH, np.random.default_rng(seed))
        for step, (first, characters, following) in enumerate(course):
            elapsed = perf_counter() - began
            done = min(1.0, step / steps if steps else elapsed / seconds)
            if step:
                show(done, bits, step * BATCH * LENGTH / elapsed)
            if done == 1 or interrupted.is_set():
                break
            lesson = model.learn(characters, following, None if first else state)
            state = lesson.state
            clip_gradients(lesson.gradients, NORM)
            adam.lr = rate * (1 - done)
            adam.step(lesson.gradients)
            bits += (lesson.bits - bits) * max(0.02, 1 / (step + 1))
    return Trained(step * BATCH * LENGTH, elapsed, interrupted.is_set())


@contextmanager
def ctrl_c() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets inside the block, the first time; the second time is as usual."""
    pressed = threading.Event()

    def press(*_: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
