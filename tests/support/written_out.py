"""Cells of recurrent layers written out node by node, in the ways of several exporters."""

import numpy as np

from onnx_builder import Builder

GATES = {"LSTM": "iofg", "GRU": "zrn", "GRU before": "zrn", "RNN": "n"}


class Weights:
    """W, R and B of an ONNX node, (gates * hidden, ..), at random."""

    def __init__(self, kind, inputs=3, hidden=4, seed=0, dtype=np.float32):
        rng, gates = np.random.default_rng(seed), GATES[kind]
        self.kind, self.gates, self.hidden = kind, gates, hidden
        shape = (len(gates), hidden)
        self.w = rng.standard_normal((*shape, inputs)).astype(dtype)
        self.r = rng.standard_normal((*shape, hidden)).astype(dtype)
        self.b = rng.standard_normal(shape).astype(dtype)
        self.rb = rng.standard_normal(hidden).astype(dtype)  # of n, where r comes after it

    def tensors(self):
        """As the node has them."""
        zeros = np.zeros_like(self.b)
        if self.kind == "GRU":
            zeros[2] = self.rb
        b = np.concatenate([self.b.reshape(-1), zeros.reshape(-1)])
        return self.w.reshape(1, -1, self.w.shape[2]), self.r.reshape(1, -1, self.hidden), b[None]


class Body(Builder):
    """Nodes of one step."""

    def __init__(self, weights, style, opset=17, prefix=""):
        super().__init__(opset)
        self.own, self.style, self.prefix = weights, style, prefix

    def tensor(self, array, name=None):
        return super().tensor(array, name or f"{self.prefix}const_{len(self.tensors)}")

    def node(self, op, *inputs, outputs=1, **attributes):
        super().node(op, *inputs, outputs=outputs, **attributes)
        made = self.nodes[-1]
        made.name = self.prefix + made.name
        made.output[:] = [self.prefix + name for name in made.output]
        return made.output[0] if outputs == 1 else list(made.output)

    def split(self, x, count, axis=1):
        if count == 1:
            return [x]
        if self.opset < 13:
            return self.node("Split", x, outputs=count, axis=axis, split=[self.own.hidden] * count)
        sizes = self.tensor(np.full(count, self.own.hidden))
        return self.node("Split", x, sizes, outputs=count, axis=axis)

    def _sums(self, x, h, gates):
        """W x + R h + b of some gates, in an order that is not ONNX's."""
        own = [self.own.gates.index(g) for g in gates]
        w, r = (np.concatenate([a[g] for g in own]) for a in (self.own.w, self.own.r))
        b = np.concatenate([self.own.b[g] for g in own])
        if self.style == "fused":  # as TensorFlow's cells
            both = self.node("Concat", x, h, axis=1)
            matrix = self.tensor(np.concatenate([w, r], 1).T)
            return self.split(
                self.node("Add", self.node("MatMul", both, matrix), self.tensor(b)), len(own)
            )
        if self.style == "gemm":  # as PyTorch's, with a bias for each
            part = 0.25 * b
            xs = self.node("Gemm", x, self.tensor(w), self.tensor(part), transB=1)
            hs = self.node("Gemm", h, self.tensor(r), self.tensor(b - part), transB=1)
            return self.split(self.node("Add", hs, xs), len(own))
        found = []  # as Keras', a product for each gate
        for g in own:
            xs = self.node("MatMul", x, self.tensor(self.own.w[g].T))
            xs = self.node("Add", self.tensor(self.own.b[g]), xs)
            found.append(self.node("Add", xs, self.node("MatMul", h, self.tensor(self.own.r[g].T))))
        return found

    def step(self, x, h, c=None):
        """The next states."""
        if self.own.kind == "LSTM":
            i, g, f, o = self._sums(x, h, "igfo")
            i, f, o = (self.node("Sigmoid", a) for a in (i, f, o))
            kept = self.node("Mul", c, f)
            c = self.node("Add", kept, self.node("Mul", i, self.node("Tanh", g)))
            return self.node("Mul", self.node("Tanh", c), o), c
        if self.own.kind == "RNN":
            (n,) = self._sums(x, h, "n")
            return (self.node("Tanh", n),)
        r, z = (self.node("Sigmoid", a) for a in self._sums(x, h, "rz"))
        xs = self.node("MatMul", x, self.tensor(self.own.w[2].T))
        xs = self.node("Add", xs, self.tensor(self.own.b[2]))
        if self.own.kind == "GRU":
            hs = self.node("MatMul", h, self.tensor(self.own.r[2].T))
            hs = self.node("Mul", r, self.node("Add", hs, self.tensor(self.own.rb)))
        else:
            hs = self.node("MatMul", self.node("Mul", r, h), self.tensor(self.own.r[2].T))
        n = self.node("Tanh", self.node("Add", xs, hs))
        if self.style == "gemm":
            change = self.node("Mul", z, self.node("Sub", h, n))
            return (self.node("Add", n, change),)
        one = self.tensor(np.ones((), self.own.w.dtype))
        new = self.node("Mul", self.node("Sub", one, z), n)
        return (self.node("Add", self.node("Mul", z, h), new),)
