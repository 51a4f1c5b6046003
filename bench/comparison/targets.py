"""What the project is held to, with what this run measured: the table at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from comparison.rows import Row, Step
from measuring.limits import Limits

# RNTeural (C++, sizes compiled in), microseconds a step on a core of 250 GFLOP/s.
RTNEURAL = {
    ("lstm", 1, 8): 0.054,
    ("lstm", 1, 16): 0.059,
    ("lstm", 1, 20): 0.14,
    ("lstm", 1, 40): 0.24,
    ("lstm", 1, 64): 0.53,
    ("lstm", 64, 64): 1.07,
    ("lstm", 128, 128): 4.6,
    ("lstm", 256, 256): 21.0,
    ("gru", 1, 8): 0.049,
    ("gru", 1, 64): 0.32,
    ("gru", 64, 64): 0.80,
    ("gru", 128, 128): 3.4,
}
RTNEURAL_FLOPS = 250e9
RTNEURAL_FACTOR = 1.3


@dataclass(frozen=True)
class Target:
    what: str
    wanted: str
    measured: str
    met: bool | None  # None: not measured in this run
    where: str = ""  # the row that comes worst off


def step_target(step: Step, limits: Limits) -> float | None:
    """Nanoseconds within which a streaming step in C++ should stay, if there is a figure for it."""
    figure = RTNEURAL.get((step["cell"], step["input"], step["hidden"]))
    if figure is None or step["what"] != "stream":
        return None
    return figure * 1e3 * RTNEURAL_FLOPS / limits.flops_one / RTNEURAL_FACTOR


def _text(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.2f}"


def _least(
    what: str,
    wanted: float,
    values: Iterable[tuple[str, float | None]],
    unit: str = "x",
) -> Target:
    """Holds if the least value is at least what is wanted."""
    text = f">= {wanted:g}{unit}"
    found = [(value, name) for name, value in values if value is not None]
    if not found:
        return Target(what, text, "not measured", None)
    value, name = min(found)
    digits = 0 if unit == " %" else 2
    short = sum(v < wanted for v, _ in found)
    measured = f"{value:.{digits}f}{unit}" + (f" ({short} of {len(found)} below)" if short else "")
    return Target(what, text, measured, value >= wanted, name)


def _most(
    what: str, wanted: float, values: Iterable[tuple[str, float | None]], unit: str
) -> Target:
    """Holds if the largest value is at most what is wanted."""
    found = [(value, name) for name, value in values if value is not None]
    if not found:
        return Target(what, f"<= {wanted:g}{unit}", "not measured", None)
    value, name = max(found)
    return Target(what, f"<= {wanted:g}{unit}", _text(value) + unit, value <= wanted, name)


def evaluate(
    rows: Sequence[Row], steps: Sequence[Step], limits: Limits | None, checks: dict[str, Any]
) -> list[Target]:
    """Every target, on 2 threads where that was measured, else on the most that were."""
    counts = {r.threads for r in rows}
    threads = 2 if 2 in counts else max(counts, default=1)
    here = [r for r in rows if r.threads == threads]
    return (
        _speed(here) + _training(here) + _shapes(here, rows) + _random(here)
        + _steps(here, steps, limits) + _limits(here) + _one_thread(rows) + _costs(checks)
    )  # fmt: skip


def _ratios(rows: Iterable[Row]) -> list[tuple[str, float | None]]:
    return [(r.name, r.ratio) for r in rows]


def _percents(rows: Iterable[Row]) -> list[tuple[str, float | None]]:
    return [(r.name, r.percent) for r in rows]


def _forward(rows: Iterable[Row]) -> list[Row]:
    return [r for r in rows if r.case.group in ("inference", "stacks")]


def geometric_mean(ratios: Iterable[float | None]) -> float | None:
    logs = [math.log(ratio) for ratio in ratios if ratio]
    return math.exp(sum(logs) / len(logs)) if logs else None


def _speed(rows: Sequence[Row]) -> list[Target]:
    gated = [r for r in rows if r.case.group == "inference" and r.case.cell != "rnn"]
    small = [
        r
        for r in rows
        if r.case.group == "inference"
        and (r.case.seq_len, r.case.batch) == (100, 1)
        and r.case.hidden_size <= 256
    ]
    return [
        _least("inference, every row, to the best peer", 1.0, _ratios(_forward(rows))),
        _least(
            "inference, LSTM and GRU, geometric mean",
            1.8,
            [("", geometric_mean(r.ratio for r in gated))],
        ),
        _least("T=100, B=1, H <= 256, to the best peer", 2.0, _ratios(small)),
    ]


def _training(rows: Sequence[Row]) -> list[Target]:
    def of(cell: str, wanted: Callable[[int], bool]) -> list[tuple[str, float | None]]:
        return [
            (r.name, r.ratio_to("PyTorch"))
            for r in rows
            if r.case.group == "training" and r.case.cell == cell and wanted(r.case.batch)
        ]

    return [
        _least("training, LSTM, B=1, to PyTorch", 2.5, of("lstm", lambda b: b == 1)),
        _least("training, LSTM, B=8, to PyTorch", 1.4, of("lstm", lambda b: b == 8)),
        _least("training, LSTM, B>=32, to PyTorch", 1.15, of("lstm", lambda b: b >= 32)),
        _least("training, GRU, B=1, to PyTorch", 8.0, of("gru", lambda b: b == 1)),
        _least("training, GRU, every row, to PyTorch", 2.8, of("gru", lambda b: True)),
    ]


def _shapes(rows: Sequence[Row], all_rows: Sequence[Row]) -> list[Target]:
    ragged = [r for r in rows if r.case.lengths]
    alone = {r.case: r.ours.median for r in all_rows if r.threads == 1}
    gains = [
        (r.name, alone[r.case] / r.ours.median)
        for r in rows
        if r.case.group == "stacks" and r.case.batch == 1 and r.threads > 1 and r.case in alone
    ]
    to_full = [(r.name, r.ours.median / r.full_batch if r.full_batch else None) for r in ragged]
    packed = [(r.name, r.ratio_to("PyTorch")) for r in ragged]
    return [
        _most("ragged batch, to a full batch of as many steps", 1.10, to_full, "x"),
        _least("ragged batch, to PackedSequence", 3.0, packed),
        _least("bidirectional and stacked, B=1, 2 cores to 1", 1.6, gains),
    ]


# Of random shapes: the group, its name, the peer or None for the best one, and at least what ratio
# 95 % of the rows, every row and the geometric mean should have.
RANDOM_HELD_TO = (
    ("random", "random shapes, to the best peer", None, 1.0, 0.9, 1.8),
    ("random_training", "random training, to PyTorch", "PyTorch", 1.05, 0.95, 2.5),
)
RANDOM_SHARE = 95.0


def _random(rows: Sequence[Row]) -> list[Target]:
    found = []
    for group, what, peer, most, every, mean in RANDOM_HELD_TO:
        own = [r for r in rows if r.case.group == group]
        ratios = [(r.name, r.ratio_to(peer) if peer else r.ratio) for r in own]
        known = [ratio for _, ratio in ratios if ratio]
        share = 100 * sum(ratio >= most for ratio in known) / len(known) if known else None
        found += [
            _least(f"{what}: share of {most:g}x and more", RANDOM_SHARE, [("", share)], " %"),
            _least(f"{what}: every row", every, ratios),
            _least(f"{what}: geometric mean", mean, [("", geometric_mean(known))]),
        ]
    return found


def _steps(rows: Sequence[Row], steps: Sequence[Step], limits: Limits | None) -> list[Target]:
    streaming = [r for r in rows if r.case.group == "streaming"]
    small = [(r.name, r.ours.median * 1e6) for r in streaming if r.case.hidden_size <= 64]
    to_onnx = [(r.name, r.ratio_to("ONNX Runtime")) for r in streaming if r.case.hidden_size <= 128]
    streams = [s for s in steps if s["what"] == "stream" and s["threads"] <= 2]
    named = [(f"{s['cell'].upper()} {s['input']}->{s['hidden']}, {s['threads']} thr.", s)
             for s in streams]  # fmt: skip
    speeds: list[tuple[str, float | None]] = []
    for name, s in named:
        target = step_target(s, limits) if limits else None
        speeds.append((name, target * RTNEURAL_FACTOR / s["ns"] if target else None))
    streamed = [s for s in steps if s["what"] in ("stream", "block")]
    allocations = [(f"{s['what']} of {s['cell'].upper()} {s['input']}->{s['hidden']}, "
                    f"{s['threads']} thr.", s["allocations"]) for s in streamed]  # fmt: skip
    return [
        _most("one step from Python, H <= 64", 3.0, small, " us"),
        _least("one step from Python, H <= 128, to ONNX Runtime", 3.0, to_onnx),
        _least("one step in C++, to RTNeural scaled by the FMA rate", RTNEURAL_FACTOR, speeds),
        _most("steps and blocks in C++, allocations", 0, allocations, ""),
    ]


def _limits(rows: Sequence[Row]) -> list[Target]:
    training = [r for r in rows if r.case.group == "training"]
    return [
        _least(f"{size}, {kind}, of the limit", wanted, _percents(filter(fits, chosen)), " %")
        for kind, chosen in (("inference (T=1 in C++)", _forward(rows)), ("training", training))
        for size, wanted, fits in (
            ("B >= 8", 80, lambda r: r.case.batch >= 8),
            ("B < 8", 60, lambda r: r.case.batch < 8),
        )
    ]


def _one_thread(rows: Sequence[Row]) -> list[Target]:
    return [
        _least(
            "1 thread, every row, to the best peer on 1",
            1.0,
            _ratios(r for r in rows if r.threads == 1),
        )
    ]


def _costs(checks: dict[str, Any]) -> list[Target]:
    def value(check: str, key: str) -> float | None:
        found: float | None = checks.get(check, {}).get(key)
        return found

    memory = checks.get("memory", {})
    neighbour = checks.get("neighbour", {})
    slowdown = value("denormals", "slowdown")
    return [
        _most(
            "peak memory, of x + y + weights twice + 16 MB",
            100,
            [(memory.get("shape", ""), value("memory", "percent"))],
            " %",
        ),
        _most(
            "import gru_native, beyond NumPy",
            30,
            [("", value("import_time", "milliseconds"))],
            " ms",
        ),
        _most(
            "denormal numbers, longer by",
            10,
            [("", None if slowdown is None else 100 * (slowdown - 1))],
            " %",
        ),
        _most(
            "beside a busy process, to alone",
            neighbour.get("fair", 2.0),
            [("LSTM T=100 B=1 H=256", neighbour.get("slowdown"))],
            "x",
        ),
        _most("idle threads sleep within", 100, [("", value("idle", "microseconds"))], " us"),
        _most(
            "one step from Python beyond its arithmetic, H <= 64",
            1.2,
            [("stream", value("step", "stream_us")), ("layer", value("step", "layer_us"))],
            " us",
        ),
        _most(
            "packing a new LSTM 512->512, to a copy of its weights",
            1.5,
            [(what, value("packing", what)) for what in ("new", "call")],
            "x",
        ),
    ]
