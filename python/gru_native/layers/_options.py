"""Options of a layer: what its constructor takes, and what cannot change once it is made."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar


class Fixed:
    """Its options are attributes that are set once, by the constructor.

    A layer's core is made from them: a value assigned later would be ignored, or would be saved
    with weights that it does not belong to. Attributes of subclasses are free.
    """

    _options: ClassVar[tuple[str, ...]] = ()
    _arguments: ClassVar[tuple[str, ...]] = ()  # those of the constructor, which makes it anew

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            self._check_free(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self._check_free(name)
        super().__delattr__(name)

    def _check_free(self, name: str) -> None:
        if name in self._options:
            raise fixed(self, name)


def fixed(made: object, name: str) -> AttributeError:
    kind = type(made).__name__
    return AttributeError(f"{name} is fixed when its {kind} is made; make another {kind}")


F = TypeVar("F", bound=Fixed)


def public(kind: type[F]) -> type[F]:
    """For a public class: the arguments of its constructor are its options."""
    code = kind.__init__.__code__
    # Not inspect.signature, which takes a fifth of the time of importing this package.
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    kind._options = kind._arguments = names
    return kind
