"""The files of a run: results.json, results.csv, results.md and the plots."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from comparison import tables as table
from comparison import targets
from comparison.rows import Row, Step
from comparison.targets import Target
from measuring.cases import GROUPS
from measuring.limits import Limits
from measuring.placement import Placement


@dataclass
class Run:
    """All that was measured."""

    machine: dict[str, Any]
    threads: list[int]
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
        return targets.evaluate(self.rows, self.steps, self.limits, self.checks)


def write(run: Run, out: Path) -> list[Path]:
    """Into the folder `out`; the files written."""
    out.mkdir(parents=True, exist_ok=True)
    drawn: list[Path] = []
    try:
        from comparison import plots

        drawn = plots.all_plots(run.rows, run.machine, run.main_threads, out)
    except ImportError as error:
        run.notes.append(f"no plots: {error}")
    paths = [out / "results.json", out / "results.csv", out / "results.md"]
    paths[0].write_text(json.dumps(_json(run), indent=1) + "\n")
    _write_csv(run.rows, paths[1])
    paths[2].write_text(_markdown(run))
    return paths + drawn


def _json(run: Run) -> dict[str, Any]:
    return {
        "machine": run.machine,
        "threads": run.threads,
        "limits": asdict(run.limits) if run.limits else None,
        "rows": [row.flat() for row in run.rows],
        "steps_in_cpp": run.steps,
        "checks": run.checks,
        "held_to": [asdict(t) for t in run.targets()],
        "notes": run.notes,
    }


def _write_csv(rows: Sequence[Row], path: Path) -> None:
    lines = [row.flat() for row in rows]
    names = list(dict.fromkeys(name for line in lines for name in line))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(lines)


def machine_line(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['isa']}, {machine['system']}; "
        f"{versions}; {machine['date']}"
    )


def _markdown(run: Run) -> str:
    """Ready for the README: the main number of threads first, then the others."""
    order = [run.main_threads, *(n for n in run.threads if n != run.main_threads)]
    tables = [
        made
        for threads in order
        for group in GROUPS
        if (made := table.of_rows(run.rows, group, threads))
    ]
    if run.steps:
        tables.append(table.of_steps(run.steps, run.limits))
    if run.limits:
        tables.append(table.of_limits(run.limits))
    tables.append(table.of_targets(run.targets()))
    parts = [
        f"Medians of one run, microseconds a call, float32. {machine_line(run.machine)}.",
        *(made.markdown() for made in tables),
    ]
    if run.notes:
        parts.append("\n".join(f"- {note}" for note in run.notes))
    return "\n\n".join(parts) + "\n"
