"""Weights by name: what may be written, what may be loaded, and what all layers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from ._arguments import flag, generator, memory_for, of_dtype
from ._options import Fixed
from ._pickling import attributes_beside, attributes_of, remake, sealed, set_attributes

if TYPE_CHECKING:
    from typing_extensions import Self

Array: TypeAlias = NDArray[Any]
STATE = ("options", "precision", "weights", "attributes")  # what a pickle holds
AT_ONCE = 1 << 22  # numbers that NumPy handles before signals are looked for
A = TypeVar("A")
B = TypeVar("B")
W = TypeVar("W", bound="Weighted")


def _of_numpys_dtype(value: Any, own: NDArray[Any]) -> Any:
    """Of bfloat16, which NumPy does not have: PyTorch's and ml_dtypes' become wider."""
    if not str(getattr(value, "dtype", "")).endswith("bfloat16"):
        return value
    wide = value.float() if hasattr(value, "float") else value.astype(np.float32)
    return np.asarray(wide).astype(own.dtype)


def checked(name: str, value: ArrayLike, own: NDArray[Any]) -> NDArray[Any]:
    array = _core.numpy_array(name, _of_numpys_dtype(value, own), "numbers")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}; expected {own.dtype}")
    own_kinds = (own.dtype, np.dtype(np.float16))
    other_float = array.dtype.kind == "f" and array.dtype.newbyteorder("=") not in own_kinds
    if other_float and hasattr(value, "dtype"):  # lists are float64 by habit, not by choice
        advice = f"write {name}.astype(np.{own.dtype})"
        raise TypeError(f"{name} has dtype {array.dtype}; expected {own.dtype}: {advice}")
    if array.shape != own.shape:
        raise ValueError(f"{name} has shape {array.shape}; expected {own.shape}")
    return array


def in_parts(w: Array) -> Iterator[Array]:
    """A contiguous array in flat parts, each of which NumPy fills in a moment."""
    flat = w.reshape(-1)
    for begin in range(0, w.size, AT_ONCE):
        yield flat[begin : begin + AT_ONCE]


def _write(to: Array, numbers: Array) -> None:
    """``to[...] = numbers``, of one shape; signals are looked for meanwhile."""
    if to.size <= AT_ONCE:
        to[...] = numbers
        return
    rows = max(1, AT_ONCE * len(to) // to.size)
    for begin in range(0, len(to), rows):
        to[begin : begin + rows] = numbers[begin : begin + rows]


class Edit(Protocol):
    """What an edit of weights is to ``EditableWeights``; see cpp/bindings/edits.h."""

    def names(self) -> list[str]: ...
    def weight(self, name: str) -> Array: ...
    def made(self, name: str) -> Array | None: ...
    def array(self, name: str, copied: bool = True) -> Array: ...
    def places(self) -> list[tuple[_core.Edit, str]]: ...
    def end(self) -> None: ...
    def cancel(self) -> None: ...
    @property
    def ended(self) -> bool: ...


class EditableWeights(MutableMapping[str, NDArray[Any]]):
    """The weights inside an ``editing()`` block: write into the arrays, or assign whole ones.

    The arrays are copies, each made when it is first asked for. At the end of the block they are
    copied into the layer, and from then on they are read only. A view of one that is kept is no
    part of the layer.
    """

    def __init__(self, edit: Edit) -> None:
        self._edit = edit

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._edit.array(name)

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        try:
            made = self._edit.made(name)
        except (KeyError, TypeError):  # TypeError: no text
            known = list(self)
            raise KeyError(f"{name} is no weight of this layer; expected one of {known}") from None
        if self._edit.ended:
            raise ValueError(f"{name} cannot be set: the editing block has ended")
        if value is not made:  # `w[name] *= 2` has already written in place
            array = checked(name, value, self._edit.weight(name))
            _write(self._edit.array(name, copied=False), array)

    def __delitem__(self, name: str) -> None:
        raise TypeError("weights cannot be removed")

    def __contains__(self, name: object) -> bool:
        return name in self._edit.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._edit.names())

    def __len__(self) -> int:
        return len(self._edit.names())


def check_state_dict(
    mapping: Mapping[str, ArrayLike], own: Mapping[str, NDArray[Any]], strict: bool
) -> dict[str, NDArray[Any]]:
    """The arrays to load, checked; nothing is written yet."""
    if not isinstance(mapping, Mapping):
        raise TypeError(
            f"mapping is {_core.a_type(mapping)}; expected a mapping of names to arrays"
        )
    missing = [name for name in own if name not in mapping]
    surplus = [name for name in mapping if name not in own]
    if flag("strict", strict) and (missing or surplus):
        lacks = [f"mapping lacks {missing}"] * bool(missing)
        unknown = [f"mapping has {surplus}, which this layer does not have"] * bool(surplus)
        raise ValueError(f"{'; '.join(lacks + unknown)}; expected exactly {list(own)}")
    return {name: checked(name, mapping[name], w) for name, w in own.items() if name in mapping}


def missing(self: object, name: str) -> Exception:
    """What a class raises for an attribute that it does not have."""
    own = type(self).__name__
    if name == "quantize" and "_core" in vars(self):
        having = "recurrent layers, trees, graphs, their readouts, Dense and chains have"
        text = f"{own} has no form with weights of few bits; {having} {name}()"
        return AttributeError(text, name=name, obj=self)
    if "_core" in vars(self) or name.startswith("__"):
        return AttributeError(f"{own!r} object has no attribute {name!r}", name=name, obj=self)
    return TypeError(f"this {own} was made without __init__; expected {own}(...)")


class _Core(Protocol):
    def weights(self) -> dict[str, Array]: ...
    def edit(self) -> Edit: ...


def built(kind: type[W], options: Mapping[str, Any], core: Any) -> W:
    """A layer of this class around a core that there is already; None: around one of its own."""
    layer = object.__new__(kind)
    if core is not None:
        vars(layer)["_made"] = core
    kind.__init__(layer, **options)
    return layer


class Weighted(Fixed):
    """A layer whose weights live in the core: reading, editing, saving and loading them.

    Its class sets ``_core`` before this constructor draws the weights uniform in +-bound; gains: 1.
    """

    _core: _Core
    dtype: np.dtype[Any]

    def _core_type(self, single: type[A], double: type[B]) -> Callable[..., A | B]:
        """What makes its core: for this dtype, or one that is made already, as that of a file. What
        only describes a layer makes none."""
        if (made := vars(self).get("_made")) is not None:
            return lambda **options: made
        core = of_dtype(self.dtype, single, double)

        def make(**options: Any) -> A | B:
            with memory_for("the weights", **options):
                return core(**options)

        return make

    def __init__(self, seed: int | None, bound: float) -> None:
        self.seed = seed
        if (given := vars(self).get("_random")) is not None:  # by a pickle, which has weights, too
            if not isinstance(given, np.random.Generator):
                raise TypeError(f"its random numbers are {_core.a_type(given)}")
            return
        self._random = generator(seed)
        if vars(self).pop("_made", None) is not None:  # which has weights, too
            return
        with memory_for("the weights", num_parameters=self.num_parameters):
            self._draw(bound)

    def _draw(self, bound: float) -> None:
        edit = self._core.edit()
        for name in edit.names():
            w = edit.array(name, copied=False)
            self._fill(name, w, bound)
        edit.end()

    def _fill(self, name: str, w: Array, bound: float) -> None:
        """Give a weight the numbers that it starts with; signals are looked for meanwhile."""
        is_gain = name.startswith("gain_")  # of a normalisation
        for part in in_parts(w):
            part[...] = 1.0 if is_gain else self._random.uniform(-bound, bound, part.size)

    def __getattr__(self, name: str) -> Any:
        raise missing(self, name)

    # --- copies

    def __copy__(self) -> Self:
        """Another object with the same weights, not with copies of them: an edit changes both."""
        twin = type(self).__new__(type(self))
        set_attributes(twin, attributes_of(self))
        return twin

    def __getstate__(self) -> dict[str, Any]:
        held = {
            "options": {name: getattr(self, name) for name in self._arguments},
            "precision": self._few_bits(),
            "weights": self._own_weights(),
        }
        return sealed(held, attributes=attributes_beside(self, *self._options, "_core"))

    def __setstate__(self, state: dict[str, Any]) -> None:
        remake(self, state, *STATE)

    def _remake(
        self,
        options: dict[str, Any],
        precision: str | None,
        weights: dict[str, Array],
        attributes: dict[str, Any],
    ) -> None:
        """Through the constructor of the class of this package, which knows what options may be."""
        kind: Any = next(base for base in type(self).__mro__ if "_arguments" in vars(base))
        if sorted(options) != sorted(kind._arguments):
            raise ValueError(f"its options are {[*options]}; expected {[*kind._arguments]}")
        set_attributes(self, attributes)
        kind.__init__(self, **options)
        if precision is None:
            self._take_weights(weights)
        else:
            vars(self)["_core"] = vars(self)["_core"].with_tensors(precision, weights)

    def _few_bits(self) -> str | None:
        """What ``quantize`` made of the weights, if it did."""
        return None

    def _stored(self) -> dict[str, Array]:
        """What a file or a pickle has to hold of the weights."""
        return self._copies()

    def _own_weights(self) -> dict[str, Array]:
        """What a pickle of its own has to hold of them."""
        return self._stored()

    def _take_weights(self, weights: dict[str, Array]) -> None:
        self.load_state_dict(weights)

    # --- weights

    @property
    def weights(self) -> Mapping[str, Array]:
        """The weights by their names, as read-only arrays; to change them, see ``editing``.

        They show the weights of any time, also after later edits; ``state_dict`` copies them.
        """
        return MappingProxyType(self._core.weights())

    @contextmanager
    def editing(self) -> Iterator[EditableWeights]:
        """Change weights in place: ``with layer.editing() as w: w["weight_ih_l0"] *= 0.5``.

        Yields
        ------
        EditableWeights
            A mapping from the weights' names to arrays that may be written, until the block ends.
            They are copies, which become the weights together at its end: until then all others see
            the old ones, and if the block raises they stay as they were. Of two edits at once, in
            threads or one inside the other, each is made as a whole when it ends; a weight that
            both have asked for is that of the last. A chain's edit is one, too: a call of the chain
            in another thread has all of it or nothing.
        """
        edit = self._core.edit()
        try:
            yield EditableWeights(edit)
        except BaseException:
            edit.cancel()
            raise
        edit.end()

    def state_dict(self) -> dict[str, Array]:
        """Return copies of the weights, all of them from between two edits.

        Returns
        -------
        dict of str to ndarray
            The weights by their names.
        """
        return self._copies()

    def _copies(self) -> dict[str, Array]:
        weights = self._core.weights()
        return dict(zip(weights, _core.copies_of(list(weights.values())), strict=True))

    def load_state_dict(self, mapping: Mapping[str, ArrayLike], strict: bool = True) -> None:
        """Set the weights from arrays, all of them or none.

        Parameters
        ----------
        mapping : mapping of str to array_like
            Arrays of the layer's dtype, by the weights' names. They may be views of the layer's own
            weights.
        strict : bool, optional
            Whether the names must be exactly those of the weights. Otherwise weights that are not
            named keep their values, and other names are ignored.

        Raises
        ------
        ValueError
            For wrong shapes and, with ``strict``, wrong names; the layer is then unchanged.
        TypeError
            For arrays of the other floating dtype or of no numbers; likewise. So it is after
            whatever an array raises when it is read.
        """
        arrays = check_state_dict(mapping, self.weights, strict)
        edit = self._core.edit()
        first: dict[int, str] = {}  # a layer may be twice in a chain
        for name, array in arrays.items():
            made = edit.made(name)
            if made is None:
                made = edit.array(name, copied=False)
                _write(made, array)
            elif not np.array_equal(made, array.astype(made.dtype), equal_nan=True):
                other = first[id(made)]
                raise ValueError(f"{other} and {name} are one weight, but have two values")
            first.setdefault(id(made), name)
        edit.end()

    @property
    def num_parameters(self) -> int:
        """How many numbers the weights have, biases included."""
        return sum(w.size for w in self.weights.values())
