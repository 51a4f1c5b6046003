"""What everything is counted in: tensors, matrix products and element-wise operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TypeAlias

Operations: TypeAlias = Counter[str]  # element-wise operations by kind


def ops(**kinds: int) -> Operations:
    return Counter({kind: n for kind, n in kinds.items() if n})


def times(n: int, operations: Mapping[str, int]) -> Operations:
    return Counter({kind: n * each for kind, each in operations.items() if n * each})


@dataclass(frozen=True)
class Tensor:
    """One weight tensor: its name in ``layer.weights``, its shape, and what it is for."""

    name: str
    shape: tuple[int, ...]
    role: str  # input, recurrent, projection, bias, peephole, output, message, gate, embedding

    @property
    def size(self) -> int:
        """Numbers in it."""
        return prod(self.shape)


@dataclass(frozen=True)
class Product:
    """A matrix product: ``times`` rows of ``depth`` numbers, each to ``columns`` sums."""

    role: str  # that of the tensor in it; "adjacency" for a graph's matrix
    columns: int
    depth: int
    times: int
    place: str = ""  # which layer and direction: "l0", "l1_reverse"

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.columns * self.depth * self.times


@dataclass(frozen=True)
class Work:
    """Matrix products and element-wise operations of one pass."""

    products: tuple[Product, ...] = ()
    elementwise: Operations = field(default_factory=Counter)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all products."""
        return sum(p.macs for p in self.products)

    @property
    def flops(self) -> int:
        """2 for each multiply-accumulate; element-wise operations are counted apart."""
        return 2 * self.macs

    @property
    def elementwise_total(self) -> int:
        """Element-wise operations of all kinds, one each."""
        return sum(self.elementwise.values())

    def macs_by(self, key: Callable[[Product], str] = lambda p: p.role) -> dict[str, int]:
        """Multiply-accumulates by role, or by another property of the products."""
        sums: dict[str, int] = {}
        for p in self.products:
            sums[key(p)] = sums.get(key(p), 0) + p.macs
        return {name: n for name, n in sums.items() if n}

    def __add__(self, other: Work) -> Work:
        return Work(self.products + other.products, self.elementwise + other.elementwise)

    def to_dict(self) -> dict[str, object]:
        """Plain numbers, for JSON."""
        return {
            "macs": self.macs,
            "flops": self.flops,
            "macs_by_role": self.macs_by(),
            "elementwise": dict(self.elementwise),
        }


@dataclass(frozen=True)
class Passes:
    """The work of one call, and of the backward that follows it."""

    forward: Work = Work()
    to_inputs: Work = Work()  # backward, to inputs and states
    to_weights: Work = Work()  # backward, to weights

    @property
    def backward(self) -> Work:
        """All of backward."""
        return self.to_inputs + self.to_weights

    def __add__(self, other: Passes) -> Passes:
        return Passes(
            self.forward + other.forward,
            self.to_inputs + other.to_inputs,
            self.to_weights + other.to_weights,
        )


def total(passes: Iterable[Passes]) -> Passes:
    result = Passes()
    for p in passes:
        result += p
    return result
