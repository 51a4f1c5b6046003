"""The files of a run: results.json, results.csv, results.md and the plots."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from comparison import few_bits, tables, targets
from comparison.rows import FULL_PRECISION, Row, Step
from comparison.targets import Target
from measuring import machine
from measuring.cases import GROUPS
from measuring.limits import Limits
from measuring.placement import Placement
from measuring.table import write_csv


@dataclass
class Run:
    """All that was measured."""

    machine: dict[str, Any]
    threads: list[int]
    precision: str = FULL_PRECISION  # of the weights, ours and those of the peers
    limits: Limits | None = None
    rows: list[Row] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    checks: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    placement: Placement | None = None  # where the processors are, while rows are timed

    @property
    def main_threads(self) -> int:
        """The number of threads that plots and the README show."""
        return 2 if 2 in self.threads else max(self.threads)

    def targets(self) -> list[Target]:
        if self.precision != FULL_PRECISION:
            return few_bits.evaluate(
                self.rows, self.precision, self.main_threads, self.machine["isa"]
            )
        return targets.evaluate(self.rows, self.steps, self.limits, self.checks)


def write(run: Run, out: Path) -> list[Path]:
    """Into the folder `out`; the files written."""
    out.mkdir(parents=True, exist_ok=True)
    drawn: list[Path] = []
    try:
        from comparison import plots

        drawn = plots.all_plots(run.rows, run.machine, run.main_threads, out, run.precision)
    except ImportError as error:
        run.notes.append(f"no plots: {error}")
    paths = [out / "results.json", out / "results.csv", out / "results.md"]
    paths[0].write_text(json.dumps(_json(run), indent=1) + "\n")
    write_csv([row.flat() for row in run.rows], paths[1])
    paths[2].write_text(_markdown(run))
    return paths + drawn


def _json(run: Run) -> dict[str, Any]:
    return {
        "machine": run.machine,
        "threads": run.threads,
        "precision": run.precision,
        "limits": asdict(run.limits) if run.limits else None,
        "rows": [row.flat() for row in run.rows],
        "steps_in_cpp": run.steps,
        "checks": run.checks,
        "held_to": [asdict(t) for t in run.targets()],
        "notes": run.notes,
    }


def _markdown(run: Run) -> str:
    """Ready for the README: the main number of threads first, then the others."""
    order = [run.main_threads, *(n for n in run.threads if n != run.main_threads)]
    shown = [
        made
        for threads in order
        for group in GROUPS
        if (made := tables.of_rows(run.rows, group, threads, run.precision))
    ]
    if run.steps:
        shown.append(tables.of_steps(run.steps, run.limits))
    if run.limits:
        shown.append(tables.of_limits(run.limits))
    shown.append(tables.of_targets(run.targets()))
    parts = [
        f"Medians of one run, microseconds a call, {run.precision}. {machine.line(run.machine)}.",
        *(made.markdown() for made in shown),
    ]
    if run.notes:
        parts.append("\n".join(f"- {note}" for note in run.notes))
    return "\n\n".join(parts) + "\n"
