"""bench/examples/graph_reachability.py learns what it claims, on graphs that it has not seen."""

import importlib.util
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "bench" / "examples"


def example(name):
    pytest.importorskip("rich")
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_graph_reachability():
    assert example("graph_reachability").run() > 0.95


@pytest.mark.slow
def test_graph_reachability_needs_its_steps():
    """The graphs cannot be told apart by what lies next to the target."""
    assert example("graph_reachability").run(steps=800, hops=2) < 0.95
