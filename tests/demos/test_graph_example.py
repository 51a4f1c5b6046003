"""bench/examples/graph_reachability.py learns what it claims, on graphs that it has not seen."""

import importlib.util
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "bench" / "examples"


def example(name):
    pytest.importorskip("rich")
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its dataclasses look
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_graph_reachability():
    assert example("graph_reachability").run() > 0.95


@pytest.mark.slow
def test_graph_reachability_needs_its_steps():
    """The graphs cannot be told apart by what lies next to the target."""
    assert example("graph_reachability").run(steps=800, hops=2) < 0.95


def test_boolean_expressions_are_worth_what_python_says():
    boolean_trees = example("boolean_trees")
    rng = boolean_trees.np.random.default_rng(1)
    forest = boolean_trees.random_forest(200, (1, 5), rng)
    words = [*forest.symbols]

    def text(node):
        children = [k for k, p in enumerate(forest.parents) if p == node]
        children.sort(key=lambda k: forest.slots[k])
        symbol, parts = boolean_trees.SYMBOLS[words[node]], [text(k) for k in children]
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
    result = example("boolean_trees").run(600, seed=0)
    assert result.deeper_before < 0.7
    assert result.trained_depths > 0.99
    assert result.deeper > 0.95
