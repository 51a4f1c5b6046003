"""Mouths that say phonemes: small moving pictures, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import speech

HEIGHT, WIDTH = 8, 12  # of a picture
SLOWER = 4  # frames of sound to a picture: 25 pictures a second

# How far the mouth is open, and how wide it is, for phonemes that look alike. These are few: what
# tongue and throat do is not seen.
SHAPES = {
    "p b m": (0.0, 0.5),
    "f v": (0.1, 0.6),
    "T D": (0.25, 0.7),
    "t d n s z l @L": (0.2, 0.6),
    "S Z tS dZ r 3 3: w": (0.3, 0.2),
    "i i: I i@ E eI e@": (0.35, 0.85),
    "a aa aI aU V 0 A@": (0.8, 0.6),
    "u: U O: O@ oU OI o@": (0.5, 0.25),
}
SHAPE = {phoneme: shape for alike, shape in SHAPES.items() for phoneme in alike.split()}
NEUTRAL, CLOSED = (0.3, 0.5), (0.0, 0.5)  # of the others, such as k, g and h; of silence
CARELESS = 0.1  # how far the shape of a phoneme is off, each time that it is said
REACH = 17  # frames over which the lips move from one to the next
NOISE = 0.3  # of each dot


def mouth(names: Sequence[str], rng: np.random.Generator) -> speech.Floats:
    """Pictures (steps, HEIGHT, WIDTH) of a mouth that says the phonemes of these frames."""
    shapes = np.array([SHAPE.get(name, NEUTRAL) if name else CLOSED for name in names])
    number = np.cumsum([False, *(a != b for a, b in pairwise(names))])  # of each frame's phoneme
    shapes = np.clip(shapes + rng.normal(0, CARELESS, (number[-1] + 1, 2))[number], 0, 1)
    window = np.hanning(REACH)  # the lips move as phonemes change
    padded = np.pad(shapes, ((REACH // 2, REACH // 2), (0, 0)), "edge")
    middles = np.arange(len(names) // SLOWER) * SLOWER + SLOWER // 2
    near = padded[middles[:, None] + np.arange(REACH)]  # (steps, REACH, 2)
    moving = np.tensordot(window / window.sum(), near, (0, 1))
    sway = np.cumsum(rng.normal(0, 0.1, (len(moving), 2)), axis=0) + rng.normal(0, 0.4, 2)
    size = rng.uniform(0.85, 1.15)
    y = (np.arange(HEIGHT)[:, None] - (HEIGHT - 1) / 2 - sway[:, 0, None, None]) / size
    x = (np.arange(WIDTH) - (WIDTH - 1) / 2 - sway[:, 1, None, None]) / size
    opening, width = 0.3 + 2.5 * moving[:, 0, None, None], 1.5 + 2.8 * moving[:, 1, None, None]

    def inside(x_radius: Any, y_radius: Any) -> Any:
        """About 1 within an ellipse and 0 outside."""
        radius = np.sqrt((x / x_radius) ** 2 + (y / y_radius) ** 2)
        return 1 / (1 + np.exp(np.minimum(4 * (radius - 1) * y_radius, 50)))

    lips = inside(width + 0.9, opening + 0.9) - 2 * inside(width, opening)
    return np.asarray(lips + rng.normal(0, NOISE, lips.shape), np.float32)
