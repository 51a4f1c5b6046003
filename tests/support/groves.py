"""Random forests and Tree-LSTM layers for the tests."""

from dataclasses import dataclass, replace

import numpy as np

import gru_native
from helpers import assert_same_bits
from reference import tree_lstm


@dataclass
class Grove:
    """A layer's weights and one call, in float64: a forest with its inputs and gradients."""

    arity: object  # None: child-sum
    weights: dict
    x: np.ndarray
    parents: np.ndarray
    slots: object
    dh: np.ndarray
    dc: np.ndarray

    @property
    def forest(self):
        """The arguments of a call."""
        shape = (self.parents,) if self.arity is None else (self.parents, self.slots)
        return (self.x, *shape)

    def layer(self, dtype=np.float64):
        sizes = (self.x.shape[1], self.dh.shape[1])
        options = {"bias": "bias" in self.weights, "dtype": dtype, "seed": 0}
        if self.arity is None:
            layer = gru_native.ChildSumTreeLSTM(*sizes, **options)
        else:
            layer = gru_native.NaryTreeLSTM(*sizes, self.arity, **options)
        layer.load_state_dict({name: value.astype(dtype) for name, value in self.weights.items()})
        return layer

    def cast(self, dtype):
        parts = {name: getattr(self, name).astype(dtype) for name in ("x", "dh", "dc")}
        weights = {name: value.astype(dtype) for name, value in self.weights.items()}
        return replace(self, weights=weights, **parts)

    def nodes(self, chosen):
        """The call with these nodes only, in this order; their parents must be among them."""
        chosen = np.asarray(chosen)
        place = np.full(len(self.parents) + 1, -1)
        place[chosen] = np.arange(len(chosen))  # and place[-1], a root's, stays -1
        parts = {name: getattr(self, name)[chosen] for name in ("x", "dh", "dc")}
        slots = None if self.slots is None else self.slots[chosen]
        return replace(self, parents=place[self.parents[chosen]], slots=slots, **parts)

    def expected(self):
        return tree_lstm.forward(self.weights, self.x, self.parents, self.slots)


def random_parents(nodes, rng, trees=1, most=None):
    """Random trees, numbered at random; at most so many children each. And each node's slot."""
    parents, slots = np.full(nodes, -1), np.zeros(nodes, int)
    count = np.zeros(nodes, int)
    for node in range(trees, nodes):
        free = np.flatnonzero(count[:node] < (most or nodes))
        parents[node] = rng.choice(free)
        count[parents[node]] += 1
    for parent in range(nodes):
        children = np.flatnonzero(parents == parent)
        slots[children] = rng.permutation(most or max(1, len(children)))[: len(children)]
    order = rng.permutation(nodes)
    place = np.append(np.argsort(order), -1)
    return place[parents[order]], slots[order]


def grove(parents, slots, arity, rng, *, input_size=4, hidden_size=7, bias=True):
    shapes = tree_lstm.weight_shapes(input_size, hidden_size, arity, bias)
    nodes = len(parents)
    return Grove(
        arity,
        {name: rng.uniform(-0.6, 0.6, shape) for name, shape in shapes.items()},
        rng.standard_normal((nodes, input_size)),
        np.asarray(parents),
        None if arity is None else np.asarray(slots),
        rng.standard_normal((nodes, hidden_size)),
        rng.standard_normal((nodes, hidden_size)),
    )


def random_grove(arity, seed, nodes=24, trees=3, **sizes):
    rng = np.random.default_rng(seed)
    parents, slots = random_parents(nodes, rng, trees, arity)
    return grove(parents, slots, arity, rng, **sizes)


def results(layer, case):
    """Name -> array: everything that forward and backward give."""
    h, c, tape = layer.forward(*case.forest)
    grads = layer.backward(tape, case.dh, case.dc)
    return {"h": h, "c": c, "dx": grads.x, **grads.weights}


def assert_same_results(actual, expected, names=None):
    for name in names or expected:
        assert_same_bits(actual[name], expected[name], name)
