"""What everything is counted in: tensors, matrix products and element-wise operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import TypeAlias

from ._stack import Run, Stack, counted, joined

Operations: TypeAlias = Counter[str]  # element-wise operations by kind


def ops(**kinds: int) -> Operations:
    return Counter({kind: n for kind, n in kinds.items() if n})


def times(n: int, operations: Mapping[str, int]) -> Operations:
    return Counter({kind: n * each for kind, each in operations.items() if n * each})


@dataclass(frozen=True)
class Tensor:
    """One weight tensor.

    Attributes
    ----------
    name : str
        Its name in ``layer.weights``.
    shape : tuple of int
        Its shape.
    role : str
        What it is for: input, recurrent, projection, bias, peephole, output, message, gate,
        embedding, attention or readout, or initial, of a state.
    precision : str or None
        Of its matrix: ``"int8"``, ``"bf16"`` or None, full.
    """

    name: str
    shape: tuple[int, ...]
    role: str
    precision: str | None = None

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)

    def _bytes(self, itemsize: int) -> int:
        """Of a matrix of int8 with its rows' scales; itemsize: where the precision is full."""
        if self.precision is None or not self._is_matrix:
            return itemsize * self.size
        rows = self.size // self.shape[-1]
        return self.size + itemsize * rows if self.precision == "int8" else 2 * self.size

    @property
    def _is_matrix(self) -> bool:
        """Whether ``quantize`` makes few bits of it."""
        return len(self.shape) > 1 and self.role != "bias"

    def _of_layer(self, layer: int) -> Tensor:
        return replace(self, name=self.name.format(layer))


@dataclass(frozen=True)
class Product:
    """Products of rows with one matrix: ``times`` rows of ``depth`` numbers to ``columns`` sums.

    Attributes
    ----------
    role : str
        That of the tensor; "adjacency" for the matrix of a graph; "score" and "context" for the
        products of a decoder with its memories.
    columns : int
        Sums for each row.
    depth : int
        Multiply-accumulates for each sum.
    times : int
        Rows.
    place : str
        Which layer and direction it belongs to: "l0", "l1_reverse".
    """

    role: str
    columns: int
    depth: int
    times: int
    place: str = ""

    @property
    def macs(self) -> int:
        """How many multiply-accumulates it has."""
        return self.columns * self.depth * self.times

    def _of_layer(self, layer: int) -> Product:
        return replace(self, place=self.place.format(layer))


@dataclass(frozen=True)
class Work:
    """Matrix products and element-wise operations of one pass.

    Attributes
    ----------
    products : sequence of Product
        The products.
    elementwise : Counter of str
        How many element-wise operations of each kind there are.
    """

    products: Sequence[Product] = ()
    elementwise: Operations = field(default_factory=Counter)

    @property
    def macs(self) -> int:
        """How many multiply-accumulates all products have."""
        return sum(n * p.macs for p, n in counted(self.products))

    @property
    def flops(self) -> int:
        """How many FLOPs the products have, 2 for each multiply-accumulate."""
        return 2 * self.macs

    @property
    def elementwise_total(self) -> int:
        """How many element-wise operations of all kinds there are."""
        return sum(self.elementwise.values())

    def macs_by(self, key: Callable[[Product], str] | None = None) -> dict[str, int]:
        """Count multiply-accumulates by role, or by another property of the products.

        Parameters
        ----------
        key : callable, optional
            From a product to what it is counted under.

        Returns
        -------
        dict of str to int
            The sums that are not 0.
        """
        sums: dict[str, int] = {}
        if key is None:
            for p, n in counted(self.products):
                sums[p.role] = sums.get(p.role, 0) + n * p.macs
        else:  # which may ask for the layer
            for p in self.products:
                sums[key(p)] = sums.get(key(p), 0) + p.macs
        return {name: n for name, n in sums.items() if n}

    def __add__(self, other: Work) -> Work:
        return _sum([self, other])

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers by name, for JSON.

        Returns
        -------
        dict of str to object
            Sums, and sums by role and kind.
        """
        return {
            "macs": self.macs,
            "flops": self.flops,
            "macs_by_role": self.macs_by(),
            "elementwise": dict(self.elementwise),
        }


@dataclass(frozen=True)
class Passes:
    """The work of one call, and of the backward that follows it.

    Attributes
    ----------
    forward : Work
        The call.
    to_inputs : Work
        The part of backward that computes gradients of pre-activations, states and inputs.
    to_weights : Work
        The part of backward that computes gradients of weights.
    """

    forward: Work = Work()
    to_inputs: Work = Work()
    to_weights: Work = Work()

    @property
    def backward(self) -> Work:
        """The work of all of backward."""
        return self.to_inputs + self.to_weights

    def __add__(self, other: Passes) -> Passes:
        return total([self, other])

    def _of_layers(self, first: int, layers: int) -> Passes:
        """What so many equal layers do, of which this is one."""
        return Passes(*(_stacked(work, first, layers) for work in self._works()))

    def _works(self) -> tuple[Work, Work, Work]:
        return self.forward, self.to_inputs, self.to_weights


def _stacked(work: Work, first: int, layers: int) -> Work:
    own = tuple(product for product, _ in counted(work.products))
    stack: Stack[Product] = Stack([Run(own, first, layers)])
    return Work(stack, times(layers, work.elementwise))


def _sum(works: Sequence[Work]) -> Work:
    operations: Operations = Counter()
    for work in works:
        operations.update(work.elementwise)
    return Work(joined(work.products for work in works), operations)


def _stays_float(p: Product) -> bool:
    """Whether that matrix of int8 is packed as floats; see cpp/engine/matrix/quantization.cpp."""
    return p.depth <= 28 and 4 * p.columns * p.depth <= 65536


def in_few_bits(passes: Passes, precision: str) -> Passes:
    """Of a layer for inference whose products have such weights; see cpp/kernels/quantized.h.

    What an int8 product reads is made whole numbers, once for each row, and its sums become floats;
    small matrices are multiplied as floats. The gate of a readout reads what its output reads; the
    matrix of a graph is no weight.
    """
    if precision != "int8":
        return Passes(passes.forward)
    products = [
        (p, n)
        for p, n in counted(passes.forward.products)
        if p.role != "adjacency" and not _stays_float(p)
    ]
    conversions = ops(
        quantize=sum(n * p.times * p.depth for p, n in products if p.role != "gate"),
        dequantize=sum(n * p.times * p.columns for p, n in products),
    )
    return Passes(passes.forward + Work(elementwise=conversions))


def total(passes: Iterable[Passes]) -> Passes:
    """All of them together."""
    works = [p._works() for p in passes]
    return Passes(*map(_sum, zip(*works, strict=True))) if works else Passes()
