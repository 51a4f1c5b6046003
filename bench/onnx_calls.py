"""Calls of ONNX models: what a call costs beyond the arithmetic, beside ONNX Runtime.

python bench/onnx_calls.py [--seconds 2]

One thread, small models: one step with states in and out, a chain over 20 steps, the same cells
written out node by node, and 200 element-wise nodes, of which it also says the time of each, with
the plan that the second call of a kind makes, and in a model that has none because a shape in it
follows from values. The ratio is ONNX Runtime's time over ours; first calls are those of models
that have just been loaded, and their ratio is to ONNX Runtime's first call.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from rich.console import Console

import gru_native
import gru_native.onnx
from measuring import machine, timing
from measuring.problem import Array
from measuring.table import Table, number

Feeds = dict[str, Array]


class Model:
    """Nodes and tensors, put together."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []

    def random(self, *shape: int) -> Array:
        return 0.1 * self._rng.standard_normal(shape, np.float32)

    def tensor(self, array: Array) -> str:
        name = f"t{len(self._tensors)}"
        self._tensors.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: object) -> list[str]:
        names = [f"{op}_{len(self._nodes)}_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(op, inputs, names, **attributes))
        return names

    def finished(self, feeds: Feeds, outputs: Sequence[str]) -> bytes:
        kind = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes,
            "g",
            [helper.make_tensor_value_info(n, kind, a.shape) for n, a in feeds.items()],
            [helper.make_tensor_value_info(n, kind, None) for n in outputs],
            self._tensors,
        )
        opsets = [helper.make_opsetid("", 17)]
        made: bytes = helper.make_model(
            graph, opset_imports=opsets, ir_version=8
        ).SerializeToString()
        return made


def one_step(size: int = 128, inputs: int = 40, layers: int = 2) -> tuple[bytes, Feeds]:
    """Two LSTMs and a dense layer, the states of both given and returned."""
    m = Model()
    feeds = {"x": m.random(1, 1, inputs)}
    x, ends = "x", []
    for k in range(layers):
        feeds |= {f"{n}{k}": m.random(1, 1, size) for n in "hc"}
        own = [m.tensor(m.random(1, *s)) for s in ((4 * size, inputs), (4 * size, size))]
        bias = m.tensor(m.random(1, 8 * size))
        given = [x, *own, bias, "", f"h{k}", f"c{k}"]
        y, h, c = m.node("LSTM", *given, outputs=3, hidden_size=size)
        (x,) = m.node("Squeeze", y, m.tensor(np.array([1])))
        ends += [h, c]
        inputs = size
    (y,) = m.node("MatMul", x, m.tensor(m.random(size, 2)))
    (y,) = m.node("Add", y, m.tensor(m.random(2)))
    return m.finished(feeds, [*m.node("Sigmoid", y), *ends]), feeds


def chain(steps: int = 20, size: int = 64, inputs: int = 40) -> tuple[bytes, Feeds]:
    """A GRU over some steps, and a dense layer with softmax."""
    m = Model()
    own = [m.tensor(m.random(1, *s)) for s in ((3 * size, inputs), (3 * size, size), (6 * size,))]
    y, _ = m.node("GRU", "x", *own, outputs=2, hidden_size=size, linear_before_reset=1)
    (y,) = m.node("Squeeze", y, m.tensor(np.array([1])))
    (y,) = m.node("MatMul", y, m.tensor(m.random(size, 10)))
    (y,) = m.node("Add", y, m.tensor(m.random(10)))
    feeds = {"x": m.random(steps, 1, inputs)}
    return m.finished(feeds, m.node("Softmax", y, axis=-1)), feeds


def written_out(steps: int = 20, size: int = 64, inputs: int = 40) -> tuple[bytes, Feeds]:
    """An LSTM step by step, as a loop over cells is exported."""
    m = Model()
    feeds = {"x": m.random(steps, 1, inputs), "h": m.random(1, size), "c": m.random(1, size)}
    w, r, b = (m.tensor(m.random(*s)) for s in ((4 * size, inputs), (4 * size, size), (4 * size,)))
    h, c, one = "h", "c", m.tensor(np.array([0]))
    ends = []
    for t in range(steps):
        (x,) = m.node("Gather", "x", m.tensor(np.array(t)), axis=0)
        gates = [*m.node("Gemm", x, w, b, transB=1), *m.node("Gemm", h, r, b, transB=1)]
        gates = m.node("Split", *m.node("Add", *gates), outputs=4, axis=1)
        i, f, o = (m.node("Sigmoid", gates[k])[0] for k in (0, 1, 3))
        (g,) = m.node("Tanh", gates[2])
        (c,) = m.node("Add", *m.node("Mul", f, c), *m.node("Mul", i, g))
        (h,) = m.node("Mul", o, *m.node("Tanh", c))
        ends += m.node("Unsqueeze", h, one)
    return m.finished(feeds, [*m.node("Concat", *ends, axis=0), h, c]), feeds


NODES = 200


def element_wise(size: int = 64, planned: bool = True) -> tuple[bytes, Feeds]:
    """Many nodes with little to do."""
    m, y = Model(), "x"
    for k in range(NODES):
        op = ("Add", "Mul", "Sub", "Tanh", "Relu", "Mul", "Sigmoid", "Add")[k % 8]
        alone = op in ("Tanh", "Relu", "Sigmoid")
        (y,) = m.node(op, y, *([] if alone else [m.tensor(m.random(size))]))
    feeds = {"x": m.random(1, size)}
    if not planned:
        (found,) = m.node("NonZero", y)
        (y,) = m.node("Concat", *m.node("Cast", found, to=onnx.TensorProto.FLOAT), axis=0)
    return m.finished(feeds, [y]), feeds


def unplanned() -> tuple[bytes, Feeds]:
    """The same in a model that has no plan."""
    return element_wise(planned=False)


MODELS = {
    "one step, states in and out": one_step,
    "chain, 20 steps": chain,
    "written out, 20 steps": written_out,
    f"{NODES} element-wise nodes": element_wise,
    f"{NODES} without a plan": unplanned,
}


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])


def first_calls(model: bytes, feeds: Feeds) -> list[float]:
    """Ours and ONNX Runtime's, in microseconds."""
    samples: list[list[float]] = []
    for _ in range(7):
        loaded, other = gru_native.onnx.load(onnx.load_from_string(model)), session(model)
        calls = (partial(loaded, *feeds.values()), partial(other.run, None, feeds))
        samples.append([timing.sample(call, 1) * 1e6 for call in calls])
    return [float(t) for t in np.median(np.array(samples), 0)]


def line_of(name: str, seconds: float) -> list[str]:
    model, feeds = MODELS[name]()
    first, other_first = first_calls(model, feeds)
    loaded, other = gru_native.onnx.load(onnx.load_from_string(model)), session(model)
    arrays = list(feeds.values())
    calls = (lambda: loaded(*arrays), lambda: other.run(None, feeds))
    for call in calls * 3:  # a plan is made by the second one
        call()
    samples: list[list[float]] = [[], []]
    rounds = 20
    for _ in range(rounds):
        for call, own in zip(calls, samples, strict=True):
            count = max(3, int(seconds / (2 * rounds) / max(timing.sample(call, 3), 1e-6)))
            own.append(timing.sample(call, count))
    ours, theirs = (float(np.median(own)) * 1e6 for own in samples)
    each = f"{ours / NODES:.2f} us a node" if name.startswith(str(NODES)) else ""
    figures = [number(ours), number(theirs), f"{theirs / ours:.2f}", each]
    return [name, *figures, number(first), f"{other_first / first:.2f}"]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="to spend on each model")
    given = parser.parse_args(argv)
    gru_native.set_num_threads(1)
    lines = [line_of(name, given.seconds) for name in MODELS]
    console = Console(width=140)
    versions = {"ONNX Runtime": str(onnxruntime.__version__)}
    console.print(machine.line(machine.describe(versions)) + "; 1 thread.")
    header = ("us a call", "gru_native", "ONNX Runtime", "ratio", "", "first call", "ratio")
    console.print(Table("Calls of ONNX models", header, lines).rich())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
