"""Layers over a small large vocabulary, and rows for them."""

import numpy as np

from gru_native import losses

WORDS, COLUMNS, ROWS = 37, 11, 9
COUNTS = np.random.default_rng(0).integers(1, 50, WORDS)
CLASSES = np.random.default_rng(1).permutation(np.arange(WORDS) % 5)


def make(kind, dtype=np.float64, **options):
    """One of each kind, with the options that make it least regular."""
    own = {
        "SampledSoftmax": {"num_samples": 12},
        "NoiseContrastive": {"num_samples": 12},
        "ClassSoftmax": {"classes": CLASSES},
        "TreeSoftmax": {"counts": COUNTS},
    }[kind]
    return getattr(losses, kind)(COLUMNS, WORDS, dtype=dtype, seed=3, **{**own, **options})


KINDS = ["SampledSoftmax", "NoiseContrastive", "ClassSoftmax", "TreeSoftmax"]


def problem(seed=5, dtype=np.float64, rows=ROWS):
    rng = np.random.default_rng(seed)
    return (2 * rng.standard_normal((rows, COLUMNS))).astype(dtype), rng.integers(0, WORDS, rows)
