"""The counts as formulas: the same code, run with symbols in the place of sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeAlias

from .._core import a_type
from ..layers import (
    GRU,
    LSTM,
    RNN,
    ChildSumTreeLSTM,
    Dense,
    GatedGraph,
    GatedRecursiveConv,
    GraphSum,
    NaryTreeLSTM,
    NodeScores,
    OutputRNN,
)
from ._arguments import at_least
from ._dense import Linear
from ._graphs import Network, Readout
from ._grconv import GrConv
from ._outputs import OutputRecurrence
from ._sequences import Recurrent
from ._stack import counted
from ._trees import Tree
from ._work import Tensor

Monomial: TypeAlias = tuple[str, ...]
Counted: TypeAlias = tuple[Tensor, int]


class Polynomial:
    """Whole multiples of products of symbols: what a count is made of."""

    def __init__(self, terms: str | Mapping[Monomial, int]) -> None:
        self.terms = Counter({(terms,): 1} if isinstance(terms, str) else dict(terms))

    @classmethod
    def of(cls, value: Polynomial | int) -> Polynomial:
        return value if isinstance(value, Polynomial) else cls({(): value} if value else {})

    def __add__(self, other: Polynomial | int) -> Polynomial:
        sums = Counter(self.terms)
        sums.update(self.of(other).terms)
        return Polynomial(sums)

    def __mul__(self, other: Polynomial | int) -> Polynomial:
        products: Counter[Monomial] = Counter()
        for a, n in self.terms.items():
            for b, m in self.of(other).terms.items():
                products[tuple(sorted(a + b))] += n * m
        return Polynomial(products)

    __radd__ = __add__
    __rmul__ = __mul__

    def value(self, sizes: Mapping[str, int]) -> int:
        """The number that it is for these sizes."""
        return sum(n * prod(sizes[s] for s in symbols) for symbols, n in self.terms.items())

    def __str__(self) -> str:
        ordered = sorted(self.terms.items(), key=lambda item: (-len(item[0]), item[0]))
        return " + ".join(_term(symbols, n) for symbols, n in ordered) or "0"

    def factored(self, symbol: str) -> str:
        """With a symbol that is in every term taken out of the sum; else as it is."""
        if len(self.terms) < 2 or not all(symbol in symbols for symbols in self.terms):
            return str(self)
        rest: dict[Monomial, int] = {}
        for symbols, n in self.terms.items():
            at = symbols.index(symbol)
            rest[symbols[:at] + symbols[at + 1 :]] = n
        return f"{symbol} ({Polynomial(rest)})"


def _term(symbols: Monomial, n: int) -> str:
    powers = [s if k == 1 else f"{s}^{k}" for s, k in Counter(symbols).items()]
    return " ".join([str(n)] * (n != 1 or not powers) + powers)


@dataclass(frozen=True)
class Statement:
    """What a layer costs, in symbols.

    The symbols are those of Sak, Senior and Beaufays [1]_: n_i inputs, n_c cells or units, n_r
    recurrent and n_p non-recurrent projected units, n_o outputs; and n_k children, n_e types of
    edges, n_a columns of annotations.

    Attributes
    ----------
    parameters : str
        N, the numbers in all weights.
    macs_per_step : str
        Multiply-accumulates of a step of one sequence; of an inner node in trees; of a node without
        edges in graphs.
    dominating : str
        The recurrent and output weights, which grow fastest.
    reduction : str or None
        What a projection multiplies the dominating factor with.
    order : str
        How the time grows.
    sizes : dict of str to int
        The values of the symbols for this layer.

    References
    ----------
    .. [1] H. Sak, A. Senior and F. Beaufays, "Long Short-Term Memory Based Recurrent Neural Network
       Architectures for Large Vocabulary Speech Recognition", 2014, arXiv:1402.1128.
    """

    parameters: str
    macs_per_step: str
    dominating: str
    reduction: str | None
    order: str
    sizes: dict[str, int]

    def __str__(self) -> str:
        lines = [
            f"parameters      N = {self.parameters}",
            f"MACs of a step  {self.macs_per_step}",
            f"dominated by    {self.dominating}",
            f"in time         {self.order}",
        ]
        if self.reduction:
            lines.insert(3, f"projection      {self.reduction}")
        return "\n".join([*lines, "with " + ", ".join(f"{s} = {n}" for s, n in self.sizes.items())])


def _sum(tensors: Iterable[Counted]) -> Polynomial:
    return sum((Polynomial.of(t.size) * n for t, n in tensors), Polynomial({}))


Layer: TypeAlias = (
    RNN
    | LSTM
    | GRU
    | Dense
    | OutputRNN
    | GatedRecursiveConv
    | ChildSumTreeLSTM
    | NaryTreeLSTM
    | GatedGraph
    | NodeScores
    | GraphSum
)


def _symbolic(layer: Layer, outputs: bool) -> tuple[list[Counted], dict[str, Any]]:
    """The tensors and how often they are there, with polynomials for sizes; the symbols' values."""
    part: Any
    if isinstance(layer, (RNN, LSTM, GRU)):
        own = Recurrent.of(layer)
        names = {"input_size": "n_i", "hidden_size": "n_c"}
        names |= {"proj_size": "n_r"} if own.proj_size else {}
        names |= {"nonrecurrent_proj_size": "n_p"} if own.nonrecurrent_proj_size else {}
        part = own
    elif isinstance(layer, Dense):
        part, names = Linear.of(layer), {"input_size": "n_i", "output_size": "n_o"}
    elif isinstance(layer, OutputRNN):
        part = OutputRecurrence.of(layer)
        names = {"input_size": "n_i", "hidden_size": "n_c", "output_size": "n_o"}
    elif isinstance(layer, GatedRecursiveConv):
        part, names = GrConv.of(layer), {"input_size": "n_i", "hidden_size": "n_c"}
    elif isinstance(layer, (ChildSumTreeLSTM, NaryTreeLSTM)):
        part, names = Tree.of(layer), {"input_size": "n_i", "hidden_size": "n_c"}
        names |= {"arity": "n_k"} if part.arity is not None else {}
    elif isinstance(layer, GatedGraph):
        part, names = Network.of(layer), {"hidden_size": "n_c", "num_edge_types": "n_e"}
    elif isinstance(layer, (NodeScores, GraphSum)):
        part, names = Readout.of(layer), {"columns": "n_i", "output_size": "n_o"}
    else:
        raise TypeError(f"layer is {a_type(layer)}; expected one of gru_native's layers")
    sizes = {symbol: int(getattr(part, field)) for field, symbol in names.items()}
    symbols: dict[str, Any] = {field: Polynomial(symbol) for field, symbol in names.items()}
    symbolic = replace(part, **symbols)
    tensors = list[Counted](counted(symbolic.tensors()))
    if outputs:
        head: Any = Linear(symbolic.width, Polynomial("n_o"), True, "identity")  # type: ignore[arg-type]
        tensors += counted(head.tensors())
    return tensors, sizes


def statement(layer: Layer, outputs: int | None = None) -> Statement:
    """Write the cost of a layer in symbols.

    For an LSTM with peepholes and biases it is N = 4 n_c^2 + 4 n_c n_i + 11 n_c. With outputs it is
    dominated by n_c (4 n_c + n_o), and with a projection by n_r (4 n_c + n_o), n_r / n_c of that.
    The formulas are made by the code that counts, and give the same numbers.

    Parameters
    ----------
    layer : RNN, LSTM, GRU or another layer, but no Chain
        With or without weights.
    outputs : int, optional
        Puts a dense layer of so many units behind the layer.

    Returns
    -------
    Statement
        The formulas.

    Raises
    ------
    ValueError
        For outputs below 1.
    TypeError
        For another kind of layer, and for outputs behind a layer that has outputs of its own.
    """
    if outputs is not None:
        at_least("outputs", outputs, 1)
        if not isinstance(layer, (RNN, LSTM, GRU, GatedRecursiveConv)):
            raise TypeError("outputs was given; expected none for this kind of layer")
    tensors, sizes = _symbolic(layer, outputs is not None)
    if outputs is not None:
        sizes["n_o"] = outputs
    matrices = [(t, n) for t, n in tensors if t.role not in ("bias", "peephole")]
    # As the paper does, leave out what reads the inputs, and the projection beside 4 n_c n_r.
    most = _sum((t, n) for t, n in matrices if t.role != "projection" and not _reads_inputs(t))
    if not most.terms:
        most = _sum(matrices)
    h = "n_r" if "n_r" in sizes else "n_c"
    reduction = None
    if "n_r" in sizes:
        share = sizes["n_r"] / sizes["n_c"]
        reduction = f"n_r / n_c = {share:.3g} of the dominating factor without it"
    return Statement(
        parameters=str(_sum(tensors)),
        macs_per_step=str(_sum(matrices)),
        dominating=most.factored(h),
        reduction=reduction,
        order=_order(layer),
        sizes=sizes,
    )


def _order(layer: Layer) -> str:
    if isinstance(layer, (ChildSumTreeLSTM, NaryTreeLSTM)):
        return "O(nodes N) a call; backward about twice that"
    if isinstance(layer, GatedGraph):
        return "O(steps (nodes N + edges n_c)) a call; backward about twice that"
    if isinstance(layer, GatedRecursiveConv):
        return "O(T^2 B N) a call, for T (T - 1) / 2 pairs; backward twice that"
    if isinstance(layer, (NodeScores, GraphSum)):
        return "O(nodes N) a call; backward twice that"
    return "O(N) a step and sequence, O(T B N) a call; backward twice that"


def _reads_inputs(t: Tensor) -> bool:
    return any("n_i" in symbols for symbols in Polynomial.of(t.size).terms)
