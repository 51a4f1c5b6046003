"""A pool of sessions against one call per session, ONNX Runtime and a stream.

python bench/sessions.py [--seconds S] [--threads N] [--cells gru lstm] [--sizes 64 256 512]

A tick is one step of 64 random sessions of 1,000, input_size = hidden_size. ONNX Runtime's caller
keeps the states in an array, and copies those of a tick into bound inputs and back; its figure is
the best of one and more threads, which wait spinning or not. Then 10,000 sessions are open, and one
at a time makes a step, in random order: against a stream, which has its state at hand.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import gru_native
from measuring import machine, native, placement, timing
from measuring.cases import Case
from measuring.problem import Array, Outputs, Problem, Runner, compare
from measuring.table import Table, number

SESSIONS, PER_TICK, TICKS = 1000, 64, 50
MANY = 10_000
# Times as fast as one call per session, and as ONNX Runtime; and a stream's time over a session's.
CALLS_HELD_TO = {64: 6.0, 256: 2.0, 512: 2.5}
PEER_HELD_TO = 2.0
ONE_HELD_TO = 1 / 1.1

Ids: TypeAlias = NDArray[np.int64]


def ticks() -> list[Ids]:
    """The sessions of each tick."""
    rng = np.random.default_rng(3)
    return [rng.choice(SESSIONS, PER_TICK, replace=False) for _ in range(TICKS)]


def runner(
    library: str, threads: int, call: Callable[[Ids], Array], order: Sequence[Ids]
) -> Runner:
    """One tick a call. Its outputs are those of the first ticks from zero states."""
    in_turn = cycle(order)

    @contextmanager
    def around() -> Iterator[None]:
        gru_native.set_num_threads(threads)
        yield

    def outputs() -> Outputs:
        return {f"y of tick {t}": call(order[t]).copy() for t in range(len(order) // 2)}

    return Runner(library, threads, lambda: call(next(in_turn)), outputs, around)


def pool(problem: Problem) -> Callable[[Ids], Array]:
    sessions = problem.layer.sessions(SESSIONS)
    opened = np.array([sessions.open() for _ in range(SESSIONS)])
    x = problem.x[0]
    return lambda ids: sessions.step(opened[ids], x)


def calls(problem: Problem) -> Callable[[Ids], Array]:
    streams = [problem.layer.stream() for _ in range(SESSIONS)]
    xs = list(problem.x[0])
    y: Array = np.empty((PER_TICK, problem.case.hidden_size), np.float32)
    ys = list(y)

    def call(ids: Ids) -> Array:
        for k, x, out in zip(ids.tolist(), xs, ys, strict=True):
            streams[k](x, out=out)
        return y

    return call


def onnx_runtime(problem: Problem, threads: int, spinning: bool) -> Callable[[Ids], Array]:
    import onnxruntime

    from peers import onnx_model

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    session = onnxruntime.InferenceSession(
        onnx_model.build(problem), options, providers=["CPUExecutionProvider"]
    )
    from_numpy = onnxruntime.OrtValue.ortvalue_from_numpy
    names, size = onnx_model.state_names(problem.case.cell), problem.case.hidden_size
    every: dict[str, Array] = {n: np.zeros((SESSIONS, size), np.float32) for n in names}
    before: dict[str, Array] = {n: np.empty((1, PER_TICK, size), np.float32) for n in names}
    after: dict[str, Array] = {n: np.empty_like(a) for n, a in before.items()}
    y: Array = np.empty((1, PER_TICK, size), np.float32)
    binding = session.io_binding()
    values = [from_numpy(problem.x), from_numpy(y)]  # point to the arrays
    binding.bind_ortvalue_input("x", values[0])
    binding.bind_ortvalue_output("y", values[1])
    for n in names:
        values += [from_numpy(before[n]), from_numpy(after[n])]
        binding.bind_ortvalue_input(n, values[-2])
        binding.bind_ortvalue_output(f"{n}_next", values[-1])

    def call(ids: Ids) -> Array:
        for n in names:
            np.take(every[n], ids, axis=0, out=before[n][0], mode="clip")
        session.run_with_iobinding(binding)
        for n in names:
            every[n][ids] = after[n][0]
        assert values
        stepped: Array = y[0]
        return stepped

    return call


def tick_runners(problem: Problem, threads: int) -> tuple[list[Runner], str]:
    """Ours, one call per session and the peer's; and a note if the peer is missing."""
    order = ticks()
    runners = [
        runner("pool", threads, pool(problem), order),
        runner("calls", threads, calls(problem), order),
    ]
    note = ""
    try:
        for n in sorted({1, threads}):
            for spinning in (False, True)[:n]:
                made = onnx_runtime(problem, n, spinning)
                name = f"ONNX Runtime, {n} thr." + (", spinning" if spinning else "")
                runners.append(runner(name, threads, made, order))
    except ImportError as error:
        note = f"ONNX Runtime: {error}"
    reference = runners[0].outputs()
    for other in runners[1:]:
        compare(reference, other, problem.case)
    return runners, note


def one_runners(problem: Problem, threads: int) -> list[Runner]:
    """One step of one of many sessions, and of a stream."""
    layer, x = problem.layer, problem.x[0, 0]
    sessions = layer.sessions(MANY)
    visits = np.random.default_rng(4).permutation([sessions.open() for _ in range(MANY)]).tolist()
    stream = layer.stream()
    in_turn = cycle(visits)

    @contextmanager
    def around() -> Iterator[None]:
        gru_native.set_num_threads(threads)
        yield

    of = {
        "session": lambda: sessions.step(next(in_turn), x),
        "stream": lambda: stream(x),
    }
    return [Runner(name, threads, call, dict, around) for name, call in of.items()]


def verdict(ratio: float, least: float) -> str:
    return number(ratio, "x") + (f" of {least:.3g}x" if ratio < least else "")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="to spend on each shape")
    parser.add_argument("--threads", type=int, default=min(2, machine.cores()))
    parser.add_argument("--cells", nargs="+", default=["gru", "lstm"], choices=["gru", "lstm"])
    parser.add_argument("--sizes", nargs="+", type=int, default=list(CALLS_HELD_TO))
    given = parser.parse_args(argv)
    console = Console(width=160)
    notes: set[str] = set()
    where = None
    try:
        native.build()
        where = placement.Placement()
    except native.BuildError as error:
        notes.add(f"measured wherever the processors just were: {error}")
    ready = where.wait if where else lambda: None
    batches, ones = [], []
    for cell in given.cells:
        for size in given.sizes:
            case = Case("streaming", cell, 1, PER_TICK, size, size)
            runners, note = tick_runners(Problem(case), given.threads)
            times = [t.median for t in timing.measure(runners, given.seconds, 5, ready=ready)]
            per_step = [1e9 * t / PER_TICK for t in times]
            by_calls = verdict(times[1] / times[0], CALLS_HELD_TO.get(size, 0.0))
            peer = best = "-"
            if times[2:]:
                peer = verdict(min(times[2:]) / times[0], PEER_HELD_TO)
                best = runners[2 + int(np.argmin(times[2:]))].library
                best += f": {min(per_step[2:]):.0f}"
            name = f"{cell.upper()} H={size}"
            batches.append((name, *(f"{t:.0f}" for t in per_step[:2]), best, by_calls, peer))
            runners = one_runners(Problem(case), given.threads)
            times = [t.median for t in timing.measure(runners, given.seconds, 5, ready=ready)]
            ratio = verdict(times[1] / times[0], ONE_HELD_TO)
            ones.append((name, *(f"{1e9 * t:.0f}" for t in times), ratio))
            if note:
                notes.add(note)
    tables = [
        Table(
            f"{PER_TICK} of {SESSIONS:,} sessions a tick, ns a session and step",
            ("", "pool", "call each", "ONNX Runtime at its best", "calls / pool", "peer / pool"),
            batches,
        ),
        Table(
            f"One of {MANY:,} sessions, ns a step",
            ("", "session", "stream", "stream / session"),
            ones,
        ),
    ]
    console.print(machine.line(machine.describe({})) + f"; {given.threads} threads.")
    for table in tables:
        console.print(table.rich())
    for note in sorted(notes):
        console.print(f"- {note}", highlight=False, markup=False)
    if where:
        console.print(where.note())
        where.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
