"""Learns to tell whether a path leads from one node of a directed graph to another.

    python bench/examples/graph_reachability.py          # half a minute on two cores; needs rich

A gated graph network hands what it knows from node to node, once for each of its steps, and a
logistic readout looks at the target alone. It is trained on random graphs and judged on others.
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import gru_native

NODES, HIDDEN, BATCH = 8, 16, 64


def reachable(edges: np.ndarray, source: int) -> np.ndarray:
    """Which nodes paths from the source lead to; edges are (2, edges)."""
    found = np.zeros(NODES, bool)
    found[source] = True
    for _ in range(NODES):
        found[edges[1][found[edges[0]]]] = True
    return found


def graphs(count: int, rng: np.random.Generator):
    """Random graphs as one: annotations (source?, target?), edge_index, targets, answers.

    In one half the target can be reached; which half follows from no local count of edges alone.
    """
    annotations = np.zeros((count * NODES, 2), np.float32)
    all_edges, targets, answers = [], [], np.arange(count) % 2 == 0
    for graph in range(count):
        while True:
            edges = rng.integers(0, NODES, (2, rng.integers(NODES - 1, 2 * NODES)))
            source = rng.integers(NODES)
            found = reachable(edges, source)
            found[source] = answers[graph]  # never its own target
            choices = np.flatnonzero(found == answers[graph])
            choices = choices[choices != source]
            if len(choices):
                break
        first = graph * NODES
        target = first + rng.choice(choices)
        annotations[first + source, 0] = annotations[target, 1] = 1
        all_edges.append(edges + first)
        targets.append(target)
    return annotations, np.concatenate(all_edges, axis=1), np.array(targets), answers


class Model:
    def __init__(self, hops: int, seed: int) -> None:
        self.layer = gru_native.GatedGraph(HIDDEN, hops, aggregate="sum", seed=seed)
        self.readout = gru_native.Dense(HIDDEN, 1, seed=seed + 1)
        self.adam = gru_native.optim.Adam([self.layer, self.readout], betas=(0.9, 0.99))

    def correct(self, annotations, edges, targets, answers) -> float:
        h = self.layer(annotations, edges)[targets]
        return float(((self.readout(h)[:, 0] > 0) == answers).mean())

    def train(self, annotations, edges, targets, answers, rate: float) -> float:
        """One step of Adam; returns the cross-entropy in nats."""
        h, tape = self.layer.forward(annotations, edges)
        scores, readout_tape = self.readout.forward(h[targets])
        logits = scores[:, 0]
        dlogits = ((1 / (1 + np.exp(-logits)) - answers) / len(answers)).astype(np.float32)
        of_readout = self.readout.backward(readout_tape, dlogits[:, None])
        dh = np.zeros_like(h)
        dh[targets] = of_readout.x
        gradients = [self.layer.backward(tape, dh).weights, of_readout.weights]
        gru_native.clip_gradients([g for weights in gradients for g in weights.values()], 1.0)
        self.adam.lr = rate
        self.adam.step(gradients)
        return float(np.mean(np.logaddexp(0, np.where(answers, -logits, logits))))


def run(steps: int = 1200, seed: int = 0, hops: int = NODES) -> float:
    """Train, and return the share of 2000 graphs never seen that is answered right.

    hops: how far the network can see. A path has at most NODES - 1 edges.
    """
    rng, held_out = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    model = Model(hops, seed)
    columns = TextColumn("training"), BarColumn(), TextColumn("{task.fields[text]}")
    with Progress(*columns, TimeElapsedColumn()) as progress:
        task = progress.add_task("", total=steps, text="")
        mean = np.log(2)
        for step in range(steps):
            loss = model.train(*graphs(BATCH, rng), rate=1e-2 * (1 - step / steps))
            mean += 0.02 * (loss - mean)
            progress.update(task, advance=1, text=f"{mean:.3f} nats")
    return model.correct(*graphs(2000, held_out))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hops", type=int, default=NODES)
    arguments = parser.parse_args()
    share = run(arguments.steps, arguments.seed, arguments.hops)
    print(f"{share:.1%} of 2000 graphs never seen are answered right")
