"""The result: all figures of one call of one layer, and tables of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import DTypeLike

from ..layers._arguments import flag, float_dtype
from ._roofline import Limits, Roofline, Weights, roofline
from ._stack import Run, Stack, counted, joined
from ._table import figure, plain
from ._work import Passes, Tensor, Work

LISTED = 1000  # equal layers whose tensors are listed one by one


@dataclass(frozen=True)
class Count:
    """Exact figures of one call of one layer, and of the backward that follows it.

    Made by ``count`` and its like.

    Attributes
    ----------
    layer : str
        The layer, with what stands before and behind it.
    extent : dict of str to int
        The sizes of the call, such as ``seq_len``, ``batch`` and ``rows``, the steps of all
        sequences.
    tensors : sequence of Tensor
        All weights.
    passes : Passes
        What the core executes.
    textbook : Passes
        The same with the recurrent product at every step, also at a first one without initial
        state.
    step : Passes or None
        One step of one sequence that has a state; None for layers without steps.
    kept : dict of str to int
        Numbers that are kept for backward, by what they are.
    state : int
        Numbers that go from one step to the next, of all sequences.
    steps : int
        Steps that wait for one another.
    reads : sequence of Weights
        The numbers in each layer's matrices, by how often they are read.
    spared : bool
        Whether the first step needs no recurrent product.
    moved : int
        Numbers of x and y: in a step of all sequences, or, without steps, in the call.
    """

    layer: str
    extent: dict[str, int]
    tensors: Sequence[Tensor]
    passes: Passes
    textbook: Passes
    step: Passes | None = None
    kept: dict[str, int] = field(default_factory=dict)
    state: int = 0
    steps: int = 1
    reads: Sequence[Weights] = ()
    spared: bool = False
    moved: int = 0

    @property
    def forward(self) -> Work:
        """The work of the call itself."""
        return self.passes.forward

    @property
    def to_inputs(self) -> Work:
        """The part of backward that computes gradients of pre-activations, states and inputs."""
        return self.passes.to_inputs

    @property
    def to_weights(self) -> Work:
        """The part of backward that computes gradients of weights."""
        return self.passes.to_weights

    @property
    def backward(self) -> Work:
        """The work of all of backward."""
        return self.passes.backward

    @property
    def precision(self) -> str:
        """Of the weights: ``"full"``, ``"int8"``, ``"bf16"``, or ``"mixed"``."""
        precisions = {
            t.precision for t, _ in counted(self.tensors) if t._is_matrix and t.role != "embedding"
        }
        return "mixed" if len(precisions) > 1 else (*precisions, None)[0] or "full"

    @property
    def parameters(self) -> int:
        """How many numbers all weights have."""
        return sum(n * t.size for t, n in counted(self.tensors))

    @property
    def parameters_by_role(self) -> dict[str, int]:
        """How many numbers the weights of each role have; for roles see ``Tensor``."""
        sums: dict[str, int] = {}
        for t, n in counted(self.tensors):
            sums[t.role] = sums.get(t.role, 0) + n * t.size
        return sums

    @property
    def parameters_without_biases(self) -> int:
        """How many numbers all weights but biases have, as Sak, Senior and Beaufays count."""
        return self.parameters - self.parameters_by_role.get("bias", 0)

    @property
    def parameters_with_one_bias(self) -> int:
        """How many numbers the weights have with one bias a gate, as in papers, not torch's two."""
        second = sum(
            n * t.size
            for t, n in counted(self.tensors)
            if t.name.rsplit(".", 1)[-1].startswith("bias_hh")
        )
        return self.parameters - second

    def bytes(self, dtype: DTypeLike = np.float32) -> Bytes:
        """Count memory and traffic in bytes.

        Parameters
        ----------
        dtype : dtype_like, optional
            ``np.float32`` or ``np.float64``: of all numbers but weights of few bits, beside which
            there is only float32.

        Returns
        -------
        Bytes
            What the call needs and moves.

        Raises
        ------
        ValueError
            For another dtype.
        TypeError
            For what is no dtype.
        """
        return Bytes.of(self, self._own_dtype(dtype).itemsize)

    def _own_dtype(self, dtype: DTypeLike) -> np.dtype[np.generic]:
        own = float_dtype(dtype)
        if own not in map(np.dtype, self._dtypes):
            raise ValueError(f"dtype is {own}; expected float32, beside {self.precision} weights")
        return own

    @property
    def _dtypes(self) -> tuple[str, ...]:
        return ("float32", "float64") if self.precision == "full" else ("float32",)

    def roofline(
        self,
        limits: Limits,
        threads: int = 1,
        *,
        training: bool = False,
        dtype: DTypeLike = np.float32,
    ) -> Roofline:
        """Compute the least time of the call on a machine with these limits.

        Element-wise operations, x, y and the state are taken to cost nothing. The limits are those
        of float32; for float64 arithmetic is taken to be half as fast.

        Parameters
        ----------
        limits : Limits
            What the machine can do.
        threads : int, optional
            Threads that compute.
        training : bool, optional
            Whether the backward that follows is part of it.
        dtype : dtype_like, optional
            ``np.float32`` or ``np.float64``.

        Returns
        -------
        Roofline
            The time, and what sets it.

        Raises
        ------
        ValueError
            For threads below 1, another dtype or weights of few bits, whose limits are others.
        TypeError
            For arguments of the wrong kind.

        See Also
        --------
        roofline : How it is computed.
        """
        if self.precision != "full":
            raise ValueError(
                f"the layer has {self.precision} weights; expected full precision, since limits "
                "are those of float32"
            )
        width = float_dtype(dtype).itemsize
        work = self.forward + self.backward if flag("training", training) else self.forward
        return roofline(
            work.flops * (width // 4),
            joined([self.reads]).mapped(
                lambda w: Weights(width * w.once, width * w.every_step, w.directions)
            ),
            self.steps,
            limits,
            threads,
            passes=2 if training else 1,
            spared=self.spared,
        )

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain numbers, texts, lists and dictionaries, for JSON.

        Of more than 1000 equal layers the tensors of the first stand there, with how many
        ``layers`` there are.

        Returns
        -------
        dict of str to object
            The figures by name.
        """
        step = None
        if self.step:
            step = {"forward": self.step.forward.to_dict()}
        return {
            "layer": self.layer,
            "extent": dict(self.extent),
            "parameters": self.parameters,
            "parameters_without_biases": self.parameters_without_biases,
            "parameters_with_one_bias": self.parameters_with_one_bias,
            "parameters_by_role": self.parameters_by_role,
            "tensors": [entry for run in joined([self.tensors]).runs for entry in _listed(run)],
            "forward": self.forward.to_dict(),
            "backward_to_inputs": self.to_inputs.to_dict(),
            "backward_to_weights": self.to_weights.to_dict(),
            "textbook_forward": self.textbook.forward.to_dict(),
            "step": step,
            "precision": self.precision,
            "bytes": {name: self.bytes(name).to_dict() for name in self._dtypes},
        }

    def table(self) -> str:
        """Return a table of all figures, for a terminal.

        Returns
        -------
        str
            Lines of text.
        """
        return of_counts([self])

    def __repr__(self) -> str:
        extent = ", ".join(f"{name}={n}" for name, n in self.extent.items())
        return (
            f"Count({self.layer}, {extent}: {self.parameters:,} parameters; MACs: "
            f"{self.forward.macs:,} forward, {self.to_inputs.macs:,} backward to inputs, "
            f"{self.to_weights.macs:,} to weights)"
        )


def _listed(run: Run) -> list[dict[str, object]]:
    many = run.layers > LISTED
    return [
        {"name": t.name, "shape": list(t.shape), "role": t.role, "size": t.size}
        | ({"layers": run.layers} if many else {})
        for t in Stack[Tensor]([run._replace(layers=1) if many else run])
    ]


@dataclass(frozen=True)
class Bytes:
    """Bytes that a call needs, padding not counted, and that its arithmetic moves.

    Attributes
    ----------
    weights : int
        Bytes of all weights.
    state : int
        Bytes that go from one step to the next, of all sequences.
    tape : int
        Bytes that are kept for backward.
    traffic : int
        Bytes that one step of all sequences moves, if it reads all weights once, its inputs and the
        state, and writes its outputs and the state. Without steps, those of the call.
    intensity : float
        FLOPs for each byte of traffic.
    """

    weights: int
    state: int
    tape: int
    traffic: int
    intensity: float

    @classmethod
    def of(cls, c: Count, itemsize: int) -> Bytes:
        """Count the bytes of a call.

        Parameters
        ----------
        c : Count
            The call.
        itemsize : int
            Bytes of each number.

        Returns
        -------
        Bytes
            What the call needs and moves.
        """
        weights = sum(n * t._bytes(itemsize) for t, n in counted(c.tensors))
        traffic = weights + itemsize * (c.moved + 2 * c.state)
        flops = c.forward.flops if c.step is None else c.extent["batch"] * c.step.forward.flops
        return cls(
            weights,
            itemsize * c.state,
            itemsize * sum(c.kept.values()),
            traffic,
            flops / traffic,
        )

    def to_dict(self) -> dict[str, int | float]:
        """Return plain numbers by name, for JSON.

        Returns
        -------
        dict of str to int or float
            The attributes.
        """
        return dict(vars(self))


def rows_of(counts: Sequence[Count]) -> list[tuple[str, list[int | float | None]]]:
    """Every figure by its name, one value for each count; None where it does not apply."""
    rows: list[tuple[str, list[int | float | None]]] = []

    def add(name: str, values: list[int | float | None]) -> None:
        if any(values):
            rows.append((name, values))

    def add_work(name: str, works: list[Work | None]) -> None:
        add(f"{name}: MAC", [w.macs if w else None for w in works])
        roles = dict.fromkeys(role for w in works if w for role in w.macs_by())
        if len(roles) > 1:
            for role in roles:
                add(f"  {role}", [w.macs_by().get(role, 0) if w else None for w in works])
        add(f"{name}: FLOP (2 a MAC)", [w.flops if w else None for w in works])
        kinds = dict.fromkeys(kind for w in works if w for kind in w.elementwise)
        lead = "  and" if any(w.macs for w in works if w) else f"{name}:"
        for kind in kinds:
            add(f"{lead} {kind}", [w.elementwise[kind] if w else None for w in works])

    add("parameters", [c.parameters for c in counts])
    for role in dict.fromkeys(role for c in counts for role in c.parameters_by_role):
        add(f"  {role}", [c.parameters_by_role.get(role, 0) for c in counts])
    add("parameters without biases", [c.parameters_without_biases for c in counts])
    add("parameters with one bias a gate", [c.parameters_with_one_bias for c in counts])
    add_work("a step of one sequence", [c.step.forward if c.step else None for c in counts])
    add_work("forward", [c.forward for c in counts])
    add("forward, every product: MAC", [c.textbook.forward.macs for c in counts])
    add_work("backward to inputs", [c.to_inputs for c in counts])
    add_work("backward to weights", [c.to_weights for c in counts])
    for name in ("float32", "float64"):
        sizes = [c.bytes(name) if name in c._dtypes else None for c in counts]
        add(f"bytes in {name}: weights", [b.weights if b else None for b in sizes])
        lead = "  " if any(b.weights for b in sizes if b) else f"bytes in {name}: "
        add(f"{lead}state", [b.state if b else None for b in sizes])
        add(f"{lead}kept for backward", [b.tape if b else None for b in sizes])
        add(f"{lead}moved by a step", [b.traffic if b else None for b in sizes])
        add("  FLOP a byte moved", [b.intensity if b else None for b in sizes])
    return rows


def of_counts(counts: Sequence[Count], names: Sequence[str] | None = None) -> str:
    """The table, under the configurations' names."""
    header = ["", *(names or [f"({k + 1})" for k in range(len(counts))])]
    lines = [[name, *map(figure, values)] for name, values in rows_of(counts)]
    keys = [f"({k + 1}) {c.layer}, {_extent(c)}" for k, c in enumerate(counts)]
    return "\n".join([*keys, "", plain(header, lines)])


def _extent(c: Count) -> str:
    return ", ".join(f"{name}={n:,}" for name, n in c.extent.items())
