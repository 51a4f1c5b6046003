"""The least time that a machine allows, from limits that bench/compare.py measures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from ._arguments import at_least


@dataclass(frozen=True)
class Level:
    """A cache, or the memory (capacity 0): bytes a second, read by one core and by all together."""

    name: str
    capacity: int
    one: float
    all: float


@dataclass(frozen=True)
class Limits:
    """Rates of one machine, in float32: FLOPs and bytes a second, for one core and for all."""

    isa: str
    cores: int
    flops_one: float
    flops_all: float
    levels: tuple[Level, ...]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Limits:
        """From the dictionary that ``to_dict`` gave. Raises ValueError."""
        try:
            levels = tuple(
                Level(str(v["name"]), int(v["capacity"]), float(v["one"]), float(v["all"]))
                for v in values["levels"]
            )
            rates = float(values["flops_one"]), float(values["flops_all"])
            limits = cls(str(values["isa"]), int(values["cores"]), *rates, levels)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"limits: {error!r} is missing or of another kind") from None
        numbers = [limits.cores, *rates, *(rate for v in levels for rate in (v.one, v.all))]
        if not levels or not all(0 < n < float("inf") for n in numbers):
            raise ValueError("limits: expected rates above 0, and at least one level")
        return limits

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Limits:
        """From a JSON file: results.json of bench/compare.py, or limits alone.

        Raises ValueError for a file that has none, OSError for one that cannot be read.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: is no JSON: {error}") from None
        own = values.get("limits", values) if isinstance(values, dict) else None
        if not isinstance(own, dict):
            raise ValueError(f"{path}: has no limits; expected results.json of bench/compare.py")
        return cls.of(own)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts and lists."""
        return {**vars(self), "levels": [dict(vars(level)) for level in self.levels]}

    def used(self, threads: int) -> int:
        """Cores."""
        return min(threads, self.cores)

    def flops(self, threads: int) -> float:
        """Float operations a second of so many threads, each on a core of its own."""
        cores = self.used(threads)
        return self.flops_one if cores == 1 else self.flops_all * cores / self.cores

    def level(self, share: float, threads: int) -> Level:
        """The level in which a core's share fits. The last cache is shared, the others are not."""
        caches = [level for level in self.levels if level.capacity]
        for level in caches:
            sharers = self.used(threads) if level is caches[-1] else 1
            if share * sharers <= level.capacity:
                return level
        return self.levels[-1]

    def read_rate(self, share: float, threads: int) -> float:
        """Bytes a second that one core reads from there, while the others read as well."""
        level = self.level(share, threads)
        return level.one if self.used(threads) == 1 else level.all / self.cores


class Weights(NamedTuple):
    """Bytes of one layer's matrices: those that are read once a call, and those of every step.

    ``directions`` share both and do not wait for each other.
    """

    once: float
    every_step: float
    directions: int = 1


@dataclass(frozen=True)
class Roofline:
    """Seconds that arithmetic and weights ask for, and the level that the weights come from."""

    arithmetic: float
    weights: float
    level: str

    @property
    def seconds(self) -> float:
        """The larger of the two bounds."""
        return max(self.arithmetic, self.weights)

    @property
    def bound(self) -> str:
        """What sets it: "FMA", or the level that the weights come from."""
        return "FMA" if self.arithmetic >= self.weights else self.level

    def to_dict(self) -> dict[str, float | str]:
        """Plain numbers and texts."""
        return {**vars(self), "seconds": self.seconds, "bound": self.bound}


def roofline(
    flops: float,
    layers: Sequence[Weights],
    steps: int,
    limits: Limits,
    threads: int,
    *,
    passes: int = 1,
    spared: bool = False,
) -> Roofline:
    """The least time of a call of so many FLOPs over a stack of layers.

    A step needs all recurrent weights and cannot begin before the step before it has ended, so over
    the call a core reads its share of them ``steps`` times, in each of ``passes`` (training has
    two: forward, and back in dh = dG W); ``spared``: but for the first step. It reads at the rate
    of the nearest level that holds the share. The layers of a stack come one after the other, each
    cycling over its own share only, and so do two directions on one core. What is read once a call
    comes from the level that holds all weights. With one step each call cycles over all of them.
    """
    at_least("threads", threads, 1)
    cores = limits.used(threads)
    shares = [Weights(w.once / cores, w.every_step / cores, w.directions) for w in layers]
    reads = steps * passes - spared
    whole = sum(w.once + w.every_step for w in shares)
    if spared and steps == 1:
        whole = sum(w.once for w in shares)
    seconds, slowest = 0.0, 0.0
    for w in shares:
        # What is read again and again.
        cycle = whole if steps == 1 else w.every_step * cores / max(cores, w.directions)
        seconds += reads * w.every_step / limits.read_rate(cycle, threads)
        seconds += w.once / limits.read_rate(whole, threads)
        slowest = max(slowest, cycle)
    return Roofline(flops / limits.flops(threads), seconds, limits.level(slowest, threads).name)
