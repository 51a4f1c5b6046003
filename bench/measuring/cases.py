"""What is measured: the shapes of every group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
RANDOM = ("random", "random_training")  # shapes drawn anew for each seed
GROUPS = ("inference", "stacks", "training", "streaming", *RANDOM)
RANDOM_SHAPES = 24  # of each of these groups
SIZES = (64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Case:
    """One shape: a call of seq_len steps on a batch, input_size -> hidden_size."""

    group: str
    cell: str
    seq_len: int
    batch: int
    input_size: int
    hidden_size: int
    num_layers: int = 1
    bidirectional: bool = False
    lengths: tuple[int, ...] | None = None  # ragged: the steps of each row of the batch

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def kind(self) -> str:
        """What a call does: "inference", "training" or "streaming"."""
        kinds = {"stacks": "inference", "random": "inference", "random_training": "training"}
        return kinds.get(self.group, self.group)

    @property
    def steps(self) -> int:
        """Steps that count, over the whole batch."""
        return sum(self.lengths) if self.lengths else self.seq_len * self.batch

    @property
    def label(self) -> str:
        if self.input_size == self.hidden_size:
            size = f"H={self.hidden_size}"
        else:
            size = f"{self.input_size}->{self.hidden_size}"
        words = [f"T={self.seq_len}", f"B={self.batch}", size]
        if self.lengths:
            words[0] = f"T={min(self.lengths)}..{max(self.lengths)}"
        if self.num_layers > 1:
            words.append(f"{self.num_layers} layers")
        if self.bidirectional:
            words.append("bidirectional")
        return " ".join(words)

    @property
    def name(self) -> str:
        return f"{self.cell.upper()} {self.label}"

    def layers(self) -> Iterator[tuple[int, int]]:
        """(weights of the input, recurrent weights) of each layer, all its directions together."""
        rows = GATES[self.cell] * self.hidden_size * self.directions
        columns = self.input_size
        for _ in range(self.num_layers):
            yield rows * columns, rows * self.hidden_size
            columns = self.hidden_size * self.directions

    @property
    def flops(self) -> int:
        """Of the matrix products of the call: a multiplication and an addition a weight and step.

        A training step has three such products: forward, gradients of what goes in, and gradients
        of the weights. A call without a state needs no recurrent product at its first step.
        """
        weights = sum(i + r for i, r in self.layers())
        products = weights * self.steps * (3 if self.kind == "training" else 1)
        return 2 * (products - self.stateless * self.batch * sum(r for _, r in self.layers()))

    @property
    def stateless(self) -> bool:
        """Whether calls begin without a state; a stream has one."""
        return self.kind != "streaming"

    def full_batch(self) -> Case | None:
        """For a ragged case, the case with as many steps and all rows equally long."""
        if not self.lengths:
            return None
        return replace(self, seq_len=self.steps // self.batch, lengths=None)


def ragged_lengths(batch: int, least: int, most: int) -> tuple[int, ...]:
    """Evenly spread lengths in a fixed random order; their sum is a multiple of the batch."""
    lengths = np.round(np.linspace(least, most, batch)).astype(int)
    lengths[batch // 2] -= lengths.sum() % batch
    return tuple(int(n) for n in np.random.default_rng(5).permutation(lengths))


def _inference(cell: str) -> Iterator[Case]:
    shapes = [(1, 1, h) for h in SIZES] + [(100, 1, h) for h in SIZES]
    shapes += [(100, 8, 256), (100, 32, 128), (100, 32, 256), (100, 32, 512), (50, 64, 1024)]
    for t, b, h in shapes:
        yield Case("inference", cell, t, b, h, h)


def _stacks(cell: str) -> Iterator[Case]:
    for h in (256, 512):
        for n in (2, 4):
            yield Case("stacks", cell, 100, 1, 40, h, num_layers=n)
    yield Case("stacks", cell, 100, 1, 40, 256, bidirectional=True)
    yield Case("stacks", cell, 100, 16, 80, 320, num_layers=2, bidirectional=True)
    yield Case("stacks", cell, 100, 32, 256, 256, lengths=ragged_lengths(32, 10, 100))


def _training(cell: str) -> Iterator[Case]:
    for b in (1, 8, 32, 64):
        yield Case("training", cell, 100, b, 256, 256)


def _streaming(cell: str) -> Iterator[Case]:
    for h in (8, 16, 20, 40, 64):
        yield Case("streaming", cell, 1, 1, 1, h)
    for h in (64, 128, 256):
        yield Case("streaming", cell, 1, 1, h, h)


def random_shapes(group: str, cells: tuple[str, ...], seed: int, count: int) -> list[Case]:
    """Shapes that nobody chose: T 1 to 200, B 1 to 128, I and H 1 to 768, each log-uniform.

    The cells take turns. A third of the shapes are stacks of two or three layers, a quarter have
    two directions.
    """
    rng = np.random.default_rng(seed)

    def draw(most: int) -> int:
        return int(np.exp(rng.uniform(0, np.log(most + 1))))

    shapes = []
    for k in range(count):
        t, b, i, h = (draw(most) for most in (200, 128, 768, 768))
        layers = int(rng.integers(2, 4)) if rng.random() < 1 / 3 else 1
        both = bool(rng.random() < 1 / 4)
        shapes.append(Case(group, cells[k % len(cells)], t, b, i, h, layers, both))
    return shapes


def _is_quick(case: Case) -> bool:
    """Few shapes, but at least one of every kind."""
    if case.group == "inference":
        shape = (case.seq_len, case.batch, case.hidden_size)
        return shape in ((1, 1, 64), (100, 1, 256), (100, 32, 128))
    if case.group == "stacks":
        return case.hidden_size == 256 and case.num_layers <= 2
    if case.group == "training":
        return case.batch == 1
    return (case.input_size, case.hidden_size) in ((1, 8), (128, 128))


def grid(groups: tuple[str, ...], cells: tuple[str, ...], quick: bool, seed: int = 0) -> list[Case]:
    makers = {
        "inference": _inference,
        "stacks": _stacks,
        "training": _training,
        "streaming": _streaming,
    }
    cases = [
        case
        for group in groups
        if group in makers
        for cell in cells
        for case in makers[group](cell)
    ]
    if quick:
        cases = [case for case in cases if _is_quick(case)]
    gated = tuple(cell for cell in cells if cell != "rnn")
    for group in RANDOM:
        if group in groups and gated:
            cases += random_shapes(group, gated, seed, 4 if quick else RANDOM_SHAPES)
    return cases


def of_few_bits(cells: tuple[str, ...], quick: bool) -> list[Case]:
    """Inference, and batches of small layers, where few bits gain little."""
    small = [Case("inference", cell, 100, batch, 64, 64) for cell in cells for batch in (8, 32)]
    return grid(("inference",), cells, quick) + ([] if quick else small)
