"""Interleaved timing: every runner in turn, round after round, so that drift hits all alike."""

from __future__ import annotations

import gc
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from measuring.problem import Runner

Tick = Callable[[float], None]  # told how much of the work is done, 0 to 1
Ready = Callable[[], None]  # returns when a round may begin

SAMPLE = 100e-6  # seconds: shorter calls are timed several at once
TURN = (0.002, 0.060)  # seconds: the least and most that a runner is timed before the next
ROUNDS = 12  # as many fit in the budget, if turns of that length allow it
TASKS = Path("/proc/self/task")


@dataclass(frozen=True)
class Timing:
    """Seconds a call: the median over all samples, the quartiles, and how many samples."""

    median: float
    lower: float
    upper: float
    samples: int


def summary(samples: Sequence[float]) -> Timing:
    lower, median, upper = np.quantile(samples, [0.25, 0.5, 0.75])
    return Timing(float(median), float(lower), float(upper), len(samples))


def _others_run() -> bool:
    """Whether another thread of this process is on a core, or wants one.

    Asked of the kernel: the CPU times of other threads lag by a clock tick.
    """
    own = str(threading.get_native_id())
    for task in os.listdir(TASKS):
        try:
            if task != own and b") R" in Path(TASKS, task, "stat").read_bytes():
                return True
        except OSError:
            continue  # it has ended meanwhile
    return False


def settle(most: float = 0.1) -> None:
    """Wait until the threads of the last runner sleep.

    Many libraries let theirs spin for a while after a call: ONNX Runtime for 40 milliseconds,
    PyTorch for 8. The gap is as short as it can be, this thread stays busy, and the turn that
    follows begins with calls that are not timed.
    """
    if not TASKS.exists():  # not Linux
        time.sleep(0.005)
        return
    end = time.perf_counter() + most
    while _others_run() and time.perf_counter() < end:
        pass


def sample(call: Callable[[], object], calls: int) -> float:
    """Seconds a call, over so many calls."""
    begin = time.perf_counter()
    for _ in repeat(None, calls):
        call()
    return (time.perf_counter() - begin) / calls


def _warm(call: Callable[[], object], least: float) -> float:
    """Call for `least` seconds, and twice unless calls are long; roughly the seconds a call."""
    spent, calls, turns = 0.0, 1, 0
    while True:
        seconds = max(sample(call, calls), 1e-7)
        spent, turns = spent + seconds * calls, turns + 1
        if spent >= least and (turns > 1 or spent > 0.02):
            return seconds
        calls = max(1, int((least - spent) / seconds))


def _turn(runner: Runner, seconds: float) -> list[float]:
    settle()
    with runner.around():
        expected = _warm(runner.call, min(0.002, seconds))
        calls = max(1, int(SAMPLE / expected))
        samples: list[float] = []
        spent = 0.0
        while spent < seconds or not samples:
            samples.append(sample(runner.call, calls))
            spent += samples[-1] * calls
        return samples


def measure(
    runners: Sequence[Runner],
    budget: float,
    least_rounds: int,
    tick: Tick = lambda _: None,
    ready: Ready = lambda: None,
) -> list[Timing]:
    """Time all runners for about `budget` seconds together, and in at least so many rounds.

    A round gives each runner one turn, in a new random order.
    """
    samples: list[list[float]] = [[] for _ in runners]
    order = list(range(len(runners)))
    shuffle = random.Random(0).shuffle
    seconds = min(max(0.6 * budget / (ROUNDS * len(runners)), TURN[0]), TURN[1])
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    begin = time.perf_counter()
    rounds = 0
    try:
        while rounds < least_rounds or time.perf_counter() - begin < budget:
            ready()
            shuffle(order)
            for done, k in enumerate(order):
                samples[k] += _turn(runners[k], seconds)
                by_rounds = (rounds + (done + 1) / len(order)) / least_rounds
                tick(min(by_rounds, (time.perf_counter() - begin) / budget, 1.0))
            rounds += 1
    finally:
        if enabled:
            gc.enable()
    return [summary(s) for s in samples]
