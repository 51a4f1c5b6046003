"""Whether a path leads from one node of a directed graph to another, by a gated graph network.

The network [1]_ hands what it knows from node to node, once for each of its steps, and a logistic
readout looks at the target alone. It is trained on random graphs of eight nodes and judged on
others. The simple method follows the edges, but no further than two of them.

    python graphs.py --minutes 1

.. [1] Y. Li, D. Tarlow, M. Brockschmidt and R. Zemel, "Gated Graph Sequence Neural Networks", ICLR
   2016.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import common
from gru_native import Dense, GatedGraph, clip_gradients, optim

NAME, MINUTES = "graphs", 1.0
NODES, HIDDEN, BATCH, RATE = 8, 16, 64, 1e-2
GRAPHS = 2000  # to measure with

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Graphs(NamedTuple):
    """Random graphs as one."""

    annotations: NDArray[np.float32]  # (nodes, 2): is it the source, is it the target
    edges: Numbers  # (2, edges)
    targets: Numbers
    answers: Flags
    distances: Numbers  # edges from source to target; NODES if no path leads there


def distances(edges: Numbers, source: int) -> Numbers:
    """Of each node from the source, in edges; NODES if no path leads there."""
    found = np.full(NODES, NODES)
    found[source] = 0
    for step in range(1, NODES):
        ahead = edges[1][found[edges[0]] == step - 1]
        found[ahead] = np.minimum(found[ahead], step)
    return found


def graphs(count: int, rng: np.random.Generator) -> Graphs:
    """In one half the target can be reached, which follows from no local count of edges alone."""
    annotations = np.zeros((count * NODES, 2), np.float32)
    all_edges, targets, answers, lengths = [], [], np.arange(count) % 2 == 0, []
    for graph in range(count):
        while True:
            edges = rng.integers(0, NODES, (2, rng.integers(NODES - 1, 2 * NODES)))
            source = int(rng.integers(NODES))
            away = distances(edges, source)
            choices = np.flatnonzero((away < NODES) == answers[graph])
            choices = choices[choices != source]
            if len(choices):
                break
        first, target = graph * NODES, rng.choice(choices)
        annotations[first + source, 0] = annotations[first + target, 1] = 1
        all_edges.append(edges + first)
        targets.append(first + target)
        lengths.append(away[target])
    edges = np.concatenate(all_edges, axis=1)
    return Graphs(annotations, edges, np.array(targets), answers, np.array(lengths))


class Model:
    """``hops`` is how far the network can see. A path has at most NODES - 1 edges."""

    def __init__(self, hops: int, seed: int) -> None:
        self.layer = GatedGraph(HIDDEN, hops, aggregate="sum", seed=seed)
        self.readout = Dense(HIDDEN, 1, seed=seed + 1)

    @property
    def parts(self) -> dict[str, Any]:
        return {"graph": self.layer, "readout": self.readout}

    def right(self, some: Graphs) -> Flags:
        """Which are answered right."""
        h = self.layer(some.annotations, some.edges)[some.targets]
        return np.asarray((self.readout(h)[:, 0] > 0) == some.answers)

    def learn(self, some: Graphs, adam: optim.Adam) -> float:
        """One step. Returns the cross-entropy in nats."""
        h, tape = self.layer.forward(some.annotations, some.edges)
        scores, readout_tape = self.readout.forward(h[some.targets])
        logits, answers = scores[:, 0], some.answers
        dlogits = ((1 / (1 + np.exp(-logits)) - answers) / len(answers)).astype(np.float32)
        of_readout = self.readout.backward(readout_tape, dlogits[:, None])
        dh = np.zeros_like(h)
        dh[some.targets] = of_readout.x
        grads: list[Any] = [self.layer.backward(tape, dh), of_readout]
        clip_gradients([g for part in grads for g in part.weights.values()], 1.0)
        adam.step(grads)
        return float(np.mean(np.logaddexp(0, np.where(answers, -logits, logits))))


def train(model: Model, course: common.Course, rng: np.random.Generator) -> None:
    adam = optim.Adam([model.layer, model.readout], betas=(0.9, 0.99))
    mean = np.log(2)
    for done in course:
        adam.lr = RATE * (1 - done)
        mean += 0.02 * (model.learn(graphs(BATCH, rng), adam) - mean)
        course.figures = f"{mean:.3f} nats"


def run(options: common.Options) -> common.Result:
    rng = np.random.default_rng(options.seed)
    held_out = graphs(GRAPHS, np.random.default_rng(options.seed + 1))
    seconds = 4.0 if options.quick else 60 * options.minutes
    print(f"{GRAPHS:,} graphs to measure with; {seconds:.0f} s of training")
    model = Model(NODES, options.seed)
    train(model, common.Course(seconds), rng)
    again = Model(NODES, options.seed + 1)
    common.keep(model.parts, options.out / "graphs.npz")
    common.take_up(again.parts, options.out / "graphs.npz")
    found = {
        "paths of at most two edges": (held_out.distances <= 2) == held_out.answers,
        "gated graph network": again.right(held_out),
    }
    rows: list[dict[str, Any]] = []
    for method, right in found.items():
        row = {"method": method, "right %": 100 * float(right.mean())}
        for length in (1, 2, 3, 4):
            row[f"{length} edges"] = 100 * float(right[held_out.distances == length].mean())
        longer = (held_out.distances > 4) & held_out.answers
        row["more"] = 100 * float(right[longer].mean())
        row["no path"] = 100 * float(right[~held_out.answers].mean())
        rows.append(row)
    common.picture(
        options.out / "lengths.png", partial(common.bars, rows, "from the source to the target")
    )
    return common.Result(rows[1]["right %"], rows[0]["right %"], True, rows)


if __name__ == "__main__":
    sys.exit(common.main(run, NAME, MINUTES))
