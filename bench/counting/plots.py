"""PNG plots of complexity.py: time a frame against counted operations, and what is attained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt

from counting.rows import Row, Run

STYLES = {  # Okabe and Ito's colours, and markers that say the same
    "LSTM": ("#0072B2", "o"),
    "LSTMP": ("#56B4E9", "D"),
    "GRU": ("#D55E00", "s"),
    "RNN": ("#009E73", "^"),
}
plt.rcParams.update({"font.size": 10, "axes.grid": True, "grid.alpha": 0.3, "savefig.dpi": 150})


class Fit(NamedTuple):
    """seconds = factor * flops ^ exponent, by least squares of logarithms."""

    factor: float
    exponent: float
    spread: float  # root mean square of the points' distances, as a share

    def __call__(self, flops: Any) -> Any:
        return self.factor * flops**self.exponent


def fit(rows: Sequence[Row]) -> Fit:
    flops = np.log([r.flops_a_frame for r in rows])
    seconds = np.log([r.frame for r in rows])
    exponent, start = np.polyfit(flops, seconds, 1)
    off = seconds - (exponent * flops + start)
    return Fit(float(np.exp(start)), float(exponent), float(np.sqrt(np.mean(off**2))))


def _panel(panel: Any, rows: Sequence[Row], run: Run, title: str) -> Fit:
    fitted = fit(rows)
    ends = np.array([min(r.flops_a_frame for r in rows), max(r.flops_a_frame for r in rows)])
    for family, (colour, marker) in STYLES.items():
        own = sorted(
            (r.flops_a_frame / 1e6, 1e6 * r.frame) for r in rows if r.network.family == family
        )
        if own:
            x, y = zip(*own, strict=True)
            panel.scatter(x, y, color=colour, marker=marker, s=32, zorder=3, label=family)
    label = f"fitted: time ~ operations$^{{{fitted.exponent:.2f}}}$"
    panel.plot(ends / 1e6, 1e6 * fitted(ends), color="0.25", lw=1.4, label=label)
    if run.limits:
        peak = run.limits.flops(rows[0].threads)
        label = f"all FMA units busy ({peak / 1e9:.0f} GFLOP/s)"
        panel.plot(ends / 1e6, 1e6 * ends / peak, color="0.4", ls=":", label=label)
    panel.set(xscale="log", yscale="log", title=title)
    panel.set(xlabel="counted operations a frame (MFLOP)", ylabel="time a frame (microseconds)")
    panel.legend(fontsize=8)
    return fitted


def _attained(panel: Any, rows: Sequence[Row], title: str) -> None:
    for family, (colour, marker) in STYLES.items():
        own = sorted(
            (r.flops_a_frame / 1e6, 100 * r.of_least)
            for r in rows
            if r.network.family == family and r.of_least is not None
        )
        if own:
            panel.scatter(*zip(*own, strict=True), color=colour, marker=marker, s=32, label=family)
    panel.set(xscale="log", title=title, ylim=(0, 105))
    panel.set(xlabel="counted operations a frame (MFLOP)")
    panel.set(ylabel="least possible time / time (percent)")
    panel.legend(fontsize=8, loc="lower right")


def draw(run: Run, out: Path) -> tuple[list[Path], list[str]]:
    """The files, and a line for each fit."""
    path = out / "complexity.png"
    path.unlink(missing_ok=True)
    threads = max(run.threads)
    passes = {"forward": False, "training (forward and backward)": True}
    if len(run.of("acoustic", threads, False)) < 2:
        return [], []
    lines = []
    figure, panels = plt.subplots(
        2 if run.limits else 1, 2, figsize=(12, 9 if run.limits else 4.8), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for k, (name, training) in enumerate(passes.items()):
        rows = run.of("acoustic", threads, training)
        fitted = _panel(panels[0][k], rows, run, name)
        lines.append(
            f"{name}, {threads} threads: time a frame = {1e6 * fitted(1e6):.3g} us at 1 MFLOP, "
            f"growing as operations^{fitted.exponent:.3f}; points lie {100 * fitted.spread:.0f} % "
            "off (root mean square)"
        )
        if run.limits:
            _attained(panels[1][k], rows, f"attained of the machine's limit, {name}")
    n = run.of("acoustic", threads, False)[0].network
    figure.suptitle(
        f"Acoustic models, {n.seq_len} frames of {n.batch} streams, float32, {threads} threads, "
        f"{run.machine['isa']}"
    )
    figure.savefig(path, bbox_inches="tight")
    plt.close(figure)
    return [path], lines
