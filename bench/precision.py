"""Layers with int8 or bf16 weights against their own float32 and against the peers' best.

python bench/precision.py int8|bf16 [--threads N] [--seconds S] [--cells lstm gru] [--out DIR]

`compare.py --precision` is the same. Errors are against float32 outputs of the same weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console

import gru_native
from measuring import machine, native, ours, placement, problem, timing
from measuring.cases import Case
from measuring.problem import NotSupportedError, Runner
from measuring.table import Table, number
from peers import low_precision

# (steps, batch, size), and what the row is held to: (times the best peer, times our float32).
HELD_TO: dict[tuple[str, str], dict[tuple[int, int, int], tuple[float | None, float | None]]] = {
    ("int8", "lstm"): {
        (1, 1, 1024): (1.3, None),
        (100, 1, 64): (None, 0.95),
        (100, 1, 256): (1.3, None),
        (100, 1, 512): (1.3, 3.5),
        (100, 1, 1024): (1.3, 3.5),
        (100, 32, 256): (1.2, None),
        (100, 32, 512): (1.2, None),
    },
    ("int8", "gru"): {
        (1, 1, 1024): (2.5, None),
        (100, 1, 64): (3.0, 0.95),
        (100, 1, 256): (3.0, None),
        (100, 1, 512): (3.0, 3.0),
        (100, 1, 1024): (2.5, 3.0),
        (100, 32, 256): (2.5, None),
        (100, 32, 512): (2.5, None),
    },
    ("bf16", "lstm"): {
        (1, 1, 1024): (None, None),
        (100, 1, 64): (None, 0.95),
        (100, 1, 256): (None, None),
        (100, 1, 512): (1.3, 1.7),
        (100, 1, 1024): (1.3, 1.7),
        (100, 32, 256): (1.0, 1.6),
        (100, 32, 512): (1.0, 1.6),
    },
}
HELD_TO["bf16", "gru"] = HELD_TO["bf16", "lstm"]


@dataclass
class Row:
    """One case: seconds a call, and the errors of ours."""

    case: Case
    precision: str
    ours: float
    full: float  # our float32
    largest_error: float
    mean_error: float
    peers: dict[str, float] = field(default_factory=dict)

    @property
    def best(self) -> float | None:
        """The best peer's seconds over ours."""
        return min(self.peers.values()) / self.ours if self.peers else None

    @property
    def wanted(self) -> tuple[float | None, float | None]:
        shape = (self.case.seq_len, self.case.batch, self.case.hidden_size)
        return HELD_TO[self.precision, self.case.cell][shape]

    @property
    def verdict(self) -> str:
        """What is not reached; empty if all is."""
        peer, full = self.wanted
        short = []
        if peer and self.best and self.best < peer:
            short.append(f"peer {peer:g}x")
        if full and self.full / self.ours < full:
            short.append(f"float32 {full:g}x")
        return "misses " + ", ".join(short) if short else ""


def _measure(case: Case, given: argparse.Namespace, ready: timing.Ready, notes: list[str]) -> Row:
    numbers = problem.Problem(case)
    runners = [ours.runner(numbers, given.threads, "float32")]
    quantized = problem.Problem(case)
    quantized.layer = numbers.layer.quantize(given.precision)
    runners.append(ours.runner(quantized, given.threads))
    for peer in low_precision.PEERS:
        try:
            runners.append(low_precision.runner(peer, numbers, given.precision, given.threads))
        except (ImportError, NotSupportedError) as error:
            note = f"{peer}, {case.cell}: {error}"
            if note not in notes:
                notes.append(note)
    y, fast = (_outputs(runner) for runner in runners[:2])
    times = timing.measure(runners, given.seconds, 5, ready=ready)
    medians = {r.library: t.median for r, t in zip(runners, times, strict=True)}
    return Row(
        case,
        given.precision,
        medians.pop(problem.OURS),
        medians.pop("float32"),
        float(np.abs(y - fast).max()),
        float(np.abs(y - fast).mean()),
        medians,
    )


def _outputs(runner: Runner) -> problem.Array:
    with runner.around():
        return runner.outputs()["y"]


def _table(rows: Sequence[Row]) -> Table:
    lines = []
    for row in rows:
        peers = [_us(row.peers.get(peer)) for peer in low_precision.PEERS]
        ratios = (number(row.full / row.ours, "x"), number(row.best, "x"))
        errors = (f"{row.largest_error:.4f}", f"{row.mean_error:.5f}")
        own = (row.case.name, _us(row.ours), _us(row.full))
        lines.append((*own, *peers, *ratios, *errors, row.verdict))
    ratios_of = ("float32 / ours", "best peer / ours", "largest error", "mean error", "held to")
    header = ("us a call", rows[0].precision, "float32", *low_precision.PEERS, *ratios_of)
    return Table(f"{rows[0].precision} weights", header, lines)


def _us(seconds: float | None) -> str:
    return number(None if seconds is None else seconds * 1e6)


def _placement(notes: list[str]) -> placement.Placement | None:
    """What waits until two processors are two cores, if it can be built."""
    try:
        native.build()
        return placement.Placement()
    except native.BuildError as error:
        notes.append(f"measured wherever the processors just were: {error}")
        return None


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("precision", choices=["int8", "bf16"])
    parser.add_argument("--threads", type=int, default=min(2, machine.cores()))
    parser.add_argument("--seconds", type=float, default=3.0, help="to spend on each shape")
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru"], choices=["lstm", "gru"])
    parser.add_argument("--out", type=Path, help="default: bench/results/<instruction set>")
    given = parser.parse_args(argv)
    isa = gru_native.active_isa()
    given.out = given.out or native.HERE / "results" / isa.removesuffix("+dot")
    console = Console(width=200)
    notes: list[str] = []
    where = _placement(notes) if given.threads > 1 else None
    rows = []
    for cell in given.cells:
        for steps, batch, size in HELD_TO[given.precision, cell]:
            case = Case("inference", cell, steps, batch, size, size)
            rows.append(_measure(case, given, where.wait if where else lambda: None, notes))
            console.print(f"{case.name}: {rows[-1].verdict or 'held'}", highlight=False)
    table = _table(rows)
    console.print(table.rich())
    for note in notes:
        console.print(f"- {note}", highlight=False, markup=False)
    given.out.mkdir(parents=True, exist_ok=True)
    described = machine.describe({})
    head = f"{machine.line(described)}; {given.threads} threads."
    text = [head, table.markdown(), *(f"- {note}" for note in notes)]
    (given.out / f"precision_{given.precision}.md").write_text("\n\n".join(text) + "\n")
    if where:
        where.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
