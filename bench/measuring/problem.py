"""One case with its numbers, and what a library must offer to be timed on it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import gru_native
from measuring.cases import Case

Array: TypeAlias = NDArray[np.float32]
Outputs: TypeAlias = dict[str, Array]

OURS = "gru_native"
TOLERANCE = 1e-4  # of the largest value: float32 sums of up to 2048 products, over 100 steps
OF_FEW_BITS = 0.2  # the same for int8 and bf16: only another function is further off
STREAMED_STEPS = 5  # compared before a streaming row is timed


class NotSupportedError(Exception):
    """A library has no way to do what a case asks for."""


@dataclass
class Runner:
    """One library at one number of threads, set up for one case."""

    library: str
    threads: int
    call: Callable[[], object]  # what is timed
    outputs: Callable[[], Outputs]  # the same once, with the results as arrays
    around: Callable[[], AbstractContextManager[object]] = field(default=nullcontext)
    keep: object = None  # memory that the library only points to


class Problem:
    """A case, its layer (whose weights every library takes) and its inputs."""

    def __init__(self, case: Case) -> None:
        self.case = case
        kinds: dict[str, Any] = {
            "lstm": gru_native.LSTM,
            "gru": gru_native.GRU,
            "rnn": gru_native.RNN,
        }
        self.layer = kinds[case.cell](
            case.input_size,
            case.hidden_size,
            case.num_layers,
            bidirectional=case.bidirectional,
            seed=1,
        )
        rng = np.random.default_rng(2)
        shape = (case.seq_len, case.batch)
        columns = case.hidden_size * case.directions
        self.x: Array = rng.standard_normal((*shape, case.input_size), dtype=np.float32)
        self.dy: Array = rng.standard_normal((*shape, columns), dtype=np.float32)
        self.lengths = np.array(case.lengths) if case.lengths else None


def compare(reference: Outputs, runner: Runner, case: Case, tolerance: float = TOLERANCE) -> None:
    """Stop the program unless the runner computes what gru_native does."""
    with runner.around():
        results = runner.outputs()
    who = f"{runner.library} on {runner.threads} thread(s)"
    for name, expected in reference.items():
        found = results.get(name)
        if found is None or found.shape != expected.shape:
            what = "is missing" if found is None else f"has shape {found.shape}"
            raise SystemExit(f"{case.name}: {name} of {who} {what}; expected {expected.shape}")
        largest = float(np.abs(expected).max())
        difference = float(np.abs(expected - found).max())
        if not difference <= tolerance * max(largest, 1e-3):
            raise SystemExit(
                f"{case.name}: {name} of {who} differs from that of {OURS} by {difference:.2g}, "
                f"with values up to {largest:.2g}. Stopped: such times would mean nothing."
            )
