"""Many random tries of one kind, each with a seed of its own, and what came of them."""

import argparse
import faulthandler
import resource
import signal
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SECONDS = 10  # for one try
ADDRESSES = 3 << 30  # bytes that the process may ask for besides, so that too much is refused
MEGABYTES = 700  # that one try may add to the most that the process ever had


class Wrong(Exception):
    """An answer that no input may get."""


@dataclass
class Tries:
    """How often each outcome was seen, and for each kind of failure its first try and its count."""

    outcomes: Counter = field(default_factory=Counter)
    failures: dict = field(default_factory=dict)

    def fail(self, kind, number, text):
        first, text, count = self.failures.get(kind, (number, text, 0))
        self.failures[kind] = first, text, count + 1

    def __str__(self):
        lines = [f"{n:8} {outcome}" for outcome, n in sorted(self.outcomes.items())]
        lines += [
            f"{count:8} FAILED, first --only {first}: {kind}\n{text}"
            for kind, (first, text, count) in self.failures.items()
        ]
        return "\n".join([*lines, f"{self.outcomes.total():8} inputs"])


@contextmanager
def _limits():
    """Wrong for what takes too long or too much memory."""

    def too_long(*_):
        raise Wrong(f"takes longer than {SECONDS} s")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kept = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, kept)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    if grown > MEGABYTES:
        raise Wrong(f"takes more than {MEGABYTES} MB")


@contextmanager
def memory():
    """Requests for very much memory fail in the block, as where there is none."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def run(one, numbers, seed=0):
    """one(rng) -> an outcome, or how often it had each; what it raises is a failure: Tries."""
    with memory():
        return _run(one, numbers, seed)


def _run(one, numbers, seed):
    tries = Tries()
    for number in numbers:
        try:
            with _limits():
                outcome = one(np.random.default_rng([seed, number]))
        except Exception as error:
            outcome = "failed"
            where = traceback.extract_tb(error.__traceback__)
            ours = [f for f in where if "gru_native" in f.filename] or where
            kind = f"{type(error).__name__} at {ours[-1].name}:{ours[-1].lineno}"
            if isinstance(error, Wrong):
                kind = str(error).split("\n")[0]
            tries.fail(kind, number, "".join(traceback.format_exception_only(error)))
        tries.outcomes.update([outcome] if isinstance(outcome, str) else outcome)
    return tries


def main(doc, one):
    """The command line of a fuzzer; status 1 if something failed."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="how many tries")
    parser.add_argument("--start", type=int, default=0, help="the number of the first")
    parser.add_argument("--only", type=int, help="one try, with its traceback")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.only is not None:
        print(one(np.random.default_rng([given.seed, given.only])))
        return 0
    faulthandler.enable()
    begin = time.monotonic()
    tries = run(one, range(given.start, given.start + given.count), given.seed)
    print(f"{tries} in {time.monotonic() - begin:.0f} s")
    return 1 if tries.failures else 0
