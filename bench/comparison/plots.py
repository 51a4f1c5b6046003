"""PNG plots: time against hidden size, ratio per shape, percentage of the limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

from comparison.rows import FULL_PRECISION, Row
from comparison.tables import TITLES
from measuring.cases import RANDOM
from measuring.problem import OURS

# Okabe and Ito's colours, told apart by all; markers say the same in black and white.
STYLES = {
    OURS: ("#0072B2", "o"),
    FULL_PRECISION: ("#56B4E9", "v"),  # ours, beside int8 and bf16
    "PyTorch": ("#D55E00", "s"),
    "ONNX Runtime": ("#009E73", "^"),
    "OpenVINO": ("#CC79A7", "D"),
}
CELLS = {  # and how far off the middle of the line, so that none hides another
    "lstm": ("#0072B2", "o", -0.16),
    "gru": ("#D55E00", "s", 0.0),
    "rnn": ("#009E73", "^", 0.16),
}
plt.rcParams.update({"font.size": 10, "axes.grid": True, "grid.alpha": 0.3, "savefig.dpi": 150})


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, bbox_inches="tight")
    plt.close(figure)


def _plain(axis: Any) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
    axis.set_tick_params(which="minor", length=0)


def _median(row: Row, name: str) -> float | None:
    if name == FULL_PRECISION:
        return row.full_precision
    found = row.ours if name == OURS else row.peers.get(name, (None,))[0]
    return found.median if found else None


def time_by_size(rows: Sequence[Row], where: str, precision: str, path: Path) -> None:
    """Microseconds a call against hidden size at B=1: a panel for each cell and length."""
    chosen = [r for r in rows if r.case.group == "inference" and r.case.batch == 1]
    cells = list(dict.fromkeys(r.case.cell for r in chosen))
    lengths = sorted({r.case.seq_len for r in chosen})
    if not chosen:
        return
    figure, panels = plt.subplots(
        len(cells),
        len(lengths),
        figsize=(5 * len(lengths), 3.6 * len(cells)),
        squeeze=False,
        layout="constrained",
    )
    for i, cell in enumerate(cells):
        for j, length in enumerate(lengths):
            panel = panels[i][j]
            here = [r for r in chosen if (r.case.cell, r.case.seq_len) == (cell, length)]
            here.sort(key=lambda r: r.case.hidden_size)
            for name, (colour, marker) in STYLES.items():
                points = [(r.case.hidden_size, 1e6 * t) for r in here if (t := _median(r, name))]
                if points:
                    width = 2.2 if name == OURS else 1.4
                    panel.plot(
                        *zip(*points, strict=True),
                        color=colour,
                        marker=marker,
                        lw=width,
                        label=f"{OURS}, {name}" if name == FULL_PRECISION else name,
                    )
            limits = [(r.case.hidden_size, 1e6 * r.limit) for r in here if r.limit]
            if limits:
                style = {"color": "0.4", "ls": ":", "marker": ".", "label": "limit of the machine"}
                panel.plot(*zip(*limits, strict=True), **style)
            panel.set(xscale="log", yscale="log", xlabel="input and hidden size (units)")
            panel.set(ylabel="time a call (microseconds)")
            panel.set_title(f"{cell.upper()}, {length} step{'s' if length > 1 else ''}, batch 1")
            panel.set_xticks([r.case.hidden_size for r in here])
            _plain(panel.xaxis)
            _plain(panel.yaxis)
    panels[0][0].legend(fontsize=9)
    figure.suptitle(f"Inference, {precision}, {where}: lower is better")
    _save(figure, path)


def _per_shape(
    rows: Sequence[Row],
    value: Callable[[Row], float | None],
    title: str,
    label: str,
    lines: Sequence[float],
    log: bool,
    path: Path,
) -> None:
    """One line per shape, one marker per cell, one panel per group."""
    chosen = [(r, v) for r in rows if (v := value(r)) is not None]
    groups = [g for g in TITLES if g not in RANDOM and any(r.case.group == g for r, _ in chosen)]
    if not groups:
        return
    labels = {
        g: list(dict.fromkeys(r.case.label for r, _ in chosen if r.case.group == g)) for g in groups
    }
    counts = [len(labels[g]) for g in groups]
    figure, panels = plt.subplots(
        len(groups),
        1,
        figsize=(9, 1.6 + 0.3 * sum(counts) + 0.7 * len(groups)),
        sharex=True,
        squeeze=False,
        height_ratios=[n + 0.6 for n in counts],
        layout="constrained",
    )
    for panel, group in zip(panels[:, 0], groups, strict=True):
        for cell, (colour, marker, shift) in CELLS.items():
            points = [
                (v, labels[group].index(r.case.label) + shift)
                for r, v in chosen
                if (r.case.group, r.case.cell) == (group, cell)
            ]
            if points:
                panel.scatter(
                    *zip(*points, strict=True),
                    color=colour,
                    marker=marker,
                    s=34,
                    zorder=3,
                    label=cell.upper(),
                )
        for at in lines:
            panel.axvline(at, color="0.25", lw=1, ls="--")
        panel.set_yticks(range(len(labels[group])), labels[group])
        panel.set_ylim(len(labels[group]) - 0.4, -0.6)
        panel.set_title(TITLES[group], loc="left", fontsize=10)
        if log:
            panel.set_xscale("log")
            _plain(panel.xaxis)
    if log:
        _few_ticks(panels[-1, 0], [v for _, v in chosen])
    else:
        panels[-1, 0].set_xlim(0, max(100.0, *(v * 1.03 for _, v in chosen)))
    panels[0, 0].legend(loc="best", fontsize=9)
    panels[-1, 0].set_xlabel(label)
    figure.suptitle(title)
    _save(figure, path)


def _few_ticks(panel: Any, values: Sequence[float]) -> None:
    """1, 2, 5, 10, ... as far as the values go."""
    ticks = [m * 10.0**e for e in range(-2, 5) for m in (1, 2, 5)]
    panel.set_xticks([t for t in ticks if min(values) / 2.5 <= t <= max(values) * 2.5])


def all_plots(
    rows: Sequence[Row], machine: dict[str, Any], threads: int, out: Path, precision: str
) -> list[Path]:
    where = f"{threads} thread{'s' if threads > 1 else ''}, {machine['isa']}"
    here = [r for r in rows if r.threads == threads]
    paths = [out / name for name in ("time.png", "ratio.png", "limit.png")]
    for path in paths:  # none from an older run may stay
        path.unlink(missing_ok=True)
    time_by_size(here, where, precision, paths[0])
    _per_shape(
        here,
        lambda r: r.ratio,
        f"Speed against the best peer, {precision}, {where}",
        "time of the best peer / time of gru_native (right of 1: gru_native is faster)",
        [1.0],
        True,
        paths[1],
    )
    _per_shape(
        [r for r in here if r.case.group != "streaming"],
        lambda r: r.percent,
        f"How close to the limit of the machine, {precision}, {where}",
        "least possible time / time of gru_native (percent; dashed: 60 and 80)",
        [60.0, 80.0],
        False,
        paths[2],
    )
    return [path for path in paths if path.exists()]
