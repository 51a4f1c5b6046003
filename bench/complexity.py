"""Times networks beside what gru_native.complexity counts for them.

python bench/complexity.py [--quick] [--sections ...] [--threads 1 2] [--limits FILE] [--out DIR]

The acoustic models of Sak, Senior and Beaufays (2014) and more of their kind: time per frame
against counted operations. LSTM, CIFG, GRU and RNN at equal size and at equal parameters. What a
projection saves. What other libraries count (needs PyTorch and the counters). See README.md.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

import gru_native
from comparison import report
from comparison.tables import Table, number
from counting import counters, networks
from counting.networks import Network
from gru_native import complexity
from measuring import limits, machine, native, progress, timing
from measuring.timing import Timing

SECTIONS = ("acoustic", "equal", "projection", "counters")
ROUNDS = 5  # at least; with --quick 2


@dataclass(frozen=True)
class Row:
    """One network at one number of threads."""

    section: str  # acoustic, equal size, equal parameters, projection
    network: Network
    threads: int
    training: bool
    timing: Timing
    least: complexity.Roofline | None

    @property
    def seconds(self) -> float:
        """A call."""
        return self.timing.median

    @property
    def frame(self) -> float:
        """Seconds a frame."""
        return self.seconds / self.network.frames

    @property
    def flops_a_frame(self) -> float:
        return self.network.flops(self.training) / self.network.frames

    @property
    def rate(self) -> float:
        """FLOPs a second."""
        return self.flops_a_frame / self.frame

    def of_peak(self, limits: complexity.Limits | None) -> float | None:
        return None if limits is None else self.rate / limits.flops(self.threads)

    @property
    def of_least(self) -> float | None:
        return None if self.least is None else self.least.seconds / self.seconds

    def flat(self, limits: complexity.Limits | None) -> dict[str, Any]:
        n, c = self.network, self.network.count
        return {
            "section": self.section,
            "network": n.name,
            "family": n.family,
            "input_size": n.input_size,
            "hidden_size": n.hidden_size,
            "outputs": n.outputs,
            "seq_len": n.seq_len,
            "batch": n.batch,
            "threads": self.threads,
            "pass": "training" if self.training else "forward",
            "parameters": c.parameters,
            "flops_a_frame": round(self.flops_a_frame),
            "us_a_frame": _rounded(1e6 * self.frame),
            "us_a_call": _rounded(1e6 * self.seconds),
            "us_a_call_lower": _rounded(1e6 * self.timing.lower),
            "us_a_call_upper": _rounded(1e6 * self.timing.upper),
            "gflops": _rounded(self.rate / 1e9),
            "of_peak": _rounded(self.of_peak(limits)),
            "least_us_a_call": _rounded(None if self.least is None else 1e6 * self.least.seconds),
            "bound": "" if self.least is None else self.least.bound,
            "of_least": _rounded(self.of_least),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


@dataclass
class Run:
    """All that was measured and counted."""

    machine: dict[str, Any]
    limits: complexity.Limits | None
    threads: list[int]
    rows: list[Row] = field(default_factory=list)
    counted: list[counters.Row] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of(self, section: str, threads: int, training: bool) -> list[Row]:
        return [
            r
            for r in self.rows
            if (r.section, r.threads, r.training) == (section, threads, training)
        ]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few networks, less than a minute")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--threads", nargs="+", type=int, help="default: 1 and all cores")
    parser.add_argument("--seconds", type=float, help="to spend on each network (default 1)")
    parser.add_argument(
        "--limits", type=Path, metavar="FILE",
        help="what the machine allows, from a results.json of compare.py; default: measure it",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="default: bench/results/<instruction set>")
    given = parser.parse_args(argv)
    cores = machine.cores()
    given.threads = sorted(set(given.threads or [1, cores]))
    if not all(1 <= n <= cores for n in given.threads):
        parser.error(f"--threads is {given.threads}; expected numbers from 1 to {cores}, the cores")
    given.seconds = given.seconds or (0.2 if given.quick else 1.0)
    given.out = given.out or native.HERE / "results" / gru_native.active_isa()
    return given


def _limits(given: argparse.Namespace, notes: list[str]) -> complexity.Limits | None:
    if given.limits:
        return complexity.Limits.load(given.limits)
    try:
        native.build()
        measured = limits.measure(gru_native.active_isa(), given.quick)
    except native.BuildError as error:
        notes.append(f"left out: limits of the machine. {error}")
        return None
    if not measured.is_quiet:
        notes.append("The machine was not quiet while its limits were measured")
    return measured


def _groups(section: str, quick: bool) -> list[tuple[str, list[Network]]]:
    """Networks that are timed in turn, round after round, so that they can be compared."""
    if section == "acoustic":
        return [("acoustic", list(networks.acoustic(quick)))]
    if section == "projection":
        return [("projection", group) for group in networks.projections(quick)]
    batches = (1,) if quick else (1, 32)
    return [
        (name, of(batch))
        for name, of in (
            ("equal size", networks.equal_size),
            ("equal parameters", networks.equal_parameters),
        )
        for batch in batches
    ]


def _time(
    section: str, group: list[Network], run: Run, given: argparse.Namespace, tick: timing.Tick
) -> list[Row]:
    cases = [(n, training, t) for n in group for training in (False, True) for t in run.threads]
    runners = [networks.runner(*case) for case in cases]
    budget = given.seconds * len(group)
    timings = timing.measure(runners, budget, 2 if given.quick else ROUNDS, tick)
    return [
        Row(
            section,
            network,
            threads,
            training,
            t,
            network.count.roofline(run.limits, threads, training=training) if run.limits else None,
        )
        for (network, training, threads), t in zip(cases, timings, strict=True)
    ]


def _measure(
    run: Run, given: argparse.Namespace, bar: Progress, show: Callable[[Table], object]
) -> None:
    for section in given.sections:
        if section == "counters":
            task = bar.add_task("counters of others", total=None)
            run.versions = counters.installed(run.notes)
            run.counted = counters.run(list(run.versions)) if run.versions else []
            bar.remove_task(task)
            continue
        groups = _groups(section, given.quick)
        task = bar.add_task(section, total=len(groups))
        for done, (name, group) in enumerate(groups):
            run.rows += _time(name, group, run, given, progress.ticker(bar, task, done))
        bar.remove_task(task)
    for made in tables(run):
        show(made)


# --- tables


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _acoustic(run: Run, threads: int) -> Table:
    lines = []
    forward, training = (run.of("acoustic", threads, t) for t in (False, True))
    for f, t in zip(forward, training, strict=True):
        name = f"{f.network.name}, {f.network.outputs} outputs"
        line = [name, f"{f.network.count.parameters:,}"]
        for row in (f, t):
            line += [
                number(row.flops_a_frame / 1e6),
                number(1e6 * row.frame),
                number(row.rate / 1e9),
                _percent(row.of_peak(run.limits)),
                f"{_percent(row.of_least)} {row.least.bound if row.least else ''}".strip(),
            ]
        lines.append(tuple(line))
    each = ("MFLOP", "us", "GFLOP/s", "of FMA peak", "of limit")
    header = ("a frame", "parameters", *each, *(f"training: {name}" for name in each))
    return Table(f"Acoustic models, {_where(threads)}", header, lines)


def _where(threads: int) -> str:
    return f"float32, {threads} thread{'s' if threads > 1 else ''}"


def _equal(run: Run, section: str, threads: int) -> Table:
    lines = []
    pairs = list(zip(*(run.of(section, threads, t) for t in (False, True)), strict=True))
    for f, t in pairs:
        base_f, base_t = next(
            pair
            for pair in pairs
            if pair[0].network.family == "LSTM" and pair[0].network.batch == f.network.batch
        )
        n = f.network
        lines.append(
            (
                f"{n.name} H={n.hidden_size} B={n.batch}",
                f"{n.count.parameters:,}",
                number(f.flops_a_frame / 1e6),
                f"{f.flops_a_frame / base_f.flops_a_frame:.2f}x",
                number(1e6 * f.seconds),
                f"{f.seconds / base_f.seconds:.2f}x",
                number(1e6 * t.seconds),
                f"{t.seconds / base_t.seconds:.2f}x",
            )
        )
    n = pairs[0][0].network
    header = (
        "a call",
        "parameters",
        "MFLOP a frame",
        "/ LSTM",
        "us",
        "/ LSTM",
        "training us",
        "/ LSTM",
    )
    title = f"At {section}: T={n.seq_len}, {n.input_size} inputs, {_where(threads)}"
    return Table(title, header, lines)


def _projection(run: Run, threads: int) -> Table:
    lines = []
    pairs = list(zip(*(run.of("projection", threads, t) for t in (False, True)), strict=True))
    for f, t in pairs:
        n = f.network
        whole_f, whole_t = next(
            pair
            for pair in pairs
            if pair[0].network.family == "LSTM" and pair[0].network.hidden_size == n.hidden_size
        )
        r = n.options["proj_size"] or n.hidden_size
        lines.append(
            (
                n.name,
                f"{n.count.parameters:,}",
                f"{r / n.hidden_size:.3f}",
                f"{f.flops_a_frame / whole_f.flops_a_frame:.3f}",
                number(1e6 * f.frame),
                f"{f.seconds / whole_f.seconds:.3f}",
                number(1e6 * t.frame),
                f"{t.seconds / whole_t.seconds:.3f}",
            )
        )
    header = (
        "a frame",
        "parameters",
        "n_r / n_c",
        "counted",
        "us",
        "measured",
        "training us",
        "measured",
    )
    title = f"What a projection saves, 2000 outputs, {_where(threads)}"
    return Table(title, header, lines)


def _counted(run: Run) -> Table:
    def cell(found: int | str, exact: int) -> str:
        return found if isinstance(found, str) else f"{found:,} ({found / exact:.3f})"

    lines = [
        (r.name, f"{r.exact:,}", *(cell(r.found[name], r.exact) for name in run.versions))
        for r in run.counted
    ]
    names = (f"{name} {version}" for name, version in run.versions.items())
    title = (
        f"Multiply-accumulates of torch.nn modules, {counters.INPUTS} inputs, {counters.HIDDEN} "
        f"units, {counters.STEPS} steps of {counters.BATCH} sequences; in brackets: of the exact"
    )
    return Table(title, ("", "exact", *names), lines)


def tables(run: Run) -> list[Table]:
    made = []
    for threads in sorted(run.threads, reverse=True):
        if run.of("acoustic", threads, True):
            made.append(_acoustic(run, threads))
        for section in ("equal size", "equal parameters"):
            if run.of(section, threads, True):
                made.append(_equal(run, section, threads))
        if run.of("projection", threads, True):
            made.append(_projection(run, threads))
    return [*made, _counted(run)] if run.counted else made


# --- files


def _write_csv(lines: Sequence[dict[str, Any]], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)


def _write(run: Run, out: Path) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / "complexity.md"]
    fitted: list[str] = []
    if run.rows:
        paths.append(out / "complexity.csv")
        _write_csv([row.flat(run.limits) for row in run.rows], paths[-1])
        try:
            from counting import plots as complexity_plots

            drawn, fitted = complexity_plots.draw(run, out)
            paths += drawn
        except ImportError as error:
            run.notes.append(f"no plots: {error}")
    if run.counted:
        paths.append(out / "complexity_counters.csv")
        _write_csv(
            [
                {"module": r.name, "parameters": r.parameters, "exact": r.exact, **r.found}
                for r in run.counted
            ],
            paths[-1],
        )
    parts = ["# Counted and measured", report.machine_line(run.machine), *fitted]
    parts += [made.markdown() for made in tables(run)]
    parts += ["\n".join(f"- {note}" for note in run.notes)] if run.notes else []
    if run.limits:
        parts.append(f"Limits: `{json.dumps(run.limits.to_dict(), default=vars)}`")
    paths[0].write_text("\n\n".join(parts) + "\n")
    return paths


def main(argv: Sequence[str] | None = None) -> int:
    given = _arguments(argv)
    console = Console()
    if not console.is_terminal:
        console = Console(width=180)  # a file: nothing is cut off
    notes: list[str] = []
    with progress.bar(console) as bar:
        task = bar.add_task("limits of the machine", total=None)
        run = Run(machine.describe({}), _limits(given, notes), given.threads, notes=notes)
        bar.remove_task(task)
        console.print(report.machine_line(run.machine), highlight=False)
        try:
            _measure(run, given, bar, lambda made: console.print(made.rich()))
        except KeyboardInterrupt:
            notes.append("stopped before the end")
    run.machine["versions"].update(run.versions)
    paths = _write(run, given.out)
    for note in notes:
        console.print(f"- {note}", highlight=False, markup=False)
    console.print(f"Written to {given.out}: {', '.join(p.name for p in paths)}", highlight=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
