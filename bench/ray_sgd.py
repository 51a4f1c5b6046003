"""Asynchronous training on Ray: the loss against time, for one and two workers.

python bench/ray_sgd.py [--steps 1200] [--staleness 0 1 4 16] [--out FOLDER]

A language model of characters (an LSTM with a projection, as in the paper that trained so [1]_)
learns from Python's manual by Adagrad, as in [2]_. Each batch has 16 pieces of text of one length
between 10 and 200 characters, so that steps take different times, as utterances do. Every run looks
at the same number of batches: two workers make half as many steps each. A worker has one thread.

The loss is that of batches before they are learnt from, as a mean over the last 100. Needs the
extras ``ray`` and ``bench``.

.. [1] H. Sak, A. Senior and F. Beaufays, arXiv:1402.1128, 2014.
.. [2] J. Dean et al., "Large Scale Distributed Deep Networks", NIPS 2012.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
import ray
from matplotlib import pyplot as plt
from numpy.typing import NDArray

import gru_native
import gru_native.ray
from measuring import machine

BATCH, SHORTEST, LONGEST, OVER = 16, 10, 200, 100
STYLES = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")

Ids = NDArray[np.int64]


def read_text() -> tuple[int, Ids]:
    """How many characters there are, and the text in them."""
    paragraphs = dict.fromkeys("\n\n".join(topics.values()).split("\n\n"))
    codes = np.frombuffer("\n\n".join(paragraphs).encode("utf-32-le"), np.dtype("<u4"))
    alphabet, ids = np.unique(codes, return_inverse=True)
    return len(alphabet), ids.astype(np.int64)


def batches(text: Ids, worker: int, step: int) -> Ids:
    rng = np.random.default_rng([worker, step])
    length = int(rng.integers(SHORTEST, LONGEST))
    begins = rng.integers(0, len(text) - length - 1, BATCH)
    return text[begins + np.arange(length + 1)[:, None]]  # (steps + 1, batch)


def loss(model: gru_native.Chain, text: Ids) -> tuple[float, Any]:
    y, _, tape = model.forward(text[:-1])
    value, dy = gru_native.losses.cross_entropy(y, text[1:])
    gradients = model.backward(tape, dy)
    gru_native.clip_gradients(gradients.weights, 1.0)
    return value, gradients


def optimizer(layers: Any) -> gru_native.optim.Adagrad:
    return gru_native.optim.Adagrad(layers, lr=0.05, initial_accumulator_value=1e-4)


def smoothed(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over the last OVER, fewer at the begin."""
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    ends = np.arange(1, len(sums))
    begins = np.maximum(0, ends - OVER)
    return (sums[ends] - sums[begins]) / (ends - begins)


def run(
    text: Ids, characters: int, batches_in_all: int, workers: int, staleness: int
) -> dict[str, Any]:
    model = gru_native.Chain(
        [
            gru_native.Embedding(characters, 64, seed=0),
            gru_native.LSTM(64, 256, proj_size=128, seed=1),
            gru_native.Dense(128, characters, seed=2),
        ]
    )
    _, history = gru_native.ray.train_async(
        *(model, loss, partial(batches, text), optimizer),
        steps=batches_in_all // workers,
        workers=workers,
        staleness=staleness,
        threads=1,
    )
    return {
        "workers": workers,
        "staleness": staleness,
        "time": history.time.tolist(),
        "loss": smoothed(history.loss).tolist(),
        "ahead": int(history.ahead.max()),
        "stale": float(history.staleness.mean()),
    }


def table(runs: list[dict[str, Any]], points: NDArray[np.float64]) -> str:
    """In Markdown: the loss after so many seconds."""
    after = [f"after {t:g} s" for t in points]
    heads = ["workers", "staleness", "batches/s", *after, "at the end", "ahead, at most", "stale"]
    lines = [heads, ["---"] * len(heads)]
    for r in runs:
        time, losses = np.array(r["time"]), np.array(r["loss"])
        at = [f"{np.interp(t, time, losses):.3f}" if t <= time[-1] else "" for t in points]
        lines.append(
            [
                *(str(r["workers"]), str(r["staleness"]) if r["workers"] > 1 else "-"),
                *(f"{len(time) / time[-1]:.1f}", *at),
                f"{losses[-1]:.3f} ({time[-1]:.1f} s)",
                *(str(r["ahead"]), f"{r['stale']:.2f}"),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def draw(runs: list[dict[str, Any]], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7, 4))
    for r, colour in zip(runs, STYLES, strict=False):
        name = f"2 workers, staleness {r['staleness']}" if r["workers"] > 1 else "1 worker"
        axes.plot(r["time"][OVER:], r["loss"][OVER:], color=colour, label=name, linewidth=1.2)
    axes.set_xlabel("seconds")
    axes.set_ylabel(f"nats a character, mean of {OVER} batches")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, bbox_inches="tight", dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1200, help="batches of a run (default: 1200)")
    parser.add_argument("--staleness", type=int, nargs="+", default=[0, 1, 4, 16])
    parser.add_argument(
        "--out", type=Path, default=Path("bench/results") / machine.instruction_set()
    )
    options = parser.parse_args()
    characters, text = read_text()
    ray.init(num_cpus=3, include_dashboard=False, object_store_memory=300_000_000)
    runs = [run(text, characters, options.steps, 1, 0)]
    runs += [run(text, characters, options.steps, 2, s) for s in options.staleness]
    ray.shutdown()
    longest = max(r["time"][-1] for r in runs)
    points = np.array([round(longest * part) for part in (0.2, 0.4, 0.6)], np.float64)
    options.out.mkdir(parents=True, exist_ok=True)
    made = table(runs, points)
    print(made)
    about = {**machine.describe({"ray": ray.__version__}), "batches": options.steps}
    (options.out / "ray.md").write_text(made, encoding="utf-8")
    (options.out / "ray.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    draw(runs, options.out / "ray.png")


if __name__ == "__main__":
    main()
