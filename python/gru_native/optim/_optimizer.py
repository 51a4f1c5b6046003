"""What all optimizers share: their layers, their gradients and what they remember."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _core
from ..layers._arguments import items, memory_for, number, of_dtype
from ..layers._options import fixed
from ..layers._row_gradient import RowGradient
from ..layers._weights import Array, Weighted, check_state_dict, checked, missing


class Optimizer:
    """What all of them share. ``_make`` is the core's function that makes one from options."""

    _make: str

    def __init__(self, layers: Weighted | Iterable[Weighted], **options: Any) -> None:
        self._single = isinstance(layers, Weighted)
        self._layers = layers_of("layers", layers)
        self._weights = named_weights(self._layers, self._single)
        dtype = self._layers[0].dtype
        core = of_dtype(dtype, _core.Optimizer32, _core.Optimizer64)
        shapes = [(name, list(w.shape)) for name, w in self._weights.items()]
        self._options = options
        with memory_for("the states", num_parameters=sum(w.size for w in self._weights.values())):
            self._core: _core._Optimizer[Any] = getattr(core, self._make)(shapes, **options)

    @property
    def lr(self) -> float:
        """The learning rate of the next step. It may be set, by a schedule for example."""
        return float(self._options["lr"])

    @lr.setter
    def lr(self, value: float) -> None:
        rate = number("lr", value)
        self._core.set_lr(rate)
        self._options["lr"] = rate

    def step(self, grads: Any) -> None:
        """Change all weights by one step.

        The layers compute with the new weights from then on. What they keep packed is packed once.

        Parameters
        ----------
        grads : gradients or mapping, or a list of those
            What ``backward`` returned, or its ``weights``: arrays (or ``RowGradient``) by name. For
            a list of layers, a list with one entry for each, or None where there is none. A weight
            without an entry stays as it is.

        Raises
        ------
        ValueError
            For a name that is no weight, for a wrong shape, and for rows that are not within the
            weight or do not increase. No weight is then changed.
        TypeError
            For what is no gradient, and for arrays of the other floating dtype. Likewise.
        """
        given = gradients_of(grads, self._weights, None if self._single else len(self._layers))
        ordered = [given.get(name) for name in self._weights]
        names = [f"grads[{name!r}]" for name in self._weights]
        edits = [layer._core.edit() for layer in self._layers]
        self._core.step([place for edit in edits for place in edit.places()], ordered, names)

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all that the steps so far have left behind.

        Returns
        -------
        dict of ndarray
            For each weight ``"NAME.step"``, how many steps it has had, and its states, by torch's
            names (``"NAME.exp_avg"``). The options of the constructor are not in it.
        """
        steps, states = self._core.state()
        counts: dict[str, Array] = {
            f"{name}.step": np.array(n, np.int64)
            for name, n in zip(self._weights, steps, strict=True)
        }
        return counts | states

    def load_state_dict(self, mapping: Mapping[str, ArrayLike]) -> None:
        """Go on from where another optimizer of the same kind was, for the same weights.

        Parameters
        ----------
        mapping : mapping of str to array_like
            What ``state_dict`` returned.

        Raises
        ------
        ValueError
            For a missing or unknown name, a wrong shape, or a number of steps below 0. Nothing is
            then changed.
        TypeError
            For arrays of another kind. Likewise.
        """
        own = self.state_dict()
        arrays = check_state_dict(mapping, own, strict=True)
        counts = {f"{name}.step": arrays[f"{name}.step"] for name in self._weights}
        steps = []
        for name, count in counts.items():
            if count.dtype.kind not in "iu":
                raise TypeError(f"{name} has dtype {count.dtype}; expected a whole number")
            if not 0 <= count < 2**62:
                raise ValueError(f"{name} is {count}; expected 0 or more, below 2**62")
            steps.append(int(count))
        self._core.load(steps, [array for name, array in arrays.items() if name not in counts])

    def __getattr__(self, name: str) -> Any:
        options = vars(self).get("_options", {})
        if name in options:
            return options[name]
        raise missing(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "lr" and name in vars(self).get("_options", {}):
            raise fixed(self, name)
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self._options.items())
        return f"{type(self).__name__}({len(self._weights)} weights, {options})"


def layers_of(argument: str, layers: Any) -> list[Weighted]:
    """The layers that an argument of this name has: one, or several of one dtype."""
    if isinstance(layers, Weighted):
        return [layers]
    found = items(argument, layers, "a layer or a list of them")
    if not found:
        raise ValueError(f"{argument} is empty; expected at least one layer")
    seen: dict[int, str] = {}
    for i, layer in enumerate(found):
        here = f"{argument}[{i}]"
        if not isinstance(layer, Weighted):
            raise TypeError(f"{here} is {_core.a_type(layer)}; expected a layer")
        if layer.dtype != found[0].dtype:
            raise ValueError(
                f"{here} has dtype {layer.dtype}; expected {found[0].dtype}, that of the first"
            )
        for name, w in layer.weights.items():
            first = seen.setdefault(w.ctypes.data, here)
            if first != here:
                raise ValueError(f"{here} has the weight {name} of {first}; expected each once")
    return found


def named_weights(layers: list[Weighted], single: bool) -> dict[str, Array]:
    """All weights, each name behind its layer's number if there is a list of layers."""
    return {
        name if single else f"{i}.{name}": w
        for i, layer in enumerate(layers)
        for name, w in layer.weights.items()
    }


def gradients_of(grads: Any, weights: dict[str, Array], layers: int | None) -> dict[str, Any]:
    """What backward returned, by the weights' names, checked; None: not of a list of layers.

    A ``RowGradient`` becomes a tuple of its rows and values.
    """
    if layers is None:
        groups = {"": _mapping_of("grads", grads)}
    else:
        if not isinstance(grads, (list, tuple)) or hasattr(grads, "weights"):
            raise TypeError(
                f"grads is {_core.a_type(grads)}; expected a list, an entry for each layer"
            )
        if len(grads) != layers:
            raise ValueError(f"grads has {len(grads)} entries; expected {layers}, one a layer")
        groups = {f"{i}.": _mapping_of(f"grads[{i}]", g) for i, g in enumerate(grads)}
    given: dict[str, Any] = {}
    for prefix, group in groups.items():
        for name, gradient in group.items():
            full = f"{prefix}{name}"
            if full not in weights:
                raise ValueError(
                    f"grads has {full!r}, which is no weight; expected some of {list(weights)}"
                )
            if gradient is not None:
                given[full] = _checked_gradient(f"grads[{full!r}]", gradient, weights[full])
    return given


def _mapping_of(name: str, grads: Any) -> Mapping[str, Any]:
    if grads is None:
        return {}
    weights = getattr(grads, "weights", grads)
    if not isinstance(weights, Mapping):
        raise TypeError(
            f"{name} is {_core.a_type(grads)}; expected what backward returned, or a mapping"
        )
    return weights


def _checked_gradient(name: str, gradient: Any, weight: Array) -> Any:
    if not isinstance(gradient, RowGradient):
        return checked(name, gradient, weight)
    rows = np.asarray(gradient.rows)
    if rows.ndim != 1:
        raise ValueError(f"{name}.rows has shape {rows.shape}; expected (n,)")
    expected = (
        weight[:0]
        if len(rows) == 0
        else np.broadcast_to(weight[:1], (len(rows), *weight.shape[1:]))
    )
    return rows, checked(f"{name}.values", gradient.values, expected)
