"""Tree-LSTMs, gated graphs and readouts with int8 and bf16 weights: definition and promises."""

import copy
import pickle

import numpy as np
import pytest

import gru_native
from few_bits import int8_product, widened
from gru_native import ChildSumTreeLSTM, GatedGraph, GraphSum, NaryTreeLSTM, NodeScores
from helpers import assert_same_bits
from reference.sigmoid import sigmoid

PRECISIONS = ("int8", "bf16")
# Two trees and a node of its own; children in slots, of which some are empty.
PARENTS = np.array([2, 2, 6, 6, 3, 6, -1, 8, -1, 8, -1, 9, 9])
SLOTS = np.array([0, 2, 0, 1, 2, 2, 0, 0, 0, 2, 0, 1, 0])
EDGES = np.array([[0, 1, 2, 5, 5, 7, 9, 12, 3, 3], [1, 2, 0, 3, 6, 8, 9, 11, 4, 10]])
TYPES = np.array([0, 1, 1, 0, 1, 0, 0, 1, 1, 0])
NODES = len(PARENTS)
GRAPH = np.array([0, 1, 0, 2, 2, 0, 1, 1, 0, 2, 0, 1, 0])


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def matrices(seed=5):
    kinds = 2 * 2
    return np.random.default_rng(seed).uniform(0, 0.2, (2, 7, kinds * 7)).astype(np.float32)


def child_sum(**options):
    return ChildSumTreeLSTM(13, 37, seed=1, **options)


def nary(**options):
    return NaryTreeLSTM(13, 37, 3, seed=1, **options)


def graph(steps=1, **options):
    return GatedGraph(21, steps, 2, seed=1, **options)


# A layer, and the arguments of its call; the first is what compare() calls x.
CASES = {
    "child_sum": (child_sum, {"x": numbers(NODES, 13), "parents": PARENTS}),
    "nary": (nary, {"x": numbers(NODES, 13), "parents": PARENTS, "slots": SLOTS}),
    "no_bias": (
        lambda **o: nary(bias=False, **o),
        {"x": numbers(NODES, 13), "parents": PARENTS, "slots": SLOTS},
    ),
    "edges": (
        lambda **o: graph(3, **o),
        {"annotations": numbers(NODES, 9), "edge_index": EDGES, "edge_type": TYPES},
    ),
    "sum": (
        lambda **o: graph(3, aggregate="sum", bias="node", reset_after=True, **o),
        {"annotations": numbers(NODES, 9), "edge_index": EDGES, "edge_type": TYPES},
    ),
    "adjacency": (
        lambda **o: graph(2, bias=None, **o),
        {"annotations": numbers(2, 7, 21), "adjacency": matrices()},
    ),
    "scores": (
        lambda **o: NodeScores(21, 9, 5, seed=1, **o),
        {"h": numbers(NODES, 21), "annotations": numbers(NODES, 9, seed=2)},
    ),
    "graph_sum": (
        lambda **o: GraphSum(21, 9, 5, seed=1, **o),
        {"h": numbers(NODES, 21), "annotations": numbers(NODES, 9, seed=2), "graph": GRAPH},
    ),
}


def arrays(result):
    return result if isinstance(result, tuple) else (result,)


def every_case(test):
    return pytest.mark.parametrize("precision", PRECISIONS)(
        pytest.mark.parametrize("name", CASES)(test)
    )


@every_case
def test_weights_are_those_of_the_definition(name, precision):
    make, _ = CASES[name]
    layer = make()
    fast = layer.quantize(precision)
    assert (type(fast), fast.precision, layer.precision) == (type(layer), precision, "float32")
    for key, w in layer.weights.items():
        expected = widened(w, precision) if key.startswith("weight") else w
        np.testing.assert_array_equal(fast.weights[key], expected, err_msg=key)
    assert fast.num_parameters == layer.num_parameters


@every_case
def test_comes_near_the_float_layer(name, precision):
    make, arguments = CASES[name]
    layer = make()
    first, *others = arguments
    rest = {key: arguments[key] for key in others}
    differences = gru_native.compare(layer, layer.quantize(precision), arguments[first], **rest)
    assert len(differences) == (2 if "parents" in arguments else 1)
    for difference in differences:
        assert 0 < difference.largest < (0.02 if precision == "int8" else 0.005), difference
        assert difference.what in (("h", "c") if "parents" in arguments else ("output",))


def test_int8_trees_are_their_equations_in_whole_numbers():
    """Each node from its children as the layer itself has them."""
    for layer, slots in ((child_sum(), None), (nary(), SLOTS)):
        w = layer.weights
        x = numbers(NODES, 13)
        fast = layer.quantize("int8")
        h, c = fast(x, PARENTS) if slots is None else fast(x, PARENTS, slots)
        for node in range(NODES):
            children = [k for k in range(NODES) if PARENTS[k] == node]
            i, f, g, o = np.split((int8_product(x[[node]], w["weight_ih"]) + w["bias"])[0], 4)
            forget = {}
            if slots is None:
                total = np.zeros(37, np.float32)
                for k in children:
                    total = total + h[k]
                    forget[k] = f + int8_product(h[[k]], w["weight_hh"])[0, 37:74]
                of_i, _, of_g, of_o = np.split(int8_product(total[None], w["weight_hh"])[0], 4)
            else:
                total = np.zeros(3 * 37, np.float32)
                for k in children:
                    total[slots[k] * 37 : (slots[k] + 1) * 37] = h[k]
                of_f = np.split(int8_product(total[None], w["weight_hh_f"])[0], 3)
                forget = {k: f + of_f[slots[k]] for k in children}
                of_i, of_o, of_g = np.split(int8_product(total[None], w["weight_hh_iog"])[0], 3)
            own = sigmoid(i + of_i) * np.tanh(g + of_g)
            own = own + sum(sigmoid(forget[k]) * c[k] for k in children)
            np.testing.assert_allclose(c[node], own, atol=2e-6, err_msg=f"{layer} {node}")
            expected = sigmoid(o + of_o) * np.tanh(own)
            np.testing.assert_allclose(h[node], expected, atol=2e-6, err_msg=f"{layer} {node}")


def test_an_int8_graph_is_its_equations_in_whole_numbers():
    """One step from full states. More steps are more calls of one, to the bit."""
    layer, h = graph(), numbers(NODES, 21)
    fast, w = layer.quantize("int8"), layer.weights
    edge = w["weight_edge"]
    m = np.stack([int8_product(h, edge[k]) + w["bias_edge"][k] for k in range(4)])
    a = np.zeros((NODES, 2, 21), np.float32)
    for (source, target), kind in zip(EDGES.T, TYPES, strict=True):
        a[target, 0] += m[kind, source].astype(np.float32)
    for (source, target), kind in zip(EDGES.T, TYPES, strict=True):
        a[source, 1] += m[2 + kind, target].astype(np.float32)
    r, z, n = np.split(int8_product(a.reshape(NODES, 42), w["weight_ih"]) + w["bias_ih"], 3, 1)
    of_r, of_z, _ = np.split(int8_product(h, w["weight_hh"]) + w["bias_hh"], 3, 1)
    reset = (sigmoid(r + of_r) * h).astype(np.float32)
    n = np.tanh(n + int8_product(reset, w["weight_hh"][42:]) + w["bias_hh"][42:])
    z = sigmoid(z + of_z)
    got = fast(h, EDGES, TYPES)
    # A number in the middle of two whole ones may be rounded either way.
    apart = np.abs(got - (z * h + (1 - z) * n))
    assert np.quantile(apart, 0.99) < 2e-6
    assert apart.max() < 2e-3
    three = graph(3).quantize("int8")
    assert_same_bits(three(h, EDGES, TYPES), fast(fast(got, EDGES, TYPES), EDGES, TYPES))


def test_int8_readouts_are_their_equations_in_whole_numbers():
    h, x = numbers(NODES, 21), numbers(NODES, 9, seed=2)
    z = np.concatenate([h, x], axis=1)
    for name in ("scores", "graph_sum"):
        layer = CASES[name][0]()
        w = layer.weights
        f = int8_product(z, w["weight_f"]) + w["bias_f"]
        g = sigmoid(int8_product(z, w["weight_g"]) + w["bias_g"])
        if name == "scores":
            expected = f * g
        else:
            expected = np.tanh([(np.tanh(f) * g)[k == GRAPH].sum(axis=0) for k in range(3)])
        got = layer.quantize("int8")(*CASES[name][1].values())
        np.testing.assert_allclose(got, expected, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("name", ["child_sum", "nary", "edges", "scores", "graph_sum"])
def test_bf16_is_the_float_layer_with_rounded_weights(name):
    make, arguments = CASES[name]
    layer = make()
    rounded = make()
    rounded.load_state_dict(
        {k: widened(w, "bf16") if k.startswith("weight") else w for k, w in layer.weights.items()}
    )
    got, expected = layer.quantize("bf16")(**arguments), rounded(**arguments)
    for one, two in zip(arrays(got), arrays(expected), strict=True):
        np.testing.assert_allclose(one, two, atol=0.005)  # some CPUs round what is multiplied, too


@every_case
def test_same_bits_for_threads_and_company(name, precision, threads):
    """A forest or graph twice, beside itself, gives what it gives alone, on one thread or two."""
    make, arguments = CASES[name]
    fast = make().quantize(precision)
    threads(1)
    alone = arrays(fast(**arguments))
    many = {}
    for key, value in arguments.items():
        copies = []
        for k in range(24):
            shift = {
                "parents": np.where(value >= 0, value + k * NODES, -1),
                "edge_index": value + k * NODES,
                "graph": value + k * 3,
            }
            copies.append(shift.get(key, value).astype(value.dtype))
        many[key] = np.concatenate(copies, axis=1 if key == "edge_index" else 0)
    for n in (1, 2):
        threads(n)
        for own, all_of_them in zip(alone, arrays(fast(**many)), strict=True):
            for each in np.split(all_of_them, 24):
                assert_same_bits(each, own)
        for own, again in zip(alone, arrays(fast(**arguments)), strict=True):
            assert_same_bits(again, own)


@every_case
def test_nan_stays_with_those_who_hear_of_it(name, precision):
    make, arguments = CASES[name]
    fast = make().quantize(precision)
    first = next(iter(arguments))
    strange = {**arguments, first: arguments[first].copy()}
    strange[first].reshape(-1, strange[first].shape[-1])[-1, 3] = np.nan
    for clean, dirty in zip(arrays(fast(**arguments)), arrays(fast(**strange)), strict=True):
        rows, own = np.isnan(dirty).any(axis=-1), np.isnan(dirty).all(axis=-1)
        assert rows.any()
        assert not rows.all()
        np.testing.assert_array_equal(rows, own)
        assert_same_bits(dirty[~rows], clean[~rows])


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
@every_case
def test_copies_and_pickles(name, precision, copied):
    make, arguments = CASES[name]
    fast = make().quantize(precision)
    twin = copied(fast)
    assert (twin.precision, repr(twin)) == (precision, repr(fast))
    for one, two in zip(arrays(twin(**arguments)), arrays(fast(**arguments)), strict=True):
        assert_same_bits(one, two)


@pytest.mark.parametrize("name", CASES)
def test_errors(name):
    make, arguments = CASES[name]
    fast = make().quantize("int8")
    with pytest.raises(ValueError, match="train the layer of full precision, and quantize it"):
        fast.forward(**arguments)
    with pytest.raises(ValueError, match="edit the layer of full"), fast.editing():
        pass
    with pytest.raises(ValueError, match="already"):
        fast.quantize("bf16")
    with pytest.raises(TypeError, match="float64"):
        make(dtype=np.float64).quantize("int8")
    with pytest.raises(ValueError, match="precision is 'int4'"):
        make().quantize("int4")
    broken = make()
    key = next(iter(broken.weights))
    with broken.editing() as w:
        w[key][0, ..., 0] = np.inf
    with pytest.raises(ValueError, match=f"{key} has NaN or infinity in row 0"):
        broken.quantize("int8")
