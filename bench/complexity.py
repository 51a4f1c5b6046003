"""Times networks beside what gru_native.complexity counts for them.

python bench/complexity.py [--quick] [--sections ...] [--threads 1 2] [--limits FILE] [--out DIR]

The acoustic models of Sak, Senior and Beaufays (2014) and more of their kind: time per frame
against counted operations. LSTM, CIFG, GRU and RNN at equal size and at equal parameters. What a
projection saves. What other libraries count (needs PyTorch and the counters). See README.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.progress import Progress

from counting import counters, files, networks, tables
from counting.networks import Network
from counting.rows import Row, Run
from gru_native import complexity
from measuring import limits, machine, native, progress, timing
from measuring.table import Table

SECTIONS = ("acoustic", "equal", "projection", "counters")
ROUNDS = 5  # at least; with --quick 2


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
    given.out = given.out or native.HERE / "results" / machine.instruction_set()
    return given


def _limits(given: argparse.Namespace, notes: list[str]) -> complexity.Limits | None:
    if given.limits:
        return complexity.Limits.load(given.limits)
    try:
        native.build()
        measured = limits.measure(machine.instruction_set(), given.quick)
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
    for made in tables.of_run(run):
        show(made)


def main(argv: Sequence[str] | None = None) -> int:
    given = _arguments(argv)
    console = progress.console()
    notes: list[str] = []
    with progress.bar(console) as bar:
        task = bar.add_task("limits of the machine", total=None)
        run = Run(machine.describe({}), _limits(given, notes), given.threads, notes=notes)
        bar.remove_task(task)
        console.print(machine.line(run.machine), highlight=False)
        try:
            _measure(run, given, bar, lambda made: console.print(made.rich()))
        except KeyboardInterrupt:
            notes.append("stopped before the end")
    run.machine["versions"].update(run.versions)
    paths = files.write(run, given.out)
    progress.finish(console, notes, given.out, paths)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
