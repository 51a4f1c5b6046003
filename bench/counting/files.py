"""The files of complexity.py: tables, rows and plots."""

from __future__ import annotations

import json
from pathlib import Path

from counting import tables
from counting.rows import Run
from measuring import machine
from measuring.table import write_csv


def write(run: Run, out: Path) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / "complexity.md"]
    fitted: list[str] = []
    if run.rows:
        paths.append(out / "complexity.csv")
        write_csv([row.flat(run.limits) for row in run.rows], paths[-1])
        try:
            from counting import plots

            drawn, fitted = plots.draw(run, out)
            paths += drawn
        except ImportError as error:
            run.notes.append(f"no plots: {error}")
    if run.counted:
        paths.append(out / "complexity_counters.csv")
        write_csv(
            [
                {"module": r.name, "parameters": r.parameters, "exact": r.exact, **r.found}
                for r in run.counted
            ],
            paths[-1],
        )
    parts = ["# Counted and measured", machine.line(run.machine), *fitted]
    parts += [made.markdown() for made in tables.of_run(run)]
    parts += ["\n".join(f"- {note}" for note in run.notes)] if run.notes else []
    if run.limits:
        parts.append(f"Limits: `{json.dumps(run.limits.to_dict(), default=vars)}`")
    paths[0].write_text("\n\n".join(parts) + "\n")
    return paths
