"""What a pickle of a layer or stream holds, and the checks of one that is read."""

from __future__ import annotations

import copy
import copyreg
import pickle
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core

if TYPE_CHECKING:
    from typing_extensions import Self

FORMAT = 2  # another number whenever what a state holds changes


def sealed(state: dict[str, Any], **free: Any) -> dict[str, Any]:
    """A state with its format and a checksum over all but what is free."""
    seal = {"format": FORMAT, "version": _core.__version__, "checksum": checksum(state)}
    return {**seal, **state, **free}


def opened(state: object, *names: str) -> list[Any]:
    """The entries of these names in a state that ``sealed`` made; only "attributes" are free.

    Raises ValueError for what is no such state, also for one of another format.
    """
    if not isinstance(state, Mapping) or "format" not in state:
        raise ValueError("it has no format")
    if state["format"] != FORMAT:
        raise ValueError(
            f"it was made by gru_native {state.get('version')}, in format {state['format']}, and "
            f"this is {_core.__version__}, which reads format {FORMAT}: to take models along, use "
            "gru_native.save"
        )
    for name in (*names, "checksum"):
        if name not in state:
            raise ValueError(f"it has no {name}")
    if checksum({n: state[n] for n in names if n != "attributes"}) != state["checksum"]:
        raise ValueError("its checksum does not match what it holds")
    return [state[name] for name in names]


def checksum(value: Any, start: int = 0) -> int:
    """Of numbers, texts and arrays, in any nesting; of anything else only of its kind."""
    if isinstance(value, np.ndarray):
        start = zlib.crc32(f"{value.dtype}{value.shape}".encode(), start)
        return zlib.crc32(np.ascontiguousarray(value).data, start)
    if isinstance(value, Mapping):
        for name, part in value.items():
            start = checksum(part, zlib.crc32(repr(name).encode(), start))
        return start
    if isinstance(value, (tuple, list)):
        for part in value:
            start = checksum(part, start)
        return start
    plain = isinstance(value, (bool, int, float, str, np.dtype)) or value is None
    return zlib.crc32((repr(value) if plain else type(value).__name__).encode(), start)


def attributes_of(thing: object) -> dict[str, Any]:
    """All attributes of an object, also those in slots of a subclass."""
    slots = copyreg._slotnames(type(thing))  # type: ignore[attr-defined]  # as object.__getstate__
    return {
        **vars(thing),
        **{name: getattr(thing, name) for name in slots if hasattr(thing, name)},
    }


def attributes_beside(thing: object, *made_anew: str) -> dict[str, Any]:
    """All attributes but those that a pickle's reader makes anew from the rest of the state."""
    return {name: value for name, value in attributes_of(thing).items() if name not in made_anew}


def set_attributes(thing: object, attributes: Mapping[str, Any]) -> None:
    """Set them whether they are fixed or not."""
    if not isinstance(attributes, Mapping):
        raise TypeError(f"its attributes are {_core.a_type(attributes)}; expected a mapping")
    for name, value in attributes.items():
        object.__setattr__(thing, name, value)


class CopiedByCore:
    """Copies of a stream go on from where it is, on their own, and share the weights."""

    _core: Any

    def __copy__(self) -> Self:
        return self._twin(attributes_of(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._twin(copy.deepcopy({**attributes_of(self), "_core": None}, memo))

    def _twin(self, attributes: dict[str, Any]) -> Self:
        twin = type(self).__new__(type(self))
        set_attributes(twin, {**attributes, "_core": self._core.copy()})
        return twin


def remake(thing: Any, state: object, *names: str) -> None:
    """Give these entries of a state to the thing's ``_remake``.

    Raises pickle.UnpicklingError for a state that is wrong; the thing is then as if it had never
    been tried.
    """
    with reading(type(thing).__name__):
        if "_core" in vars(thing):
            raise ValueError("this one is made already")
        try:
            thing._remake(*opened(state, *names))
        except BaseException:
            vars(thing).clear()
            raise


@contextmanager
def reading(kind: str) -> Iterator[None]:
    """Turns what is wrong with a state into one kind of error."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise pickle.UnpicklingError(f"this pickled {kind} cannot be read: {error}") from error
