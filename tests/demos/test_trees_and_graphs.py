"""python/examples: trees and graphs learn what they claim, on unseen ones; the heads of trees."""

import sys

import numpy as np
import pytest

from builds import ROOT

sys.path.insert(0, str(ROOT / "python" / "examples"))

import common
import graphs
import heads
import trees


def graph_network(hops, steps):
    """The share of 2000 graphs never seen that is answered right."""
    model = graphs.Model(hops, seed=0)
    graphs.train(model, common.Course(0, steps), np.random.default_rng(0))
    return model.right(graphs.graphs(2000, np.random.default_rng(1))).mean()


@pytest.mark.slow
def test_graph_reachability():
    assert graph_network(graphs.NODES, 600) > 0.95


@pytest.mark.slow
def test_graph_reachability_needs_its_steps():
    """The graphs cannot be told apart by what lies next to the target."""
    assert graph_network(2, 600) < 0.95


def test_distances_are_those_of_powers_of_the_matrix():
    rng = np.random.default_rng(2)
    for _ in range(30):
        edges = rng.integers(0, graphs.NODES, (2, 11))
        one = np.zeros((graphs.NODES, graphs.NODES), int)
        one[tuple(edges)] = 1
        walks = [np.linalg.matrix_power(one, n)[3] > 0 for n in range(graphs.NODES)]
        first = [next((n for n, w in enumerate(walks) if w[k]), graphs.NODES) for k in range(8)]
        assert graphs.distances(edges, 3).tolist() == first


def test_boolean_expressions_are_worth_what_python_says():
    rng = np.random.default_rng(1)
    forest = trees.random_forest(200, (1, 5), rng)
    words = [*forest.symbols]

    def text(node):
        children = [k for k, p in enumerate(forest.parents) if p == node]
        children.sort(key=lambda k: forest.slots[k])
        symbol, parts = trees.SYMBOLS[words[node]], [text(k) for k in children]
        if symbol in ("F", "T"):
            return {"F": "False", "T": "True"}[symbol]
        if symbol == "not":
            return f"(not {parts[0]})"
        between = {"xor": "!=", "unless": "and not"}.get(symbol, symbol)
        return f"({parts[0]} {between} {parts[1]})"

    values = [int(eval(text(root))) for root in forest.roots]
    assert values == forest.values
    assert 0.3 < sum(values) / len(values) < 0.7


@pytest.mark.slow
def test_boolean_trees():
    rng = np.random.default_rng(0)
    test, model = trees.random_forest(2000, trees.TESTED, rng), trees.Model(0)
    assert model.accuracy(test) < 0.7
    course = common.Course(0, 400)
    trees.train(model, model.classes, model.learn_values, course, rng)
    assert model.accuracy(trees.random_forest(2000, trees.TRAINED, rng)) > 0.99
    assert model.accuracy(test) > 0.95


# --- the heads, against their formulas and finite differences


def slopes(loss, array):
    """The derivatives of a loss with respect to an array, which is changed for it."""
    found = np.zeros_like(array)
    for at in np.ndindex(array.shape):
        kept = array[at]
        array[at] = kept + 1e-6
        above = loss()
        array[at] = kept - 1e-6
        found[at] = (above - loss()) / 2e-6
        array[at] = kept
    return found


def check_weights(head, grads, loss):
    for layer, of_layer in zip(head.layers, grads, strict=True):
        for name, gradient in of_layer.weights.items():
            weights = layer.state_dict()

            def changed(layer=layer, weights=weights):
                layer.load_state_dict(weights)
                return loss()

            np.testing.assert_allclose(gradient, slopes(changed, weights[name]), atol=1e-8)
            layer.load_state_dict(weights)


def test_classes_of_nodes():
    rng = np.random.default_rng(5)
    head, h = heads.NodeClasses(4, 3, dtype=np.float64, seed=1), rng.standard_normal((6, 4))
    labels = np.array([2, -1, 0, 1, -1, 2])
    loss, dh, grads = head.learn(h, labels)
    w = head.dense.weights
    scores = np.exp(h @ w["weight"].T + w["bias"])
    p = scores / scores.sum(1, keepdims=True)
    assert loss == pytest.approx(-np.log([p[0, 2], p[2, 0], p[3, 1], p[5, 2]]).mean())
    assert head(h).tolist() == p.argmax(1).tolist()
    np.testing.assert_allclose(dh, slopes(lambda: head.learn(h, labels)[0], h), atol=1e-8)
    check_weights(head, grads, lambda: head.learn(h, labels)[0])


def test_relatedness_of_roots():
    rng = np.random.default_rng(6)
    head = heads.Relatedness(4, 7, dtype=np.float64, seed=1)
    left, right = rng.standard_normal((2, 5, 4))
    scores = np.array([1, 5, 3.4, 2, 4.75])
    wanted = [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0.6, 0.4, 0], [0, 1, 0, 0, 0]]
    np.testing.assert_allclose(head.wanted(scores), [*wanted, [0, 0, 0, 0.25, 0.75]], atol=1e-12)
    np.testing.assert_allclose(head.wanted(scores) @ np.arange(1, 6), scores)
    loss, dleft, dright, grads = head.learn(left, right, scores)
    compare, say = (layer.weights for layer in head.layers)
    pair = np.hstack([left * right, np.abs(left - right)])
    h_s = 1 / (1 + np.exp(-(pair @ compare["weight"].T + compare["bias"])))
    e = np.exp(h_s @ say["weight"].T + say["bias"])
    p = e / e.sum(1, keepdims=True)
    np.testing.assert_allclose(head(left, right), p @ np.arange(1, 6))
    np.testing.assert_allclose(head(right, left), head(left, right))
    terms = [q * np.log(q / r) for q, r in zip(head.wanted(scores).flat, p.flat, strict=True) if q]
    assert loss == pytest.approx(sum(terms) / 5)

    def again():
        return head.learn(left, right, scores)[0]

    np.testing.assert_allclose(dleft, slopes(again, left), atol=1e-8)
    np.testing.assert_allclose(dright, slopes(again, right), atol=1e-8)
    check_weights(head, grads, again)
