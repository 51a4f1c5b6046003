"""The least time that a machine allows, from limits that bench/compare.py measures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from ._arguments import at_least
from ._stack import counted


@dataclass(frozen=True)
class Level:
    """A level of the memory, and how fast it is read.

    Attributes
    ----------
    name : str
        "L1", "L2", "L3" or "memory".
    capacity : int
        Bytes that fit; 0 for the memory.
    one : float
        Bytes a second that one core reads alone.
    all : float
        Bytes a second that all cores read together.
    """

    name: str
    capacity: int
    one: float
    all: float


@dataclass(frozen=True)
class Limits:
    """What one machine can do in float32.

    Attributes
    ----------
    isa : str
        The instruction set that was measured.
    cores : int
        The number of cores.
    flops_one : float
        FLOPs a second of one core.
    flops_all : float
        FLOPs a second of all cores.
    levels : tuple of Level
        The caches, the nearest first, then the memory.
    """

    isa: str
    cores: int
    flops_one: float
    flops_all: float
    levels: tuple[Level, ...]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Limits:
        """Make limits from the dictionary that ``to_dict`` returned.

        Parameters
        ----------
        values : mapping of str to object
            The attributes by name.

        Returns
        -------
        Limits
            The same limits.

        Raises
        ------
        ValueError
            If one is missing, of another kind, or not above 0.
        """
        try:
            levels = tuple(
                Level(str(v["name"]), int(v["capacity"]), float(v["one"]), float(v["all"]))
                for v in values["levels"]
            )
            rates = float(values["flops_one"]), float(values["flops_all"])
            limits = cls(str(values["isa"]), int(values["cores"]), *rates, levels)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"limits: {error!r} is missing or of another kind") from error
        numbers = [limits.cores, *rates, *(rate for v in levels for rate in (v.one, v.all))]
        if not levels or not all(0 < n < float("inf") for n in numbers):
            raise ValueError("limits: expected rates above 0, and at least one level")
        return limits

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Limits:
        """Read limits from a JSON file.

        Parameters
        ----------
        path : str or path_like
            The results.json of bench/compare.py, or limits alone.

        Returns
        -------
        Limits
            What that machine can do.

        Raises
        ------
        ValueError
            For a file that has no limits.
        OSError
            For a file that cannot be read.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: is no JSON: {error}") from error
        own = values.get("limits", values) if isinstance(values, dict) else None
        if not isinstance(own, dict):
            raise ValueError(f"{path}: has no limits; expected results.json of bench/compare.py")
        return cls.of(own)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, texts and lists by name, for JSON.

        Returns
        -------
        dict of str to object
            The attributes.
        """
        return {**vars(self), "levels": [dict(vars(level)) for level in self.levels]}

    def used(self, threads: int) -> int:
        """Return how many cores so many threads use.

        Parameters
        ----------
        threads : int
            Threads that compute.

        Returns
        -------
        int
            At most ``cores``.
        """
        return min(threads, self.cores)

    def flops(self, threads: int) -> float:
        """Return the FLOPs a second of so many threads, each on a core of its own.

        Parameters
        ----------
        threads : int
            Threads that compute.

        Returns
        -------
        float
            FLOPs a second.
        """
        cores = self.used(threads)
        return self.flops_one if cores == 1 else self.flops_all * cores / self.cores

    def level(self, share: float, threads: int) -> Level:
        """Return the nearest level in which a core's share fits.

        The last cache is shared by the cores, the others are not.

        Parameters
        ----------
        share : float
            Bytes that one core reads again and again.
        threads : int
            Threads that compute.

        Returns
        -------
        Level
            The level.
        """
        caches = [level for level in self.levels if level.capacity]
        for level in caches:
            sharers = self.used(threads) if level is caches[-1] else 1
            if share * sharers <= level.capacity:
                return level
        return self.levels[-1]

    def read_rate(self, share: float, threads: int) -> float:
        """Return how fast one core reads its share while the others read theirs.

        Parameters
        ----------
        share : float
            Bytes that one core reads again and again.
        threads : int
            Threads that compute.

        Returns
        -------
        float
            Bytes a second.
        """
        level = self.level(share, threads)
        return level.one if self.used(threads) == 1 else level.all / self.cores


class Weights(NamedTuple):
    """The matrices of one layer, by how often a call reads them.

    Attributes
    ----------
    once : float
        Bytes that are read once a call.
    every_step : float
        Bytes that are read at every step.
    directions : int
        Directions that share both and do not wait for each other.
    """

    once: float
    every_step: float
    directions: int = 1

    def _of_layer(self, layer: int) -> Weights:
        return self


@dataclass(frozen=True)
class Roofline:
    """The least time of a call, in seconds.

    Attributes
    ----------
    arithmetic : float
        What the products need.
    weights : float
        What reading the weights needs.
    level : str
        The level that the weights come from.
    """

    arithmetic: float
    weights: float
    level: str

    @property
    def seconds(self) -> float:
        """The larger of the two bounds."""
        return max(self.arithmetic, self.weights)

    @property
    def bound(self) -> str:
        """What sets the time: "FMA", or the level that the weights come from."""
        return "FMA" if self.arithmetic >= self.weights else self.level

    def to_dict(self) -> dict[str, float | str]:
        """Return plain numbers and texts by name, for JSON.

        Returns
        -------
        dict of str to float or str
            The attributes, ``seconds`` and ``bound``.
        """
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
    """Compute the least time of a call over a stack of layers.

    A step needs all recurrent weights and cannot begin before the step before it has ended. So over
    the call a core reads its share of them ``steps`` times in each pass, at the rate of the nearest
    level that holds the share. The layers of a stack come one after the other, and each cycles over
    its own share only; so do two directions on one core. What is read once a call comes from the
    level that holds all weights. With one step each call cycles over all of them.

    Parameters
    ----------
    flops : float
        FLOPs of the call.
    layers : sequence of Weights
        The matrices of each layer, in bytes.
    steps : int
        Steps that wait for one another.
    limits : Limits
        What the machine can do.
    threads : int
        Threads that compute.
    passes : int, optional
        How often the steps are gone through: once for inference, twice for training.
    spared : bool, optional
        Whether the first step needs no recurrent weights.

    Returns
    -------
    Roofline
        The time, and what sets it.

    Raises
    ------
    ValueError
        For threads below 1.
    TypeError
        For threads that are no whole number.
    """
    at_least("threads", threads, 1)
    cores = limits.used(threads)
    shares = [
        (Weights(w.once / cores, w.every_step / cores, w.directions), n) for w, n in counted(layers)
    ]
    reads = steps * passes - spared
    whole = sum(n * (w.once + w.every_step) for w, n in shares)
    if spared and steps == 1:
        whole = sum(n * w.once for w, n in shares)
    seconds, slowest = 0.0, 0.0
    for w, n in shares:
        # What is read again and again.
        cycle = whole if steps == 1 else w.every_step * cores / max(cores, w.directions)
        seconds += n * reads * w.every_step / limits.read_rate(cycle, threads)
        seconds += n * w.once / limits.read_rate(whole, threads)
        slowest = max(slowest, cycle)
    return Roofline(flops / limits.flops(threads), seconds, limits.level(slowest, threads).name)
