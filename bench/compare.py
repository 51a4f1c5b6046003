"""Compares gru_native with PyTorch, ONNX Runtime and OpenVINO, and with what the machine allows.

python bench/compare.py [--quick] [--group ...] [--cells ...] [--threads 1 2] [--out DIR] [--seed N]
python bench/compare.py --precision int8|bf16 [--quick] [--cells lstm gru] [--threads 1 2] ...

Needs `pip install "gru-native[bench]"`, and a C++ compiler for the limits of the machine and the
steps timed in C++. See bench/README.md.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.progress import Progress

import checks
import peers
from comparison import report, rows, tables
from measuring import cases, limits, machine, native, ours, placement, problem, progress, timing
from peers import low_precision

CHECKS = "checks"
ROUNDS = 5  # at least; with --quick 2


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few shapes, less than a minute")
    parser.add_argument(
        "--group", nargs="+", default=["all"], choices=[*cases.GROUPS, CHECKS, "all"],
        help="what to measure (checks: memory, import time, neighbours, ...)",
    )  # fmt: skip
    parser.add_argument(
        "--precision", choices=["int8", "bf16"],
        help="instead: layers with such weights beside the others' and our float32",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the random shapes (default 0)")
    parser.add_argument("--cells", nargs="+", choices=list(cases.GATES), help="default: all")
    parser.add_argument("--threads", nargs="+", type=int, help="default: 1, 2 and all cores")
    parser.add_argument("--seconds", type=float, help="to spend on each shape (default 4)")
    parser.add_argument("--out", type=Path, help="default: bench/results/<instruction set>")
    given = parser.parse_args(argv)
    cores = machine.cores()
    given.threads = sorted(set(given.threads or [1, 2, cores]))
    if given.seed < 0:
        parser.error(f"--seed is {given.seed}; expected a whole number from 0")
    if given.threads[0] < 1:
        parser.error(f"--threads has {given.threads[0]}; expected whole numbers from 1")
    given.too_many = [n for n in given.threads if n > cores]
    given.threads = [n for n in given.threads if n <= cores] or [1]
    few = given.quick or given.precision
    given.cells = tuple(given.cells or (["lstm", "gru"] if few else cases.GATES))
    if given.precision and ("rnn" in given.cells or given.group != ["all"]):
        parser.error("--precision has the LSTM and the GRU, and no --group")
    given.seconds = given.seconds or (0.5 if given.quick else 4.0)
    given.out = given.out or native.HERE / "results" / machine.instruction_set()
    given.groups = [*cases.GROUPS, CHECKS] if "all" in given.group else given.group
    if given.precision:
        given.groups, given.out = ["inference"], given.out / given.precision
    return given


def _native(run: report.Run, given: argparse.Namespace, bar: Progress) -> None:
    """The limits of the machine, and the steps in C++."""
    try:
        task = bar.add_task("building the C++ programs", total=None)
        native.build()
        bar.update(task, description="measuring the limits of the machine")
        if not given.precision:  # all of it is of float32
            run.limits = limits.measure(machine.instruction_set(), given.quick)
            bar.update(task, description="steps in C++")
            threads = ",".join(map(str, given.threads))
            options = ["--cells", ",".join(given.cells), "--threads", threads]
            run.steps = native.run("step", *options, *(["--quick"] if given.quick else []))["steps"]
        if max(given.threads) > 1:
            run.placement = placement.Placement()
    except native.BuildError as error:
        run.notes.append(f"left out: limits of the machine and steps in C++. {error}")
    finally:
        bar.remove_task(task)
    if run.limits and not run.limits.is_quiet:
        run.notes.append(
            "The machine was not quiet while its limits were measured: all cores together did less "
            "than each alone. Percentages of the limit are too high."
        )


def _case(
    case: cases.Case,
    run: report.Run,
    given: argparse.Namespace,
    others: list[peers.Peer],
    tick: timing.Tick,
) -> list[rows.Row]:
    numbers = problem.Problem(case)
    own = [ours.runner(numbers, n) for n in given.threads]
    with own[0].around():
        reference = own[0].outputs()
    tolerance = problem.OF_FEW_BITS if given.precision else problem.TOLERANCE
    if given.precision:
        for runner in own:
            runner.library = rows.FULL_PRECISION
        few_bits = problem.Problem(case)
        few_bits.layer = numbers.layer.quantize(given.precision)
        own = [ours.runner(few_bits, n) for n in given.threads] + own
    runners = own + peers.runners(others, numbers, given.threads, run.notes)
    for runner in runners:
        problem.compare(reference, runner, case, tolerance)
    full = case.full_batch()
    if full:
        same = problem.Problem(full)
        runners += [ours.runner(same, n, rows.FULL_BATCH) for n in given.threads]
    least = 2 if given.quick else ROUNDS
    ready = run.placement.wait if run.placement else lambda: None
    timings = timing.measure(runners, given.seconds, least, tick, ready)
    made = rows.make(case, runners, timings, given.threads, run.limits, run.steps)
    if given.precision:
        with own[0].around():
            apart = np.abs(own[0].outputs()["y"] - reference["y"])
        for row in made:
            row.errors = float(apart.max()), float(apart.mean())
    return made


def main(argv: Sequence[str] | None = None) -> int:
    given = _arguments(argv)
    console = progress.console()
    notes: list[str] = []
    if given.too_many:
        notes.append(f"left out: {given.too_many} threads, more than the {machine.cores()} cores")
    others = peers.installed(notes)
    versions = {peer.name: peer.version for peer in others}
    run = report.Run(machine.describe(versions), given.threads, notes=notes)
    if given.precision:
        run.precision = given.precision
        others = [low_precision.LowPrecision(p.name, p.version, run.precision) for p in others]
    console.print(machine.line(run.machine), highlight=False)

    groups = [g for g in cases.GROUPS if g in given.groups]
    with progress.bar(console) as bar:
        try:
            _native(run, given, bar)
            if run.limits:
                console.print(tables.of_limits(run.limits).rich())
            if run.steps and "streaming" in groups:
                console.print(tables.of_steps(run.steps, run.limits).rich())
            for group in groups:
                grid = cases.grid((group,), given.cells, given.quick, given.seed)
                if given.precision:
                    grid = cases.of_few_bits(given.cells, given.quick)
                task = bar.add_task(group, total=len(grid))
                for done, case in enumerate(grid):
                    bar.update(task, description=case.name, completed=done)
                    tick = progress.ticker(bar, task, done)
                    run.rows += _case(case, run, given, others, tick)
                    gc.collect()
                bar.remove_task(task)
                for n in given.threads:
                    if made := tables.of_rows(run.rows, group, n, run.precision):
                        console.print(made.rich())
            if CHECKS in given.groups:
                task = bar.add_task("memory, imports, neighbours", total=len(checks.CHECKS))
                run.checks = checks.run_all(given.quick, notes, lambda: bar.advance(task))
                bar.remove_task(task)
        except KeyboardInterrupt:
            notes.append("stopped before the end")
    if any(row.percent and row.percent > 100 for row in run.rows):
        notes.append(
            "A row is beyond the limit, which is impossible: something else ran while the limits "
            "were measured. Measure again."
        )
    if run.placement:
        run.placement.close()
        if said := run.placement.note():
            notes.append(said)
    console.print(tables.of_targets(run.targets()).rich())
    paths = report.write(run, given.out)
    progress.finish(console, notes, given.out, paths)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
