"""ONNX's activation functions by this project's names.

A node has one list of function names and two of numbers, alpha and beta; functions take from these
what they need, in the order of the names.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....layers._arguments import Function

# Name in lower case -> this project's, and what alpha and beta are where a node says nothing; None:
# ONNX has no default. The defaults are those of the ONNX operators of the same names.
_FUNCTIONS: dict[str, tuple[str, tuple[float | None, ...]]] = {
    "affine": ("affine", (1.0, 0.0)),
    "elu": ("elu", (1.0,)),
    "hardsigmoid": ("hard_sigmoid", (0.2, 0.5)),
    "leakyrelu": ("leaky_relu", (0.01,)),
    "relu": ("relu", ()),
    "scaledtanh": ("scaled_tanh", (None, None)),
    "sigmoid": ("sigmoid", ()),
    "softplus": ("softplus", ()),
    "softsign": ("softsign", ()),
    "tanh": ("tanh", ()),
    "thresholdedrelu": ("thresholded_relu", (1.0,)),
}
NAMES = (
    "Affine, Relu, LeakyRelu, ThresholdedRelu, Tanh, ScaledTanh, Sigmoid, HardSigmoid, Elu, "
    "Softsign or Softplus"
)
_LISTS = ("activation_alpha", "activation_beta")


def functions(names: list[str], alphas: list[float], betas: list[float]) -> list[Function]:
    """This project's form of each: a name, or a name with its numbers.

    Raises ValueError, naming the attribute, for an unknown function, a number that is needed and
    not there, or numbers that nothing takes.
    """
    left = [list(alphas), list(betas)]
    result: list[Function] = []
    for name in names:
        if name.lower() not in _FUNCTIONS:
            raise ValueError(f"activations has {name!r}; expected {NAMES}")
        own, defaults = _FUNCTIONS[name.lower()]
        numbers = []
        for values, default, attribute in zip(left, defaults, _LISTS, strict=False):
            number = values.pop(0) if values else default
            if number is None:
                raise ValueError(f"{attribute} has no number for {name}, which has no default")
            numbers.append(float(number))
        if (own, *numbers) == ("affine", 1.0, 0.0):
            own, numbers = "identity", []
        result.append((own, *numbers) if numbers else own)  # type: ignore[arg-type]
    for values, given, attribute in zip(left, (alphas, betas), _LISTS, strict=True):
        if values:
            raise ValueError(
                f"{attribute} has {len(given)} numbers; expected at most "
                f"{len(given) - len(values)} for activations {', '.join(names)}"
            )
    return result


def onnx_functions(ours: Sequence[Function]) -> tuple[list[str], list[float], list[float], bool]:
    """The other way round: names, alphas, betas, and whether these are all the defaults."""
    names: list[str] = []
    numbers: tuple[list[float], list[float]] = ([], [])
    usual = True
    known = {name.lower(): name for name in NAMES.replace(" or", ",").split(", ")}
    for function in ours:
        own, *given = (function,) if isinstance(function, str) else function
        if own == "identity":
            own, given = "affine", [1.0, 0.0]
        name, defaults = next((n, d) for n, (its, d) in _FUNCTIONS.items() if its == own)
        names.append(known[name])
        filled = [float(n) for n in (*given, *defaults[len(given) :]) if n is not None]
        usual = usual and filled == list(defaults)
        for values, number in zip(numbers, filled, strict=False):
            values.append(number)
    return names, *numbers, usual
