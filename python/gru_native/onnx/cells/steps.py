"""Steps of recurrent layers, by what they compute.

LSTM    h' = o * tanh(c'),  c' = f * c + i * g,  each gate a function of sums of products;
        with f = 1 - i, too
GRU     h' = (1 - z) * n + z * h,  n = tanh(W x + b + r * (R h + b_h)), or tanh(W x + b + R (r * h))
RNN     h' = tanh(W x + R h + b)

with any functions that the layers have, and an LSTM's peepholes. A first step whose state is 0 may
have been written without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...layers._arguments import Function
from ...layers._weights import Array
from .terms import Applied, Atom, Mapped, Matrix, Monomial, Sum, Term, is_all


@dataclass(eq=False)
class Step:
    """One step. parts: for each tensor that comes in, a matrix for each gate; None: of zeros.

    Gates in ONNX's order: i o f g, z r n. h, c: the state before, "" where it is 0, None where it
    is one of several in parts.
    """

    kind: str
    size: int
    out: str  # h'
    c_out: str = ""
    h: str | None = None
    c: str = ""
    parts: dict[str, list[Array | None]] = field(default_factory=dict)
    bias: list[Array | None] = field(default_factory=list)
    hidden_bias: Array | None = None  # of a GRU's n, which r multiplies
    peepholes: list[Array | None] = field(default_factory=list)  # i o f
    functions: tuple[Function, ...] = ()
    reset_after: bool = False
    coupled: bool = False  # of an LSTM: f is 1 - i, and has no matrices

    unknown: int | None = None  # the gate that a state of 0 hides

    @property
    def zero(self) -> bool:
        return self.h == ""

    def could_follow(self, before: Step) -> bool:
        """Whether the step before, by the same weights, may have made this one's state."""
        h = before.out
        if self.h not in (None, h) or h not in self.parts or self.c != before.c_out:
            return False
        if (self.kind, self.size, self.functions) != (before.kind, before.size, before.functions):
            return False
        own, theirs = dict(self.parts), dict(before.parts)
        recurrent = own.pop(h)
        if before.zero:  # o sees c', which is not 0
            if not _same(self.peepholes[1:2], before.peepholes[1:2]):
                return False
        else:
            same = [n for n, p in theirs.items() if before.h in (None, n) and _same(p, recurrent)]
            if not same or self.reset_after != before.reset_after:
                return False
            if self.coupled != before.coupled:
                return False
            theirs.pop(same[-1])
            if not _same(self.peepholes, before.peepholes):
                return False
        hidden = [self.hidden_bias], [before.hidden_bias]
        return (
            len(own) == len(theirs)
            and all(
                _same(a, b, before.unknown)
                for a, b in zip(own.values(), theirs.values(), strict=True)
            )
            and _same(self.bias, before.bias, before.unknown)
            and _same(*hidden)
        )

    def settle(self, recurrent: Sequence[Array | None]) -> None:
        """Takes the tensor with these matrices as the state before."""
        if self.h is None:
            self.h = [n for n, p in self.parts.items() if _same(p, recurrent)][-1]


def _same(a: Sequence[Array | None], b: Sequence[Array | None], but: int | None = None) -> bool:
    """Whether all are, but one of them."""
    return len(a) == len(b) and all(
        _equal(x, y) for i, (x, y) in enumerate(zip(a, b, strict=True)) if i != but
    )


def _equal(a: Array | None, b: Array | None) -> bool:
    if a is None or b is None:
        other = b if a is None else a
        return other is None or not other.any()
    return a is b or (a.shape == b.shape and bool((a == b).all()))


class _Other(Exception):
    """It is no such step."""


@dataclass
class _Gate:
    parts: dict[str, Array] = field(default_factory=dict)
    bias: Array | None = None
    rest: dict[tuple[int, ...], Term] = field(default_factory=dict)  # products of other factors


def _gate(argument: Sum, size: int) -> _Gate:
    """A sum of products with matrices, and what else is in it."""
    gate = _Gate()
    for key, term in argument.terms.items():
        if not term.of and not isinstance(term.map, Matrix):
            gate.bias = np.broadcast_to(term.map, size)
        elif isinstance(term.map, Matrix) and len(term.of) == 1 and isinstance(term.of[0], Atom):
            gate.parts[term.of[0].name] = term.map.array
        else:
            gate.rest[key] = term
    return gate


def _joined(gates: Sequence[_Gate]) -> dict[str, list[Array | None]]:
    names = dict.fromkeys(n for gate in gates for n in gate.parts)
    parts: dict[str, list[Array | None]] = {n: [g.parts.get(n) for g in gates] for n in names}
    for arrays in parts.values():
        if len({a.shape for a in arrays if a is not None}) != 1:
            raise _Other
    return parts


def states_of(parts: dict[str, list[Array | None]], size: int) -> list[str]:
    """What has as many columns as a state."""
    return [n for n, own in parts.items() if all(len(a) == size for a in own if a is not None)]


def lstm(out: str, value: Sum, tensors: dict[int, str], key: Any) -> Step | None:
    """The step that ends with this value. tensors: names by keys; key: of a sum."""
    pair = value.single
    if pair is None or len(pair) != 2 or value.width is None:
        return None
    for o, u in (pair, pair[::-1]):
        if isinstance(o, Applied) and isinstance(u, Applied):
            c_out = tensors.get(key(u.argument))
            if c_out is None:
                continue
            for form in (_lstm, _coupled):
                try:
                    return form(out, c_out, o, u, value.width)
                except _Other:
                    continue
    return None


def _lstm(out: str, c_out: str, o: Applied, u: Applied, size: int) -> Step:
    cell = u.argument
    kept: list[Monomial] = []
    new: list[Monomial] = []
    for term in cell.terms.values():
        if not is_all(term.map, 1) or len(term.of) != 2:
            raise _Other
        (kept if any(isinstance(f, Atom) for f in term.of) else new).append(term.of)
    if len(new) != 1 or len(kept) > 1:
        raise _Other
    i, g = new[0]
    if isinstance(i, Applied) and i.function != o.function:
        i, g = g, i
    f, c = None, ""
    for factor in kept[0] if kept else ():
        if isinstance(factor, Atom):
            c = factor.name
        else:
            f = factor
    if not isinstance(i, Applied) or not isinstance(g, Applied) or i.function != o.function:
        raise _Other
    if kept and (not isinstance(f, Applied) or f.function != o.function or not c):
        raise _Other
    peephole_o, argument_o = _without_cell(o.argument, cell)
    arguments = [
        i.argument,
        argument_o,
        *([f.argument] if isinstance(f, Applied) else []),
        g.argument,
    ]
    gates = [_gate(a, size) for a in arguments]
    peepholes: list[Array | None] = [None, peephole_o, None]
    for at, gate in enumerate(gates):
        for term in gate.rest.values():
            own = [factor.name for factor in term.of if isinstance(factor, Atom)]
            gated = at in (0, 2) and at != len(gates) - 1
            if (
                isinstance(term.map, Matrix)
                or not c
                or own != [c]
                or len(term.of) != 1
                or not gated
            ):
                raise _Other
            peepholes[at] = np.broadcast_to(term.map, size)
    parts, biases = _joined(gates), [gate.bias for gate in gates]
    if f is None:  # a gate that nothing is known of
        return Step(
            *("LSTM", size, out, c_out, "", ""),
            {n: [*own[:2], None, own[2]] for n, own in parts.items()},
            [*biases[:2], None, biases[2]],
            peepholes=peepholes,
            functions=(o.function, g.function, u.function),
            unknown=2,
        )
    every = states_of(parts, size)
    states = [n for n in every if n != c] or every  # h and c may begin as the same zeros
    if not states:
        raise _Other
    return Step(
        *("LSTM", size, out, c_out, states[0] if len(states) == 1 else None, c),
        parts,
        biases,
        peepholes=peepholes,
        functions=(o.function, g.function, u.function),
    )


def _coupled(out: str, c_out: str, o: Applied, u: Applied, size: int) -> Step:
    """c' = f * c + (1 - f) * g, or (1 - i) * c + i * g; 1 - sigmoid(x) is sigmoid(-x)."""
    cell = u.argument
    for z, g, c, is_i in _gates_of_gru(cell):
        if z.function != "sigmoid" or o.function != "sigmoid":
            continue
        peephole, argument = _without_cell(o.argument, cell)
        i, *others = (_gate(a, size) for a in (z.argument, argument, g.argument))
        if peephole is not None or any(gate.rest for gate in (i, *others)):
            continue
        if not is_i:
            i.parts = {n: -a for n, a in i.parts.items()}
            i.bias = None if i.bias is None else -i.bias
        parts, biases = _joined([i, *others]), [gate.bias for gate in (i, *others)]
        every = states_of(parts, size)
        states = [n for n in every if n != c] or every
        if c and not states:
            continue
        return Step(
            *("LSTM", size, out, c_out),
            *("" if not c else states[0] if len(states) == 1 else None, c),
            {n: [*own[:2], None, own[2]] for n, own in parts.items()},
            [*biases[:2], None, biases[2]],
            peepholes=[None] * 3,
            functions=(o.function, g.function, u.function),
            coupled=True,
        )
    raise _Other


def _without_cell(argument: Sum, cell: Sum) -> tuple[Array | None, Sum]:
    """o's argument without c' times a peephole."""
    shared = [argument.terms.get(key) for key in cell.terms]
    if any(t is None for t in shared):
        return None, argument
    maps = [t.map for t in shared if t is not None]
    first = maps[0]
    if isinstance(first, Matrix) or any(isinstance(m, Matrix) or (m != first).any() for m in maps):
        return None, argument
    rest = {k: t for k, t in argument.terms.items() if k not in cell.terms}
    peephole = np.broadcast_to(first, argument.width or 1)
    return peephole, Sum(rest, argument.width)


def gru(out: str, value: Sum) -> Step | None:
    """The step that ends with this value."""
    if value.width is None or not 2 <= len(value.terms) <= 3:
        return None
    for z, n, h, turned in _gates_of_gru(value):
        try:
            return _gru(out, z, n, h, turned, value.width)
        except _Other:
            continue
    return None


def _gates_of_gru(value: Sum) -> list[tuple[Applied, Applied, str, bool]]:
    """(z, n, h, False) of n - z n + z h; turned, with 1 - z instead of z, of h - z h + z n."""
    found = []
    terms = {k: t for k, t in value.terms.items() if not isinstance(t.map, Matrix)}
    for key, term in terms.items():
        if len(term.of) != 1 or not is_all(term.map, 1):
            continue
        (alone,) = term.of
        others = [t for k, t in terms.items() if k != key]
        minus = [t for t in others if is_all(t.map, -1) and alone in t.of and len(t.of) == 2]
        plus = [t for t in others if is_all(t.map, 1) and len(t.of) == 2]
        if len(minus) != 1 or len(minus) + len(plus) != len(others):
            continue
        factors = [f for f in minus[0].of if f != alone]
        if len(factors) != 1:  # n n
            continue
        (z,) = factors
        end = [f for f in plus[0].of if f != z] if plus else []
        if not isinstance(z, Applied) or (plus and (len(end) != 1 or z not in plus[0].of)):
            continue
        if isinstance(alone, Applied) and (not end or isinstance(end[0], Atom)):
            found.append((z, alone, end[0].name if end and isinstance(end[0], Atom) else "", False))
        elif isinstance(alone, Atom) and end and isinstance(end[0], Applied):
            found.append((z, end[0], alone.name, True))
    return found


def _gru(out: str, z: Applied, n: Applied, h: str, turned: bool, size: int) -> Step:
    if turned and z.function != "sigmoid":  # 1 - s(a) = s(-a)
        raise _Other
    of_z, of_n = _gate(z.argument, size), _gate(n.argument, size)
    if turned:
        of_z.parts = {name: -array for name, array in of_z.parts.items()}
        of_z.bias = None if of_z.bias is None else -of_z.bias
    r: Applied | None = None
    hidden_bias = matrix = None
    after = before = False
    for term in of_n.rest.values():
        gates = [f for f in term.of if isinstance(f, Applied)]
        others = [f for f in term.of if not isinstance(f, Applied)]
        if len(gates) != 1 or len(others) > 1 or (r is not None and gates[0] != r):
            raise _Other
        r = gates[0]
        if isinstance(term.map, Matrix):  # R (r * h)
            before = True
            matrix = _matrix_of(term.map, others, h)
        elif not others:  # r * b
            after, hidden_bias = True, np.broadcast_to(term.map, size)
        elif isinstance(others[0], Mapped) and is_all(term.map, 1):  # r * R h
            after = True
            matrix = _matrix_of(others[0].matrix, list(others[0].of), h)
        else:
            raise _Other
    if of_z.rest or (h and (after == before or matrix is None)) or (before and not h):
        raise _Other
    of_r = _Gate() if r is None else _gate(r.argument, size)
    if of_r.rest or (r is not None and r.function != z.function):
        raise _Other
    if h:
        if h in of_n.parts or matrix is None or matrix.shape != (size, size):
            raise _Other
        of_n.parts[h] = matrix
    three = [of_z, of_r, of_n]
    parts = _joined(three)
    if h and h not in states_of(parts, size):
        raise _Other
    return Step(
        *("GRU", size, out, "", h, ""),
        parts,
        [g.bias for g in three],
        hidden_bias,
        functions=(z.function, n.function),
        reset_after=after,
        unknown=1 if r is None else None,
    )


def _matrix_of(matrix: Matrix, of: Sequence[Any], h: str) -> Array:
    if len(of) != 1 or not isinstance(of[0], Atom) or of[0].name != h:
        raise _Other
    return matrix.array


def rnn(out: str, value: Sum) -> Step | None:
    """A step, or a dense layer: only where there is another one, or a loop, it is known."""
    own = value.single
    if own is None or len(own) != 1 or not isinstance(own[0], Applied) or value.width is None:
        return None
    gate = _gate(own[0].argument, value.width)
    if gate.rest or not gate.parts:
        return None
    parts = _joined([gate])
    h = None if states_of(parts, value.width) and len(parts) > 1 else ""
    return Step(
        "RNN", value.width, out, "", h, "", parts, [gate.bias], functions=(own[0].function,)
    )
