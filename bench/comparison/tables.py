"""The tables, as columns of text: rich draws them on the terminal, report.py writes Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from comparison import targets
from comparison.rows import FULL_PRECISION, Row, Step
from comparison.targets import Target
from measuring.limits import Limits
from measuring.problem import OURS
from measuring.table import Table, number

TITLES = {
    "inference": "Inference",
    "stacks": "Inference: stacks, bidirectional, ragged",
    "training": "Training step: forward and all gradients",
    "streaming": "One streaming step from Python",
    "random": "Inference: random shapes",
    "random_training": "Training step: random shapes",
}


def _us(seconds: float | None) -> str:
    return number(None if seconds is None else seconds * 1e6)


def _line(row: Row, peers: Sequence[str], cpp: bool, full: bool) -> Iterator[str]:
    yield row.case.name
    yield _us(row.ours.median)
    if cpp:
        yield _us(row.ours_in_cpp)
    if full:
        yield _us(row.full_batch)
    for name in peers:
        timing, threads = row.peers.get(name, (None, 0))
        fewer = f" ({threads} thr.)" if timing and threads < row.threads else ""
        yield _us(timing.median if timing else None) + fewer
    yield number(row.ratio, "x")
    yield f"{_us(row.limit)} {row.bound}".strip()
    yield "-" if row.percent is None else f"{row.percent:.0f} %"


def of_rows(
    rows: Sequence[Row], group: str, threads: int, precision: str = FULL_PRECISION
) -> Table | None:
    """Microseconds a call of one group at one number of threads."""
    chosen = [r for r in rows if r.case.group == group and r.threads == threads]
    if not chosen:
        return None
    peers = list(dict.fromkeys(name for r in chosen for name in r.peers))
    cpp = any(r.ours_in_cpp for r in chosen)
    full = any(r.full_batch for r in chosen)
    if precision != FULL_PRECISION:
        return _of_few_bits(chosen, peers, precision, threads)
    header = ["us a call", OURS]
    header += ["in C++"] * cpp + ["full batch"] * full + peers
    header += ["best peer / ours", "limit", "of the limit"]
    title = f"{TITLES[group]}, float32, {threads} thread{'s' if threads > 1 else ''}"
    lines = [tuple(_line(r, peers, cpp, full)) for r in chosen]
    return Table(title, tuple(header), lines)


def _of_few_bits(rows: Sequence[Row], peers: Sequence[str], precision: str, threads: int) -> Table:
    lines = []
    for row in rows:
        largest, mean = row.errors or (0.0, 0.0)
        times = [row.peers[peer][0].median if peer in row.peers else None for peer in peers]
        lines.append(
            (
                row.case.name,
                *map(_us, (row.ours.median, row.full_precision, *times)),
                *(number(ratio, "x") for ratio in (row.gain, row.ratio)),
                f"{largest:.4f}",
                f"{mean:.5f}",
            )
        )
    header = ("us a call", OURS, "its float32", *peers, "float32 / ours", "best peer / ours")
    title = f"Inference, {precision}, {threads} thread{'s' if threads > 1 else ''}"
    return Table(title, (*header, "largest error", "mean error"), lines)


def of_limits(limits: Limits) -> Table:
    lines = [
        (
            "float32 multiply-adds",
            *(f"{v / 1e9:.0f} GFLOP/s" for v in (limits.flops_one, limits.flops_all)),
        )
    ]
    for level in limits.levels:
        size = f" ({level.capacity >> 10} KB)" if level.capacity else ""
        lines.append(
            (f"read {level.name}{size}", *(f"{v / 1e9:.0f} GB/s" for v in (level.one, level.all)))
        )
        # L2 is not read at one rate: smaller blocks may be slower.
        inside = [c for c in limits.curve if c["bytes"] == level.capacity / 4]
        if level.name == "L2" and inside:
            rates = (f"{inside[0][key]:.0f} GB/s" for key in ("one", "all"))
            lines.append((f"read a quarter of {level.name} again and again", *rates))
    if limits.handover_ns:
        lines.append(("two cores hear from each other after", "", f"{limits.handover_ns:.0f} ns"))
    return Table(
        f"What the machine allows with {limits.isa} instructions",
        ("", "1 core", f"all {limits.cores} cores"),
        lines,
    )


def of_steps(steps: Sequence[Step], limits: Limits | None) -> Table:
    """Streaming steps in C++, with the target where RTNeural has a figure; beside them a step of a
    call with a block of 64."""

    def shape(s: Step) -> tuple[object, ...]:
        return (s["cell"], s["input"], s["hidden"], s["threads"])

    blocks = {shape(s): s for s in steps if s["what"] == "block"}
    lines = []
    for s in steps:
        if s["what"] != "stream":
            continue
        target = targets.step_target(s, limits) if limits else None
        met = "-" if target is None else ("yes" if s["ns"] <= target else "no")
        name = f"{s['cell'].upper()} {s['input']}->{s['hidden']}"
        block = blocks.get(shape(s))
        asked = s["allocations"] + (block["allocations"] if block else 0)
        times = number(s["ns"]), number(target), met, number(block["ns"] if block else None)
        lines.append((name, str(s["threads"]), *times, str(asked)))
    header = ("ns a step", "threads", "ns", "target ns", "met", "in blocks of 64", "allocations")
    return Table("One streaming step in C++", header, lines)


def of_targets(found: Sequence[Target]) -> Table:
    words = {True: "yes", False: "NO", None: "-"}
    lines = [(t.what, t.wanted, t.measured, words[t.met], t.where) for t in found]
    return Table("Held to", ("what", "wanted", "measured", "met", "worst row"), lines)
