"""A row of the result: one case at one number of threads, from the timings of its runners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from measuring.cases import Case
from measuring.limits import Limits, limit_parts, limit_seconds
from measuring.problem import OURS, Runner
from measuring.timing import Timing

FULL_BATCH = "gru_native, full batch"  # beside a ragged row: as many steps, all rows equally long

FULL_PRECISION = "float32"  # beside a row of few bits: the layer that was quantized

Step = dict[str, Any]  # one measurement of step.cpp


@dataclass
class Row:
    case: Case
    threads: int  # allowed; peers may do better with fewer
    ours: Timing
    peers: dict[str, tuple[Timing, int]] = field(default_factory=dict)  # and their threads
    limit: float | None = None  # seconds
    bound: str = ""  # "FMA", or the level from which the weights come
    ours_in_cpp: float | None = None  # seconds, rows of one step only
    full_batch: float | None = None  # seconds, ragged rows only
    full_precision: float | None = None  # seconds, rows of few bits only, as are errors:
    errors: tuple[float, float] | None = None  # of the outputs, the largest and the mean

    @property
    def name(self) -> str:
        return f"{self.case.name}, {self.threads} thread{'s' if self.threads > 1 else ''}"

    @property
    def best_peer(self) -> str | None:
        return min(self.peers, key=lambda name: self.peers[name][0].median, default=None)

    @property
    def ratio(self) -> float | None:
        """How many times as long the best peer takes."""
        best = self.best_peer
        return self.ratio_to(best) if best else None

    def ratio_to(self, peer: str) -> float | None:
        return self.peers[peer][0].median / self.ours.median if peer in self.peers else None

    @property
    def gain(self) -> float | None:
        """How many times as long our float32 takes."""
        return self.full_precision / self.ours.median if self.full_precision else None

    @property
    def percent(self) -> float | None:
        """Of the limit. A single step counts as timed in C++: in Python the call is most of it."""
        if self.limit is None or (self.case.seq_len == 1 and self.ours_in_cpp is None):
            return None
        return 100 * self.limit / (self.ours_in_cpp or self.ours.median)

    def flat(self) -> dict[str, Any]:
        """One line of results.csv; times in microseconds."""
        case = self.case
        line: dict[str, Any] = {
            "group": case.group,
            "cell": case.cell,
            "seq_len": case.seq_len,
            "batch": case.batch,
            "input_size": case.input_size,
            "hidden_size": case.hidden_size,
            "num_layers": case.num_layers,
            "bidirectional": case.bidirectional,
            "ragged": case.lengths is not None,
            "threads": self.threads,
            "ours_us": _us(self.ours.median),
            "ours_lower_us": _us(self.ours.lower),
            "ours_upper_us": _us(self.ours.upper),
            "ours_in_cpp_us": _us(self.ours_in_cpp),
            "full_batch_us": _us(self.full_batch),
            "best_peer": self.best_peer,
            "ratio": _rounded(self.ratio),
            "limit_us": _us(self.limit),
            "bound": self.bound,
            "percent_of_limit": _rounded(self.percent),
        }
        if self.errors:
            line["float32_us"] = _us(self.full_precision)
            line["gain"] = _rounded(self.gain)
            line["largest_error"], line["mean_error"] = self.errors
        for name, (timing, threads) in self.peers.items():
            line[f"{name} us"] = _us(timing.median)
            line[f"{name} threads"] = threads
        return line


def _us(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e6, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def make(
    case: Case,
    runners: Sequence[Runner],
    timings: Sequence[Timing],
    threads: Sequence[int],
    limits: Limits | None,
    steps: Sequence[Step],
) -> list[Row]:
    """A row for each number of threads; every peer with the better of the counts up to it."""
    measured = list(zip(runners, timings, strict=True))
    rows = []
    for n in threads:
        own = {r.library: t for r, t in measured if r.threads == n}
        row = Row(case, n, own[OURS])
        for runner, timing in measured:
            name = runner.library
            if name in (OURS, FULL_BATCH, FULL_PRECISION) or runner.threads > n:
                continue
            if name not in row.peers or timing.median < row.peers[name][0].median:
                row.peers[name] = (timing, runner.threads)
        if FULL_BATCH in own:
            row.full_batch = own[FULL_BATCH].median
        if FULL_PRECISION in own:
            row.full_precision = own[FULL_PRECISION].median
        if limits:
            row.limit = limit_seconds(case, limits, n)
            row.bound = limit_parts(case, limits, n).bound
        row.ours_in_cpp = _step_seconds(case, n, steps)
        rows.append(row)
    return rows


def _step_seconds(case: Case, threads: int, steps: Sequence[Step]) -> float | None:
    if case.seq_len != 1 or case.batch != 1:
        return None
    what = "stream" if case.kind == "streaming" else "forward"
    wanted = (what, case.cell, case.input_size, case.hidden_size, threads)
    for s in steps:
        if (s["what"], s["cell"], s["input"], s["hidden"], s["threads"]) == wanted:
            return float(s["ns"]) * 1e-9
    return None
