"""The algebra of a step: every tensor as a sum of products, whichever nodes wrote it.

A tensor (.., width) is a sum of terms, each a map of a product of factors, element by element:

    factor    a tensor whose making does not matter (Atom), a function of a sum (Applied), or a
              product with a matrix inside of a product (Mapped)
    monomial  factors, in an order of their keys; () is 1
    map       numbers that each element is multiplied with, or a matrix that rows are

``(1 - z) * n + z * h`` and ``n + z * (h - n)`` are thus the same: {n: 1, z n: -1, z h: 1}. Keys are
small numbers that ``Algebra`` gives, equal for what is written alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ...layers._arguments import Function
from ...layers._weights import Array

_MOST_TERMS, _MOST_FACTORS, _DEEPEST = 12, 4, 6
_MADE = 1 << 27  # bytes of matrices that are made of others


class NoAlgebra(Exception):
    """What is no such sum, or too large a one."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """A constant (rows, columns), or a part of one."""

    array: Array
    key: Hashable

    def part(self, axis: int, start: int, stop: int) -> Matrix:
        where = (slice(None),) * axis + (slice(start, stop),)
        return Matrix(self.array[where], (self.key, axis, start, stop))


class Keyed:
    """What is the same where its key is."""

    key: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keyed) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, eq=False)
class Atom(Keyed):
    name: str
    key: int
    depth: int = 0


@dataclass(frozen=True, eq=False)
class Applied(Keyed):
    function: Function
    argument: Sum
    key: int
    depth: int


@dataclass(frozen=True, eq=False)
class Mapped(Keyed):
    matrix: Matrix
    of: Monomial
    key: int
    depth: int


Factor: TypeAlias = Atom | Applied | Mapped
Monomial: TypeAlias = tuple[Factor, ...]
Map: TypeAlias = Array | Matrix  # an array of float64: (), or (width,)
ONE = np.ones(())


@dataclass(frozen=True, eq=False)
class Term:
    of: Monomial
    map: Map


@dataclass(frozen=True, eq=False)
class Sum:
    """affine: what this is alpha times, plus beta, where it was written so."""

    terms: dict[tuple[int, ...], Term]
    width: int | None
    affine: tuple[Sum, float, float] | None = None
    depth: int = 0

    @property
    def linear(self) -> bool:
        """Whether all that varies is products with matrices."""
        return all(isinstance(t.map, Matrix) or not t.of for t in self.terms.values())

    @property
    def single(self) -> Monomial | None:
        """The one product that this is."""
        if len(self.terms) != 1:
            return None
        (term,) = self.terms.values()
        return term.of if is_all(term.map, 1) else None


def is_all(number: Map, value: float) -> bool:
    return not isinstance(number, Matrix) and bool((number == value).all())


class Algebra:
    """Makes sums, and gives keys. Raises NoAlgebra."""

    def __init__(self) -> None:
        self._keys: dict[Hashable, int] = {}
        self._digests: dict[int, tuple[Array, bytes]] = {}
        self._made: dict[Hashable, Matrix] = {}
        self._space = _MADE

    def _key(self, *of: Hashable) -> int:
        return self._keys.setdefault(of, len(self._keys))

    def key(self, value: Sum) -> int:
        """Equal for sums that are written alike."""
        return self._key("sum", frozenset((k, _map_key(t.map)) for k, t in value.terms.items()))

    def matrix(self, array: Array) -> Matrix:
        """A constant; equal ones have equal keys."""
        kept = self._digests.get(id(array))
        if kept is None:
            content = hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).digest()
            kept = self._digests[id(array)] = (array, content)  # kept, so that ids stay its own
        return Matrix(array, (kept[1], array.shape, array.dtype.str))

    def _new(self, key: Hashable, size: int, make: Callable[[], Array]) -> Matrix:
        """A matrix of so many bytes that is made of others."""
        if key not in self._made:
            if size > self._space:
                raise NoAlgebra
            self._space -= size
            self._made[key] = Matrix(make(), key)
        return self._made[key]

    def atom(self, name: str, width: int | None) -> Sum:
        return self.joined([Term((Atom(name, self._key("atom", name)),), ONE)], width)

    def constant(self, array: Array) -> Sum:
        """Of one number, or of one for each column and the same for all rows."""
        rows = array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)
        if len(rows) == 0 or (rows != rows[:1]).any() or array.dtype.kind != "f":
            raise NoAlgebra
        row = rows[0].astype(np.float64)
        width = len(row) if array.ndim and len(row) > 1 else None
        return self.joined([Term((), row if width else row.reshape(()))], width)

    def joined(self, terms: Sequence[Term], width: int | None, affine: Any = None) -> Sum:
        """The sum of such terms, those of the same product put together."""
        found: dict[tuple[int, ...], Term] = {}
        for term in terms:
            key = tuple(factor.key for factor in term.of)
            before = found.get(key)
            found[key] = term if before is None else Term(term.of, self._both(before.map, term.map))
        found = {k: t for k, t in found.items() if isinstance(t.map, Matrix) or np.any(t.map != 0)}
        if len(found) > _MOST_TERMS or any(len(t.of) > _MOST_FACTORS for t in found.values()):
            raise NoAlgebra
        depth = max((f.depth for t in found.values() for f in t.of), default=0)
        if depth > _DEEPEST:
            raise NoAlgebra
        return Sum(found, width, affine, depth)

    def _both(self, one: Map, other: Map) -> Map:
        if isinstance(one, Matrix) and isinstance(other, Matrix):
            if one.array.shape != other.array.shape:
                raise NoAlgebra
            key = "sum", one.key, other.key
            return self._new(key, one.array.nbytes, lambda: one.array + other.array)
        if isinstance(one, Matrix) or isinstance(other, Matrix):
            raise NoAlgebra
        return one + other

    def add(self, *values: Sum) -> Sum:
        width = _one_width(values)
        affine = None
        for a, b in (values, values[::-1]) if len(values) == 2 else ():
            number = _number(b)
            if number is not None:
                base, alpha, beta = a.affine or (a, 1.0, 0.0)
                affine = base, alpha, beta + number
        return self.joined([t for v in values for t in v.terms.values()], width, affine)

    def multiply(self, a: Sum, b: Sum) -> Sum:
        width = _one_width((a, b))
        affine = None
        for value, other in ((a, b), (b, a)):
            number = _number(other)
            if number is not None:
                base, alpha, beta = value.affine or (value, 1.0, 0.0)
                affine = base, alpha * number, beta * number
        if _numbers_only(a) or _numbers_only(b):
            value, other = (b, a) if _numbers_only(a) else (a, b)
            (factor,) = other.terms.values() or (Term((), np.zeros(())),)
            return self.joined(
                [self._scaled(t, factor.map) for t in value.terms.values()], width, affine
            )
        terms = [
            Term(tuple(sorted((*s.of, *t.of), key=lambda f: f.key)), s.map * t.map)
            for s in map(self._plain, a.terms.values())
            for t in map(self._plain, b.terms.values())
        ]
        return self.joined(terms, width)

    def _scaled(self, term: Term, by: Map) -> Term:
        if isinstance(by, Matrix):
            raise NoAlgebra
        own = term.map
        if isinstance(own, Matrix):
            key = "scaled", own.key, _map_key(by)
            scaled = self._new(
                key, own.array.nbytes, lambda: (own.array * by).astype(own.array.dtype)
            )
            return Term(term.of, scaled)
        return Term(term.of, term.map * by)

    def _plain(self, term: Term) -> Any:
        """With a product with a matrix as a factor."""
        if not isinstance(term.map, Matrix):
            return term
        of = tuple(factor.key for factor in term.of)
        depth = 1 + max((factor.depth for factor in term.of), default=0)
        return Term((Mapped(term.map, term.of, self._key("map", of, term.map.key), depth),), ONE)

    def product(self, of: Monomial, matrix: Matrix) -> Sum:
        """Rows of a product of factors, times a matrix."""
        return self.joined([Term(of, matrix)], matrix.array.shape[1])

    def apply(self, function: Function, value: Sum) -> Sum:
        key = self._key("function", function, self.key(value))
        applied = Applied(function, value, key, 1 + value.depth)
        return self.joined([Term((applied,), ONE)], value.width)

    def part(self, value: Sum, start: int, stop: int) -> Sum:
        """Some of the columns."""
        width = value.width
        if width is None or not 0 <= start < stop <= width:
            raise NoAlgebra
        if (start, stop) == (0, width):
            return value
        terms = []
        for term in value.terms.values():
            if isinstance(term.map, Matrix):
                terms.append(Term(term.of, term.map.part(1, start, stop)))
                continue
            factors = [self._factor_part(f, start, stop) for f in term.of]
            own = term.map[start:stop] if term.map.ndim else term.map
            terms.append(Term(tuple(sorted(factors, key=lambda f: f.key)), own))
        affine = None
        if value.affine is not None:
            base, alpha, beta = value.affine
            affine = self.part(base, start, stop), alpha, beta
        return self.joined(terms, stop - start, affine)

    def _factor_part(self, factor: Factor, start: int, stop: int) -> Any:
        if isinstance(factor, Applied):
            whole = self.apply(factor.function, self.part(factor.argument, start, stop))
            (term,) = whole.terms.values()
            return term.of[0]
        if isinstance(factor, Mapped):
            return self._plain(Term(factor.of, factor.matrix.part(1, start, stop))).of[0]
        raise NoAlgebra

    def beside(self, values: Sequence[Sum]) -> Sum:
        """Sums of products with matrices, one beside the other."""
        widths = [v.width for v in values]
        if None in widths or not all(v.linear for v in values):
            raise NoAlgebra
        terms = []
        for key, of in {k: t.of for v in values for k, t in v.terms.items()}.items():
            found = [v.terms.get(key) for v in values]
            if not of:
                numbers = [
                    np.zeros(w) if t is None else np.broadcast_to(t.map, w)  # type: ignore[arg-type]
                    for t, w in zip(found, widths, strict=True)
                ]
                terms.append(Term(of, np.concatenate(numbers)))
                continue
            parts = [t.map if t is not None and isinstance(t.map, Matrix) else None for t in found]
            terms.append(Term(of, self._side_by_side(parts, widths)))
        return self.joined(terms, sum(w for w in widths if w is not None))

    def _side_by_side(self, parts: Sequence[Matrix | None], widths: Sequence[Any]) -> Matrix:
        """None: zeros."""
        first = next(p.array for p in parts if p is not None)
        rows, dtype = len(first), first.dtype
        if any(p is not None and len(p.array) != rows for p in parts):
            raise NoAlgebra
        key = (
            "beside",
            *((w, None if p is None else p.key) for p, w in zip(parts, widths, strict=True)),
        )

        def make() -> Array:
            arrays = [
                np.zeros((rows, w), dtype) if p is None else p.array
                for p, w in zip(parts, widths, strict=True)
            ]
            return np.concatenate(arrays, 1)

        return self._new(key, rows * sum(widths) * dtype.itemsize, make)


def _map_key(own: Map) -> Hashable:
    return own.key if isinstance(own, Matrix) else (own.shape, own.tobytes())


def _numbers_only(value: Sum) -> bool:
    return not any(value.terms)


def _number(value: Sum) -> float | None:
    """The one number that this is."""
    if not _numbers_only(value):
        return None
    numbers = [t.map for t in value.terms.values()] or [np.zeros(())]
    (own,) = numbers
    flat = np.unique(own) if not isinstance(own, Matrix) else np.zeros(0)
    return float(flat[0]) if len(flat) == 1 else None


def _one_width(values: Sequence[Sum]) -> int | None:
    widths = {v.width for v in values} - {None}
    if len(widths) > 1:
        raise NoAlgebra
    return next(iter(widths), None)
