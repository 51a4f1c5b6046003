"""What complexity.py measured and counted: a row for each network, and all of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from counting import counters
from counting.networks import Network
from gru_native import complexity
from measuring.timing import Timing


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
