"""Decoders with attention, as they are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..layers import AttentionDecoder
from ._cells import Activation, LstmOptions, activation, gru, lstm
from ._dense import SOFTMAX
from ._extent import Extent
from ._roofline import Weights
from ._sequences import Recurrent
from ._stack import Stack, joined
from ._work import Operations, Passes, Product, Tensor, Work, ops, times, total

# As in cpp/cells/attention.h, for each unit and position: u = tanh(q + k), and v u added up; in
# backward u once more, de v (1 - u u), which is added to dq and to dk, and de u, added to dv.
SCORE = ops(add=1, tanh=1) + ops(multiply=1, add=1)
SCORE_BACKWARD = ops(add=1, tanh=1) + ops(multiply=2) + ops(multiply=1, add=1) + ops(add=2)
SCORE_WEIGHTS = ops(multiply=1, add=1)
# As in cpp/cells/readout.h: the larger of two, their mean where they are equal.
MAXOUT = Activation(ops(select=2) + ops(multiply=1, add=1), ops(select=2))


@dataclass(frozen=True)
class Looks:
    """How many positions of a memory a call reads."""

    most: int  # positions of the longest sequence
    positions: int  # of all sequences
    pairs: int  # of a step and a position that it looks at


@dataclass(frozen=True)
class Decoder:
    """A decoder as it is counted."""

    layer: AttentionDecoder

    @property
    def attends(self) -> bool:
        """Whether a memory has positions."""
        return self.layer.attention is not None

    @property
    def additive(self) -> bool:
        """Whether scores are sums over units, not products with the keys."""
        return self.layer.attention in ("additive", "location")

    @property
    def feeds(self) -> bool:
        """Whether a step waits for the attention of the step before."""
        return self.layer.input_feeding and self.attends

    @property
    def contexts(self) -> int:
        """Columns of all contexts."""
        return self.layer.num_memories * self.layer.memory_size

    @property
    def keys(self) -> int:
        """Columns of what a query is compared with."""
        d = self.layer
        if d.attention == "dot":
            return d.memory_size
        return (self.additive and d.attention_size) or d.hidden_size

    @property
    def readout(self) -> int:
        """Columns of the readout."""
        return self.layer.readout_size or self.layer.hidden_size

    @property
    def readout_rows(self) -> int:
        """Rows of its weight."""
        return self.readout * (2 if self.layer.readout == "maxout" else 1)

    @property
    def readout_inputs(self) -> int:
        """Columns of [s; context; emb]."""
        return self.layer.hidden_size + self.contexts + self.layer.embedding_dim

    @property
    def layers(self) -> Recurrent:
        """The recurrent layers, which read [emb; context]."""
        d = self.layer
        return Recurrent(
            cell=lstm(LstmOptions()) if d.cell == "lstm" else gru(reset_after=True),
            input_size=d.embedding_dim + (self.contexts if d.input_feeding else 0),
            hidden_size=d.hidden_size,
            num_layers=d.num_layers,
            directions=1,
            proj_size=0,
            nonrecurrent_proj_size=0,
            gate_recurrence=False,
            layer_norm=False,
            zoneouts=(0.0, 0.0),
            bias=True,
            peepholes=(),
            dropout=d.dropout,
            learns_state=False,
        )

    def tensors(self) -> Stack[Tensor]:
        """All weights, in the order of ``decoder.weights``."""
        d, rows = self.layer, self.readout_rows
        table = Tensor("weight_embedding", (d.vocab_size, d.embedding_dim), "embedding")
        scores = (self._tensors_of(f"_m{m}") for m in range(d.num_memories))
        read_out = [
            Tensor("weight_readout", (rows, self.readout_inputs), "readout"),
            Tensor("bias_readout", (rows,), "bias"),
            Tensor("weight_output", (d.vocab_size, self.readout), "output"),
            Tensor("bias_output", (d.vocab_size,), "bias"),
        ]
        return joined([[table], self.layers.tensors(), *scores, read_out])

    def _tensors_of(self, memory: str) -> list[Tensor]:
        d, keys, channels = self.layer, self.keys, self.layer.location_channels
        by_memory = Tensor(f"weight_memory{memory}", (keys, d.memory_size), "attention")
        if not self.additive:
            return [by_memory] if d.attention == "general" else []
        result = [
            Tensor(f"weight_query{memory}", (keys, d.hidden_size), "attention"),
            by_memory,
            Tensor(f"bias_score{memory}", (keys,), "bias"),
            Tensor(f"weight_score{memory}", (keys,), "attention"),
        ]
        if d.attention == "location":
            result += [
                Tensor(f"weight_location{memory}", (keys, channels), "attention"),
                Tensor(f"weight_filter{memory}", (channels, d.location_width), "attention"),
            ]
        return result

    def passes(
        self,
        extent: Extent,
        looks: Sequence[Looks],
        *,
        state: bool = False,
        textbook: bool = False,
        dropped: bool = False,
        dlogits: bool = True,
        dstate: bool = False,
    ) -> Passes:
        """The work of one call. ``dstate``: with the gradient of the last context."""
        rows, begun = extent.rows, extent.rows_at_first_step(reverse=False)
        adds = 0
        if not self.attends:  # a memory's gradient is the sum over its steps
            adds = rows * (1 + self.layer.input_feeding)
        else:  # a context goes to its readout, too, and to the next step
            adds = (rows - begun) * self.feeds + begun * dstate
        looked_up = ops(add=2 * rows * self.layer.embedding_dim)  # by the cell and by the readout
        return total(
            [
                self.layers.passes(extent, state=state, textbook=textbook, dropped=dropped),
                *(self._attention(rows, extent.batch, n) for n in looks if self.attends),
                self._read_out(rows, dlogits),
                Passes(Work(), Work((), ops(add=adds * self.contexts)), Work((), looked_up)),
            ]
        )

    def _read_out(self, rows: int, dlogits: bool) -> Passes:
        words, out = self.layer.vocab_size, self.readout
        width, depth = self.readout_rows, self.readout_inputs
        f = MAXOUT if self.layer.readout == "maxout" else activation("tanh")
        readout, output = (
            Product("readout", width, depth, rows),
            Product("output", words, out, rows),
        )
        back = Product("output", out, words, rows), Product("readout", depth, width, rows)
        return Passes(
            Work((readout, output), times(rows * out, f.forward)),
            Work(back, times(rows * out, f.backward)) if dlogits else Work(),
            Work(
                (readout, output) if dlogits else (readout,),
                ops(add=rows * (width + (words if dlogits else 0))),
            ),
        )

    def _attention(self, rows: int, batch: int, looks: Looks) -> Passes:
        """To one memory. Keys are made once for each position, all else at every step."""
        d, a, pairs, location = self.layer, self.keys, looks.pairs, self._location(looks.pairs)

        def product(columns: int, depth: int, rows: int) -> Product:
            return Product("attention", columns, depth, rows)

        context = Product("context", d.memory_size, 1, pairs)
        forward, to_inputs, to_weights = [context], [context, context], []
        operations, back, sums = (
            times(pairs, SOFTMAX.forward),
            times(pairs, SOFTMAX.backward),
            ops(),
        )
        if d.attention != "dot":
            to_keys = product(a, d.memory_size, looks.positions)
            forward.append(to_keys)
            to_inputs.append(product(d.memory_size, a, looks.positions))
            to_weights.append(to_keys)
        if self.additive:
            forward.append(product(a, d.hidden_size, rows))
            to_inputs.append(product(d.hidden_size, a, rows))
            to_weights.append(product(a, d.hidden_size, rows))
            operations += times(pairs * a, SCORE)
            back += times(pairs * a, SCORE_BACKWARD)
            # The bias sums over positions, v over each sequence's steps and then over sequences.
            sums += times(pairs * a, SCORE_WEIGHTS) + ops(add=(looks.positions + batch) * a)
        else:
            forward.append(Product("score", 1, a, pairs))
            to_inputs += [Product("score", a, 1, pairs)] * 2  # to the query and to the keys
            back += ops(add=rows * a)  # from the scores, to s
        return (
            Passes(
                Work(tuple(forward), operations),
                Work(tuple(to_inputs), back),
                Work(tuple(to_weights), sums),
            )
            + location
            + Passes(to_weights=Work((), self._location_sums(batch)))
        )

    def _location(self, pairs: int) -> Passes:
        """f = F * a, and V f. Backward makes both again."""
        d = self.layer
        if d.attention != "location":
            return Passes()
        k, w, a = d.location_channels, d.location_width, self.keys
        forward = Product("attention", k, w, pairs), Product("attention", a, k, pairs)
        back = Product("attention", k, a, pairs), Product("attention", w, k, pairs)
        return Passes(
            Work(forward),
            Work((*forward, *back), ops(add=pairs * w)),  # windows overlap
            Work(forward),
        )

    def _location_sums(self, batch: int) -> Operations:
        d = self.layer
        if d.attention != "location":
            return ops()
        return ops(add=batch * d.location_channels * (self.keys + d.location_width))

    def reads(self) -> Stack[Weights]:
        """W for all steps at once where no context is fed back, and what every step needs."""
        d, a = self.layer, self.keys
        layers = self.layers.reads()
        if self.feeds:
            layers = layers.mapped(lambda w: Weights(0, w.once + w.every_step))
        own: list[Weights] = []
        if self.attends and d.attention != "dot":
            every = a * d.hidden_size if self.additive else 0
            if d.attention == "location":
                every += d.location_channels * (a + d.location_width)
            own = [Weights(a * d.memory_size, every)] * d.num_memories
        last = self.readout_rows * self.readout_inputs + d.vocab_size * self.readout
        return joined([layers, own, [Weights(last, 0)]])

    def kept(self, extent: Extent, looks: Sequence[Looks]) -> dict[str, int]:
        """Numbers that a tape holds for backward, without padding."""
        d, rows = self.layer, extent.rows
        positions, pairs = (sum(getattr(n, name) for n in looks) for name in ("positions", "pairs"))
        copies = {"general": 2, "dot": 1, None: 0}.get(d.attention, 1)  # also across, for products
        return self.layers.kept(extent) | {
            "symbols": rows,
            "readout": rows * (self.readout_inputs + self.readout),
            "both of maxout": rows * self.readout_rows if d.readout == "maxout" else 0,
            "queries": rows * self.keys * d.num_memories * self.attends,
            "attention": pairs + positions * (d.attention == "location") if self.attends else 0,
            "memory": positions * d.memory_size,
            "keys": positions * self.keys * copies,
        }

    def state_numbers(self, batch: int, looks: Sequence[Looks]) -> int:
        """Numbers that go from step to step."""
        weights = sum(n.positions for n in looks) if self.layer.attention == "location" else 0
        return self.layers.state_numbers(batch) + batch * self.contexts * self.feeds + weights

    def moved(self, batch: int, looks: Sequence[Looks]) -> int:
        """Numbers that a step of all sequences reads and writes: memories with their keys, too."""
        d = self.layer
        each = d.memory_size + (self.keys if self.attends else 0)
        memory = sum(n.positions for n in looks) * each
        return batch * (d.embedding_dim + d.vocab_size) + memory
