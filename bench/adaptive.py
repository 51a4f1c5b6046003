"""Whether calls that share out their work are ever slower than one thread; a model of more cores.

    python bench/adaptive.py [--seconds 60] [--bad none|pinned|competitor] [--threads 2]
    python bench/adaptive.py --model [--l2 235] [--l3 125] [--l3-of-all 500]

Twelve small shapes in turn: with the number of threads that adapts, with all threads always, and
with one. Prints medians and 99th percentiles in microseconds, the ratios of the first to the last,
and the largest ratio of medians in any round. `pinned` keeps all threads on one processor, for the
whole run. `competitor` has another process spin on the last processor in every other pair of
rounds, whose calls stand in tables of their own. `--model` measures nothing.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

Shape = tuple[str, str, int, int, int, int]  # what, cell, T, B, inputs, units
SHAPES: list[Shape] = [
    ("layer", "GRU", 200, 1, 40, 64),
    ("layer", "LSTM", 100, 1, 64, 64),
    ("layer", "LSTM", 100, 1, 96, 96),
    ("layer", "GRU", 37, 1, 96, 96),
    ("layer", "GRU", 100, 1, 128, 128),
    ("layer", "RNN", 100, 1, 128, 128),
    ("layer", "LSTM", 37, 3, 40, 100),
    ("layer", "LSTM", 10, 8, 64, 64),
    ("stream", "LSTM", 64, 1, 64, 128),
    ("stream", "GRU", 32, 4, 40, 64),
    ("training", "LSTM", 50, 1, 64, 64),
    ("training", "GRU", 20, 8, 32, 64),
]
ADAPTIVE, ALL, ONE = "adaptive", "all threads", "one thread"


def call_of(shape: Shape) -> Callable[[], object]:
    import gru_native

    what, cell, steps, batch, inputs, units = shape
    layer = getattr(gru_native, cell)(inputs, units, seed=1)
    x = np.random.default_rng(1).standard_normal((steps, batch, inputs)).astype(np.float32)
    if what == "stream":
        stream = layer.stream(batch_size=batch)
        return lambda: stream(x)
    if what == "layer":
        return lambda: layer(x)

    def step() -> object:
        y, _, tape = layer.forward(x)
        return layer.backward(tape, y)

    return step


def times_of(call: Callable[[], object], seconds: float) -> list[float]:
    """Microseconds of each call."""
    times = []
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        call()
        times.append((time.perf_counter() - begin) * 1e6)
    return times


@contextmanager
def competitor(processor: int) -> Iterator[Callable[[bool], None]]:
    """Another process that spins on one processor, while it is told to."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import os; os.sched_setaffinity(0, {{{processor}}})\nwhile True: pass",
        ]
    )
    process.send_signal(signal.SIGSTOP)
    try:
        yield lambda run: process.send_signal(signal.SIGCONT if run else signal.SIGSTOP)
    finally:
        process.kill()
        process.wait()


def measure(seconds: float, threads: int, competes: bool) -> dict[str, Any]:
    import gru_native

    def use(mode: str) -> None:
        gru_native.set_num_threads(1 if mode == ONE else threads)
        gru_native.set_adaptive_threads(mode == ADAPTIVE)

    calls = [call_of(shape) for shape in SHAPES]
    slices = {ADAPTIVE: 0.2, ALL: 0.1, ONE: 0.1}
    times: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    worst: dict[tuple[str, int], float] = defaultdict(float)
    rounds = max(1, round(seconds / (len(calls) * sum(slices.values()))))
    processor = max(os.sched_getaffinity(0))
    with competitor(processor) as compete:
        for number in range(rounds):
            bad = competes and number % 4 >= 2
            compete(bad)
            phase = "beside a competitor" if bad else ""
            for which, call in enumerate(calls):
                medians = {}
                for mode, length in slices.items():
                    use(mode)
                    found = times_of(call, length)
                    medians[mode] = float(np.median(found))
                    times[phase, which, mode] += found
                ratio = medians[ADAPTIVE] / medians[ONE]
                worst[phase, which] = max(worst[phase, which], ratio)
    return {"times": times, "worst": worst, "threads": threads}


def report(found: dict[str, Any]) -> None:
    times, worst = found["times"], found["worst"]
    for phase in sorted({key[0] for key in times}):
        print(f"\n{found['threads']} threads{', ' + phase if phase else ''}: microseconds a call\n")
        print(
            "| | one thread | p99 | all threads | p99 | adaptive | p99 "
            "| adaptive / one | p99 | worst round |"
        )
        print("|---|" + "--:|" * 9)
        ratios = []
        for which, (what, cell, steps, batch, inputs, units) in enumerate(SHAPES):
            cells = []
            for mode in (ONE, ALL, ADAPTIVE):
                of_mode = times[phase, which, mode]
                cells += [float(np.median(of_mode)), float(np.percentile(of_mode, 99))]
            ratios.append((cells[4] / cells[0], cells[5] / cells[1], worst[phase, which]))
            print(
                f"| {what} {cell} T={steps} B={batch} {inputs} -> {units} | "
                + " | ".join(f"{c:.0f}" for c in cells)
                + " | "
                + " | ".join(f"{r:.2f}" for r in ratios[-1])
                + " |"
            )
        median, tail, round_ = (max(column) for column in zip(*ratios, strict=True))
        mean = math.exp(sum(math.log(r[0]) for r in ratios) / len(ratios))
        print(
            f"\nlargest: median {median:.2f}, p99 {tail:.2f}, median of a round {round_:.2f}; "
            f"geometric mean of the medians {mean:.2f}"
        )


# --- the model -----------------------------------------------------------------------------------

L2 = 1 << 20  # bytes of one core


def step_ns(
    gates: int, units: int, members: int, handover_ns: float, a: argparse.Namespace
) -> float:
    """One row's recurrent step, its weights from L2 where a member's share fits, else from L3."""
    weights = 4.0 * gates * units * units
    share = weights / members
    rate = a.l2 if share <= L2 else min(a.l3, a.l3_of_all / members)
    wait = handover_ns * members if members > 1 else 0.0
    return share / rate + gates * units / members / a.cells + wait


def model(a: argparse.Namespace) -> None:
    print(
        f"A model, nothing measured: one row, float32; a core reads {a.l2:.0f} GB/s from L2, "
        f"{a.l3:.0f} from L3 (all together {a.l3_of_all:.0f}); a barrier costs each member one "
        "hand-over for each member.\nTimes faster than one core, with as many members as are best "
        "(in brackets), hand-over 80 ns / 300 ns:\n"
    )
    cores = (2, 4, 8, 16)
    print("| one step | one core, us | " + " | ".join(f"{n} cores" for n in cores) + " |")
    print("|---|--:|" + "--:|" * len(cores))
    for name, gates in (("LSTM", 4), ("GRU", 3)):
        for units in (64, 128, 256, 512, 1024):
            one = step_ns(gates, units, 1, 0, a)
            cells = []
            for n in cores:
                texts = []
                for handover in (80.0, 300.0):
                    members = min(
                        (1 << k for k in range(n.bit_length())),
                        key=lambda m: step_ns(gates, units, m, handover, a),
                    )
                    faster = one / step_ns(gates, units, members, handover, a)
                    texts.append(f"{faster:.1f} ({members})")
                cells.append(" / ".join(texts))
            print(f"| {name} H={units} | {one / 1e3:.2f} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bad", choices=("none", "pinned", "competitor"), default="none")
    parser.add_argument("--model", action="store_true")
    for name, value, text in (
        ("l2", 235, "GB/s of one core from L2"),
        ("l3", 125, "GB/s of one core from L3"),
        ("l3-of-all", 500, "GB/s of all cores from L3"),
        ("cells", 2.5, "gates a nanosecond that the cell takes"),
    ):
        parser.add_argument(f"--{name}", type=float, default=value, help=text)
    options = parser.parse_args()
    if options.model:
        return model(options)
    if options.bad == "pinned":  # before the team is made
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    found = measure(options.seconds, options.threads, options.bad == "competitor")
    report(found)


if __name__ == "__main__":
    main()
