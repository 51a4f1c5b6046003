"""RNN, LSTM and GRU: stacks, directions, projections, lengths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ..layers import GRU, LSTM, RNN
from ..layers._recurrent import USUAL
from ._cells import (
    GAIN,
    NORM,
    NORM_BACKWARD,
    NORM_BACKWARD_ROW,
    NORM_ROW,
    ZONEOUT_BACKWARD,
    ZONEOUT_KEPT,
    Cell,
    LstmOptions,
    gru,
    lstm,
    rnn,
    zoneout,
)
from ._extent import Extent
from ._roofline import Weights
from ._stack import Run, Stack
from ._work import Operations, Passes, Product, Tensor, Work, ops, times, total

COUNTED = {  # options of single cells
    *LstmOptions.__dataclass_fields__,
    "proj_size",
    "nonrecurrent_proj_size",
    "reset_after",
    "candidate_activation",
    "nonlinearity",
    "layer_norm",
    "zoneout",
    "zoneout_cell",
    "learn_initial_state",
}


@dataclass(frozen=True)
class Recurrent:
    """A layer as it is counted."""

    cell: Cell
    input_size: int
    hidden_size: int
    num_layers: int
    directions: int
    proj_size: int
    nonrecurrent_proj_size: int
    gate_recurrence: bool
    layer_norm: bool
    zoneouts: tuple[float, float]  # of h and of c
    bias: bool
    peepholes: tuple[str, ...]  # of i, f, o: those that there are
    dropout: float
    learns_state: bool

    @classmethod
    def of(cls, layer: RNN | LSTM | GRU) -> Recurrent:
        for name, usual in USUAL.items():
            value = getattr(layer, name, usual)
            if name not in COUNTED and value != usual:
                raise NotImplementedError(f"what {name}={value!r} costs is not known here")
        peepholes: tuple[str, ...] = ()
        if isinstance(layer, LSTM):
            own = LstmOptions(**{name: getattr(layer, name) for name in vars(LstmOptions())})
            cell = lstm(own)
            if own.peephole:
                there = {"ci": own.input_gate, "cf": own.has_f, "co": own.output_gate}
                peepholes = tuple(name for name, is_there in there.items() if is_there)
        elif isinstance(layer, GRU):
            cell = gru(
                layer.reset_after,
                layer.candidate_activation,
                layer.gate_activation,
                layer.activation_clip,
            )
        else:
            cell = rnn(layer.nonlinearity, layer.activation_clip)
        return cls(
            cell=cell,
            input_size=layer.input_size,
            hidden_size=layer.hidden_size,
            num_layers=layer.num_layers,
            directions=2 if layer.bidirectional else 1,
            proj_size=getattr(layer, "proj_size", 0),
            nonrecurrent_proj_size=getattr(layer, "nonrecurrent_proj_size", 0),
            gate_recurrence=getattr(layer, "gate_recurrence", False),
            layer_norm=getattr(layer, "layer_norm", False),
            zoneouts=(layer.zoneout, getattr(layer, "zoneout_cell", 0.0)),
            bias=layer.bias,
            peepholes=peepholes,
            dropout=layer.dropout,
            learns_state=layer.learn_initial_state,
        )

    @property
    def state_size(self) -> int:
        """Columns of h, which recur."""
        return self.proj_size or self.hidden_size

    @property
    def recurrent_gates(self) -> int:
        """Columns of i, f and o, if they recur."""
        return 3 * self.hidden_size if self.gate_recurrence else 0

    @property
    def output_size(self) -> int:
        """Columns of one direction's output."""
        return self.state_size + self.nonrecurrent_proj_size

    @property
    def width(self) -> int:
        """Columns of the output, of both directions."""
        return self.directions * self.output_size

    def inputs(self, layer: int) -> int:
        """Columns of a layer's input."""
        return self.input_size if layer == 0 else self.width

    def layers(self) -> Iterator[tuple[int, int]]:
        """The first of each kind of layer, and how many of its kind follow each other.

        The first has inputs of its own, and the last may go without dy.
        """
        yield 0, 1
        if self.num_layers > 2:
            yield 1, self.num_layers - 2
        if self.num_layers > 1:
            yield self.num_layers - 1, 1

    def places(self) -> list[tuple[bool, str]]:
        """For each direction whether it runs backwards in time, and the suffix of its weights'
        names, but for the layer's number."""
        return [(False, "l{}"), (True, "l{}_reverse")][: self.directions]

    def tensors(self) -> Stack[Tensor]:
        """All weights, in the order of ``layer.weights``."""
        return Stack(
            Run(tuple(self._tensors_of(layer)), layer, count) for layer, count in self.layers()
        )

    def _tensors_of(self, layer: int) -> list[Tensor]:
        rows, n = self.cell.gates * self.hidden_size, self.hidden_size
        result = []
        for _, place in self.places():
            own: list[tuple[str, tuple[int, ...], str]] = [
                ("weight_ih", (rows, self.inputs(layer)), "input"),
                ("weight_hh", (rows, self.state_size), "recurrent"),
            ]
            if self.bias:
                own += [("bias_ih", (rows,), "bias"), ("bias_hh", (rows,), "bias")]
            if self.proj_size:
                own.append(("weight_hr", (self.proj_size, n), "projection"))
            if self.nonrecurrent_proj_size:
                own.append(("weight_hp", (self.nonrecurrent_proj_size, n), "projection"))
            own += [(f"weight_{name}", (n,), "peephole") for name in self.peepholes]
            if self.gate_recurrence:
                own.append(("weight_rr", (self.recurrent_gates,) * 2, "recurrent"))
            if self.learns_state:
                own.append(("h0", (self.state_size + self.recurrent_gates,), "initial"))
                own += [("c0", (n,), "initial")] if self.cell.has_c else []
            if self.layer_norm:
                own += [("gain_ih", (rows,), "gain"), ("gain_hh", (rows,), "gain")]
            if self.layer_norm and self.cell.has_c:
                own.append(("gain_c", (n,), "gain"))
                own += [("bias_c", (n,), "bias")] if self.bias else []
            result += [Tensor(f"{name}_{place}", shape, role) for name, shape, role in own]
        return result

    def passes(
        self,
        extent: Extent,
        *,
        state: bool = False,
        textbook: bool = False,
        dropped: bool = False,
        dy: bool = True,
    ) -> Passes:
        """The work of one call. ``textbook``: no step is spared."""
        spared = [
            0 if state or textbook or self.learns_state else extent.rows_at_first_step(reverse)
            for reverse, _ in self.places()
        ]
        result = total(
            total(
                self._direction(
                    layer,
                    place,
                    extent.rows,
                    spared[reverse],
                    dy or layer + 1 < self.num_layers,
                    dropped,
                )
                for reverse, place in self.places()
            )._of_layers(layer, count)
            for layer, count in self.layers()
        )
        if self.learns_state and not state:
            sums = ops(add=self.state_numbers(extent.batch))
            result += Passes(Work(), Work(), Work(elementwise=sums))
        if dropped and self.dropout > 0:
            between = (self.num_layers - 1) * extent.rows * self.width
            mask = Work(elementwise=ops(dropout=between))
            result += Passes(mask, mask)
        return result

    def _direction(
        self, layer: int, place: str, rows: int, spared: int, dy: bool, training: bool
    ) -> Passes:
        """``spared``: rows whose h- is known to be zero, so that U h- is."""
        c, n, s, out = self.cell, self.hidden_size, self.state_size, self.output_size
        w = self.inputs(layer)

        def product(role: str, columns: int, depth: int, rows: int = rows) -> Product:
            return Product(role, columns, depth, rows, place)

        forward = [
            product("input", c.input * n, w),
            product("recurrent", c.recurrent * n, s, rows - spared),
        ]
        to_inputs = [product("input", w, c.input * n), product("recurrent", s, c.recurrent * n)]
        to_weights = [product("input", c.input * n, w), product("recurrent", c.recurrent * n, s)]
        if self.gate_recurrence:
            r = self.recurrent_gates
            forward.append(product("recurrent", r, r, rows - spared))
            to_inputs.append(product("recurrent", r, r))
            to_weights.append(product("recurrent", r, r))
        if c.candidate:
            forward.append(product("recurrent", c.candidate * n, s))
            to_inputs.append(product("recurrent", s, c.candidate * n))
            to_weights.append(product("recurrent", c.candidate * n, s))
        if self.proj_size:
            forward.append(product("projection", out, n))
            to_inputs.append(product("projection", n, out))
            to_weights.append(product("projection", out, n))

        # dy + dh, of what goes out and back in time, too.
        given = ops(add=s if dy else 0)
        bias = ops(add=(c.input + c.recurrent + c.candidate) * n if self.bias else 0)
        return (
            Passes(
                Work(tuple(forward), times(rows * n, c.forward)),
                Work(tuple(to_inputs), times(rows * n, c.backward) + times(rows, given)),
                Work(tuple(to_weights), times(rows * n, c.peepholes) + times(rows, bias)),
            )
            + self._normalised(rows)
            + self._zoned(rows, training)
        )

    def _normalised(self, rows: int) -> Passes:
        """W x, U h- and c, each a row for itself, with gains and biases behind."""
        if not self.layer_norm:
            return Passes()
        n = self.hidden_size
        widths = [self.cell.input * n, self.cell.recurrent * n, *([n] if self.cell.has_c else [])]
        forward, backward, gains = Counter[str](), Counter[str](), Counter[str]()
        for width in widths:
            forward += times(width, NORM + GAIN) + NORM_ROW
            backward += times(width, NORM_BACKWARD) + NORM_BACKWARD_ROW
            gains += times(width, GAIN)
        if self.cell.has_c:
            backward += times(n, GAIN)  # gain c + bias once more
            gains += ops(add=n)  # its bias
        return Passes(*(Work(elementwise=times(rows, o)) for o in (forward, backward, gains)))

    def _zoned(self, rows: int, training: bool) -> Passes:
        forward, backward = Counter[str](), Counter[str]()
        of_h, of_c = self.zoneouts
        # Probability, units, and whether what is kept goes back past the cell.
        states = [(of_h, self.state_size, not self.proj_size), (of_c, self.hidden_size, True)]
        for rate, size, past_cell in states:
            if rate > 0:
                forward += times(rows * size, zoneout(training, rate))
                backward += times(rows * size, ZONEOUT_BACKWARD)
                backward += times(rows * size * past_cell, ZONEOUT_KEPT)
        return Passes(Work(elementwise=forward), Work(elementwise=backward))

    def reads(self) -> Stack[Weights]:
        """Of each layer, both directions: W, for all steps at once, and what every step needs."""
        c, n = self.cell, self.hidden_size
        every = (c.recurrent + c.candidate) * n * self.state_size
        every += self.output_size * n if self.proj_size else 0
        every += self.recurrent_gates * self.recurrent_gates

        def of(layer: int) -> Weights:
            once = self.directions * c.input * n * self.inputs(layer)
            return Weights(once, self.directions * every, self.directions)

        return Stack(Run((of(layer),), layer, count) for layer, count in self.layers())

    def kept(self, extent: Extent) -> dict[str, int]:
        """Numbers that a tape holds for backward, without padding."""
        c, rows = self.cell, extent.rows
        each = {
            "gates": c.slots * self.hidden_size,
            "h": self.state_size,
            "c": self.hidden_size if c.has_c else 0,
            "second product": self.hidden_size if c.candidate or self.proj_size else 0,
            "gates before": self.recurrent_gates,
        }
        if self.layer_norm:
            each["normalised"] = (c.input + c.recurrent + c.has_c) * self.hidden_size
            each["scales"] = 2 + c.has_c
        kept: Operations = Counter()
        for layer, count in self.layers():
            kept += times(rows * count * self.directions, each)
            kept += times(rows * count, {"inputs": self.inputs(layer)})
        return dict(kept)

    def state_numbers(self, batch: int) -> int:
        """Numbers of h and c that go from step to step."""
        each = self.state_size + self.recurrent_gates + (self.hidden_size if self.cell.has_c else 0)
        return self.num_layers * self.directions * batch * each
