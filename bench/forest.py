"""A training step of a Tree-LSTM over a forest, against the same equations node by node in PyTorch.

    python bench/forest.py [--rounds 3] [--trees 256] [--nodes 40]

Prints the medians of interleaved steps, forward and all gradients, in float32, and their ratio. The
results of both are compared first. PyTorch is given the products with x for all nodes at once, and
one thread: on small operations its threads cost more than they save.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

import gru_native

Arrays = dict[str, np.ndarray[Any, Any]]


def random_forest(trees: int, nodes: int, arity: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Parents and slots. Each node hangs under a random earlier one of its tree that has room."""
    parents, slots = [], []
    for tree in range(trees):
        first = tree * nodes
        free = [[k for k in rng.permutation(arity)] for _ in range(nodes)]
        for node in range(nodes):
            open_nodes = [earlier for earlier in range(node) if free[earlier]]
            parent = int(rng.choice(open_nodes)) if open_nodes else -1
            parents.append(first + parent if parent >= 0 else -1)
            slots.append(int(free[parent].pop()) if parent >= 0 else 0)
    return np.array(parents), np.array(slots)


def ours(layer: Any, forest: tuple[Any, ...], dh: Any) -> Arrays:
    h, _, tape = layer.forward(*forest)
    grads = layer.backward(tape, dh)
    return {"h": h, "x": grads.x, **grads.weights}


class NodeByNode:
    """The equations as they stand in the paper, in PyTorch; autograd for the gradients."""

    def __init__(self, layer: Any, forest: tuple[Any, ...], dh: Any) -> None:
        self.weights = {n: torch.tensor(w, requires_grad=True) for n, w in layer.weights.items()}
        self.x = torch.tensor(forest[0], requires_grad=True)
        self.dh = torch.tensor(dh)
        self.slots = forest[2] if len(forest) > 2 else None
        parents = forest[1].tolist()
        self.children: list[list[int]] = [[] for _ in parents]
        for node, parent in enumerate(parents):
            if parent >= 0:
                self.children[parent].append(node)
        self.order, waiting = [], [node for node, parent in enumerate(parents) if parent < 0]
        while waiting:
            node = waiting.pop()
            self.order.append(node)
            waiting += self.children[node]
        self.order.reverse()  # children first

    def step(self) -> Arrays:
        for tensor in (self.x, *self.weights.values()):
            tensor.grad = None
        w = self.weights
        H = self.dh.shape[1]
        inputs = (self.x @ w["weight_ih"].T + w["bias"]).unbind()
        if self.slots is None:
            U_i, U_f, U_g, U_o = w["weight_hh"].split(H)
            U_igo = torch.cat([U_i, U_g, U_o])
        else:
            U_i, U_o, U_g = w["weight_hh_iog"].split(H)
            U_igo = torch.cat([U_i, U_g, U_o])
            arity = w["weight_hh_f"].shape[0] // H
        zeros = torch.zeros(H)
        h: list[Any] = [None] * len(inputs)
        c: list[Any] = [None] * len(inputs)
        for node in self.order:
            a_i, a_f, a_g, a_o = inputs[node].split(H)
            children = self.children[node]
            if not children:
                c[node] = torch.sigmoid(a_i) * torch.tanh(a_g)
                h[node] = torch.sigmoid(a_o) * torch.tanh(c[node])
                continue
            h_k = torch.stack([h[k] for k in children])
            c_k = torch.stack([c[k] for k in children])
            if self.slots is None:
                s = h_k.sum(0)
                f = torch.sigmoid(a_f + h_k @ U_f.T)
            else:
                places = [zeros] * arity
                for k in children:
                    places[self.slots[k]] = h[k]
                s = torch.cat(places)
                f = torch.sigmoid(a_f + (w["weight_hh_f"] @ s).view(arity, H))
                f = f[[int(self.slots[k]) for k in children]]
            u_i, u_g, u_o = (U_igo @ s).split(H)
            c[node] = torch.sigmoid(a_i + u_i) * torch.tanh(a_g + u_g) + (f * c_k).sum(0)
            h[node] = torch.sigmoid(a_o + u_o) * torch.tanh(c[node])
        out = torch.stack(h)
        out.backward(self.dh)
        gradients = {"x": self.x, **self.weights}
        return {"h": out.detach().numpy(), **{n: t.grad.numpy() for n, t in gradients.items()}}


def seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def compare(name: str, layer: Any, forest: tuple[Any, ...], rounds: int) -> float:
    rng = np.random.default_rng(1)
    dh = rng.standard_normal((len(forest[0]), layer.hidden_size)).astype(np.float32)
    peer = NodeByNode(layer, forest, dh)
    expected, actual = peer.step(), ours(layer, forest, dh)
    for key, value in expected.items():
        error = np.abs(actual[key] - value).max() / np.abs(value).max()
        if not error < 1e-4:
            sys.exit(f"{name}: {key} differs by {error:.2g}; nothing was timed")
    times: dict[str, list[float]] = {"ours": [], "torch": []}
    for _ in range(rounds):
        times["torch"].append(seconds(peer.step))
        ours(layer, forest, dh)  # after PyTorch the caches and the team are cold
        times["ours"] += [seconds(lambda: ours(layer, forest, dh)) for _ in range(5)]
    mine, theirs = median(times["ours"]), median(times["torch"])
    print(
        f"{name:<10} gru_native {mine * 1e3:8.1f} ms   PyTorch {theirs * 1e3:8.1f} ms   "
        f"{theirs / mine:6.1f}x",
        flush=True,
    )
    return theirs / mine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trees", type=int, default=256)
    parser.add_argument("--nodes", type=int, default=40)
    parser.add_argument("--hidden", type=int, default=150)
    parser.add_argument("--inputs", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((options.trees * options.nodes, options.inputs)).astype(np.float32)
    print(
        f"{options.trees} trees of {options.nodes} nodes, {options.inputs} inputs, "
        f"H={options.hidden}, {gru_native.active_isa()}, {gru_native.get_num_threads()} threads"
    )
    sizes = (options.inputs, options.hidden)
    parents, _ = random_forest(options.trees, options.nodes, options.nodes, rng)
    compare("child-sum", gru_native.ChildSumTreeLSTM(*sizes, seed=0), (x, parents), options.rounds)
    parents, slots = random_forest(options.trees, options.nodes, 2, rng)
    binary = gru_native.NaryTreeLSTM(*sizes, 2, seed=0)
    compare("binary", binary, (x, parents, slots), options.rounds)


if __name__ == "__main__":
    main()
