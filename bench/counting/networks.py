"""The networks that complexity.py times, each with what gru_native.complexity counts for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

import gru_native
from gru_native import complexity
from measuring.problem import Runner

FRAMES, STREAMS = 20, 4  # of Sak et al.: steps that gradients go back, sequences at once
FEATURES = 40


@dataclass(frozen=True)
class Network:
    """A recurrent layer, with a dense layer behind it if there are outputs."""

    name: str
    family: str  # LSTM, LSTMP, GRU, CIFG, RNN
    hidden_size: int
    outputs: int = 0
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    input_size: int = FEATURES
    seq_len: int = FRAMES
    batch: int = STREAMS

    def build(self, of: Any) -> Any:
        """From gru_native, or from its complexity, where it has no weights."""
        kind = {"GRU": of.GRU, "RNN": of.RNN}.get(self.family, of.LSTM)
        layer = kind(self.input_size, self.hidden_size, seed=1, **self.options)
        if not self.outputs:
            return layer
        return of.Chain([layer, of.Dense(_width(layer), self.outputs, seed=1)])

    @cached_property
    def count(self) -> complexity.Count:
        return complexity.count(self.build(complexity), self.seq_len, self.batch)

    @property
    def frames(self) -> int:
        return self.seq_len * self.batch

    def flops(self, training: bool) -> int:
        """Of a call."""
        c = self.count
        return c.forward.flops + (c.backward.flops if training else 0)


def _width(layer: Any) -> int:
    if not isinstance(layer, gru_native.LSTM) or not layer.proj_size:
        return int(layer.hidden_size)
    return layer.proj_size + layer.nonrecurrent_proj_size


def lstm(n_c: int, r: int = 0, p: int = 0, outputs: int = 126, **changes: Any) -> Network:
    name = f"LSTM_c{n_c}" + (f"_r{r}" if r else "") + (f"_p{p}" if p else "")
    options = {"peephole": True, "proj_size": r, "nonrecurrent_proj_size": p}
    return Network(name, "LSTMP" if r else "LSTM", n_c, outputs, options, **changes)


def acoustic(quick: bool) -> Iterator[Network]:
    """Sak, Senior and Beaufays (2014), and smaller and larger ones, to see how cost grows."""
    for n_c in (128, 512) if quick else (64, 128, 256, 512, 1024, 2048):
        yield lstm(n_c)
        yield Network(f"GRU_c{n_c}", "GRU", n_c, 126)
        yield Network(f"RNN_c{n_c}", "RNN", n_c, 126)
    paper = [(1024, 256, 0), (2048, 256, 0), (2048, 256, 256), (2048, 512, 0)]
    for n_c, r, p in paper[:1] if quick else [(256, 64, 0), (512, 128, 0), *paper]:
        yield lstm(n_c, r, p)
    for outputs in (2000,) if quick else (2000, 8000):
        for n_c, r, p in [(512, 0, 0), *(paper[:1] if quick else paper)]:
            yield lstm(n_c, r, p, outputs)


EQUAL = 256  # cells of the LSTM that the others are compared with
CELLS: dict[str, dict[str, Any]] = {
    "LSTM": {},
    "CIFG": {"coupled_gates": True},
    "GRU": {},
    "RNN": {},
}


def equal_size(batch: int) -> list[Network]:
    return [
        Network(cell, cell, EQUAL, 0, options, EQUAL, 100, batch) for cell, options in CELLS.items()
    ]


def equal_parameters(batch: int) -> list[Network]:
    """Of each cell the size whose parameters come nearest to the LSTM's."""

    def parameters(cell: str, n: int) -> int:
        return Network(cell, cell, n, 0, CELLS[cell], EQUAL).count.parameters

    wanted = parameters("LSTM", EQUAL)
    return [
        Network(cell, cell, n, 0, CELLS[cell], EQUAL, 100, batch)
        for cell in CELLS
        for n in [min(range(1, 4 * EQUAL), key=lambda n: abs(parameters(cell, n) - wanted))]
    ]


def projections(quick: bool) -> list[list[Network]]:
    """Groups: an LSTM without a projection, then the same with smaller and smaller ones."""
    cells = (512,) if quick else (1024, 2048)
    return [
        [lstm(n_c, 0, 0, 2000), *(lstm(n_c, n_c // k, 0, 2000) for k in (2, 4, 8))] for n_c in cells
    ]


def runner(network: Network, training: bool, threads: int) -> Runner:
    """Ready to be timed by timing.measure."""
    model = network.build(gru_native)
    rng = np.random.default_rng(2)
    shape = (network.seq_len, network.batch)
    x = rng.standard_normal((*shape, network.input_size), dtype=np.float32)
    y = model(x)[0]
    dy = rng.standard_normal(y.shape, dtype=np.float32)

    @contextmanager
    def around() -> Iterator[None]:
        gru_native.set_num_threads(threads)
        yield

    def train() -> object:
        tape = model.forward(x)[2]
        return model.backward(tape, dy)

    call: Callable[[], object] = train if training else lambda: model(x)
    return Runner("gru_native", threads, call, lambda: {"y": model(x)[0]}, around)
