"""What the machine allows, and what that makes the least time of a case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gru_native import complexity
from measuring import native
from measuring.cases import Case

BYTES = 4  # float32


@dataclass(frozen=True)
class Limits(complexity.Limits):
    """Measured by limits.cpp with the instructions of one ISA."""

    curve: tuple[dict[str, float], ...] = ()  # GB/s by size of the block, to look things up
    handover_ns: float = 0.0  # for two cores to hear from each other; 0 with one core

    @property
    def is_quiet(self) -> bool:
        """Whether all cores together did what so many alone would, as on an idle machine."""
        pairs = [(self.flops_one, self.flops_all)]
        pairs += [(level.one, level.all) for level in self.levels[:2]]
        return all(together > 0.85 * self.cores * one for one, together in pairs)


def measure(isa: str, quick: bool) -> Limits:
    """Run limits_<isa>. Raises native.BuildError."""
    raw: dict[str, Any] = native.run(f"limits_{isa}", *(["--quick"] if quick else []))
    return Limits(
        raw["isa"],
        raw["cores"],
        raw["gflops"]["one"] * 1e9,
        raw["gflops"]["all"] * 1e9,
        tuple(
            complexity.Level(v["name"], v["capacity"], v["one"] * 1e9, v["all"] * 1e9)
            for v in raw["levels"]
        ),
        tuple(raw["curve"]),
        raw["handover_ns"],
    )


def limit_parts(case: Case, limits: Limits, threads: int) -> complexity.Roofline:
    """What the two bounds ask for, and the level from which a step's weights come."""
    return complexity.roofline(
        case.flops,
        [complexity.Weights(BYTES * i, BYTES * r, case.directions) for i, r in case.layers()],
        case.seq_len,
        limits,
        threads,
        passes=2 if case.kind == "training" else 1,
        spared=case.stateless,
    )


def limit_seconds(case: Case, limits: Limits, threads: int) -> float:
    """The least time that this machine allows for a call: the larger of two bounds.

    Arithmetic: 2 FLOPs a weight, step and row of the batch (for ragged batches the steps that
    count; for training three times as much), divided by the measured FMA rate of the cores used.
    Activations count nothing.

    Weights: a step needs all recurrent weights, whatever the batch, and cannot begin before the
    step before it has ended. So over the call a core reads its share (the layer's recurrent
    weights, both directions, divided by the cores used) seq_len times, in training twice that
    (forward, and back in dh = dG W). It reads at the measured rate of the nearest level that holds
    the share, with all cores in use reading at once: a cache of its own (L1, L2) holds it if the
    share is no larger than the cache; the last, shared cache if the shares of all cores together
    are not. The layers of a stack come one after the other, each cycling over its own share only,
    and so do two directions on one core: the kindest order there is. The input weights are read
    once a call, for all steps together, from the level that holds a core's share of all weights of
    the stack. With seq_len = 1 each call is one step, so the recurrent weights, too, come from the
    level that holds all of these; but a call without a state needs none of them at its first step.

    Neither bound counts x, y, the state or hand-over between cores.
    """
    return limit_parts(case, limits, threads).seconds
